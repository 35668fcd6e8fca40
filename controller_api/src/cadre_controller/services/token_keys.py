"""Versions of a tenant's token key: a session keeps the one it began with, so that its tokens stay the same,
and new sessions take the newest.

The first key is the keystore's; later ones are random and lie in the database under the tenant's map key, so
that every replica of the controller has them. Tokens of every version restore: values are kept by token.
"""

import secrets
from collections import OrderedDict

from cadre_controller.errors import Conflict, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.kernel import Facts, Kernel
from cadre_controller.store.work import RowMissing, Statement, Work

FIRST = "1"
MARKS = "123456789abcdefghijklmnopqrstuvwxyz"
_KEY_BYTES = 32
_SESSIONS = 20_000


class TokenKeys:
    """Keys by tenant and version, remembered once read: a key never changes."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel
        self._keys: dict[tuple[str, str], bytes] = {}
        self._pinned: OrderedDict[tuple[str, str], str] = OrderedDict()

    async def version(self, tenant: str, session_id: str) -> str:
        """The version that a session's tokens are made with; the first call fixes it for good.

        A session that is not committed yet gets the newest, and is fixed later.
        """
        known = self._pinned.get((tenant, session_id))
        if known is not None:
            self._pinned.move_to_end((tenant, session_id))
            return known
        row = await self._kernel.db.fetch_one(tenant, "session_token_version", tenant, session_id)
        version = str(row["version"]) if row is not None else FIRST
        if row is not None and row["pinned"]:
            self._pinned[tenant, session_id] = version
            while len(self._pinned) > _SESSIONS:
                self._pinned.popitem(last=False)
        return version

    async def key(self, tenant: str, version: str) -> bytes:
        """The key of a version. Raises NotFound(KeyVersionUnknown)."""
        keys = self._kernel.keystore.tenant(tenant)
        if version == FIRST:
            return keys.token_key
        if (tenant, version) not in self._keys:
            for row in await self._kernel.db.fetch(tenant, "token_keys", tenant):
                context = _context(tenant, row["version"])
                self._keys[tenant, row["version"]] = keys.unseal(row["sealed"], context)
        found = self._keys.get((tenant, version))
        if found is None:
            raise NotFound(
                "KeyVersionUnknown", "a session's token key is gone", "restore the database's backup"
            )
        return found

    async def rotate(self, actor: Actor) -> str:
        """Make a new key for sessions that begin from now on; its version.

        Raises Conflict(KeyVersionsUsedUp, RotatedMeanwhile).
        """
        tenant, kernel = actor.tenant, self._kernel
        used = {FIRST, *(row["version"] for row in await kernel.db.fetch(tenant, "token_keys", tenant))}
        version = next((mark for mark in MARKS if mark not in used), None)
        if version is None:
            raise Conflict("KeyVersionsUsedUp", f"all {len(MARKS)} versions are in use", "keep the newest")
        sealed = kernel.keystore.tenant(tenant).seal(
            secrets.token_bytes(_KEY_BYTES), _context(tenant, version)
        )
        row = Statement("token_key_insert", (tenant, version, sealed, kernel.clock.now()))
        entry = kernel.audit(actor, "pseudonym.rotate", f"tenant:{tenant}", facts=Facts({"version": version}))
        try:
            await kernel.submit(Work(tenant, (row,), audit=(entry,)))
        except RowMissing:
            raise Conflict("RotatedMeanwhile", "somebody else rotated the key", "look, and repeat") from None
        return version


def _context(tenant: str, version: str) -> str:
    return f"token-key\x00{tenant}\x00{version}"
