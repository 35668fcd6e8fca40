"""Tokens for values, and values for tokens: only here, only for a session that was granted them, only within
clearance."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta

from cadre_api.protocol.base import ActorType
from cadre_api.protocol.guard import IssueItem
from cadre_controller.ports import Actor
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Facts, Kernel
from cadre_controller.services.rates import RateLimiter
from cadre_controller.services.token_keys import TokenKeys
from cadre_controller.store.pool import Row
from cadre_controller.store.work import Statement, Work
from cadre_detect.tokens import make_token

LIFETIME = timedelta(days=30)
RENEW_BEFORE = timedelta(days=15)
RESTORES_PER_MINUTE = 60_000


class PseudonymService:
    """Sealed token maps per tenant."""

    def __init__(self, kernel: Kernel, chart: ChartService) -> None:
        self._kernel = kernel
        self._chart = chart
        self._keys = TokenKeys(kernel)
        self._rate = RateLimiter(kernel.clock, RESTORES_PER_MINUTE, "tokens")

    async def issue(self, actor: Actor, session_id: str, items: Sequence[IssueItem]) -> tuple[str, ...]:
        """Tokens in the order of the items, granted to the session. Raises RateLimited.

        Our own masker is not limited: what it may take in is bounded where it comes in.
        """
        if not items:
            return ()
        tenant = actor.tenant
        if actor.type is not ActorType.SYSTEM:
            self._rate.take(f"{tenant}/{actor.id}", len(items))
        version = await self._keys.version(tenant, session_id)
        tokens = await self._tokens(tenant, version, items)
        fresh = dict(zip(tokens, items, strict=True))
        held = await self._granted(tenant, session_id, list(fresh))
        renew = self._kernel.clock.now() + RENEW_BEFORE
        missing = {
            token: item
            for token, item in fresh.items()
            if token not in held or held[token]["expires_at"] < renew
        }
        if missing:
            await self._store(actor, session_id, version, missing)
        return tokens

    async def restore(
        self, actor: Actor, session_id: str, tokens: Iterable[str], clearance: frozenset[str]
    ) -> dict[str, str]:
        """Values of the tokens that are granted to the session and within the clearance; the rest is absent.

        Raises RateLimited.
        """
        wanted = sorted(set(tokens))
        if not wanted:
            return {}
        self._rate.take(f"{actor.tenant}/{actor.id}", len(wanted))
        rows = await self._granted(actor.tenant, session_id, wanted)
        cleared = {token: row for token, row in rows.items() if row["data_class"] in clearance}
        keys = self._kernel.keystore.tenant(actor.tenant)
        values = {
            t: keys.unseal(r["sealed"], context_of(actor.tenant, t)).decode() for t, r in cleared.items()
        }
        await self._note(
            actor, "pseudonym.restore", session_id, cleared.values(), refused=len(wanted) - len(values)
        )
        return values

    async def regrant(
        self,
        actor: Actor,
        from_session: str,
        to_session: str,
        tokens: Iterable[str],
        clearance: frozenset[str],
    ) -> tuple[str, ...]:
        """Grant tokens of one session to another where their class is within the receiver's clearance."""
        rows = await self._granted(actor.tenant, from_session, sorted(set(tokens)))
        passed = {token: row for token, row in rows.items() if row["data_class"] in clearance}
        if passed:
            grants = tuple(Statement("grant_put", (actor.tenant, to_session, token)) for token in passed)
            data = {"from": from_session, "kept": len(rows) - len(passed)}
            facts = Facts(data, _counts(passed.values()))
            entry = self._kernel.audit(actor, "pseudonym.regrant", f"session:{to_session}", facts=facts)
            await self._kernel.submit(Work(actor.tenant, grants, audit=(entry,)))
        return tuple(passed)

    async def known(self, tenant: str, session_id: str, candidates: Iterable[str]) -> frozenset[str]:
        """Which of these token-like texts are tokens granted to the session."""
        wanted = sorted(set(candidates))
        return frozenset(await self._granted(tenant, session_id, wanted)) if wanted else frozenset()

    async def rotate(self, actor: Actor) -> str:
        """Give sessions that begin from now on a new token key; its version. Raises Conflict."""
        return await self._keys.rotate(actor)

    async def purge(self, tenants: Sequence[str]) -> int:
        """Forget expired values; returns how many grants went with them."""
        return await self._kernel.db.execute(tenants, "pseudonym_purge", self._kernel.clock.now())

    async def _granted(self, tenant: str, session_id: str, tokens: Sequence[str]) -> dict[str, Row]:
        rows = await self._kernel.db.fetch(
            tenant, "pseudonyms_granted", tenant, session_id, list(tokens), self._kernel.clock.now()
        )
        return {row["token"]: row for row in rows}

    async def _tokens(self, tenant: str, version: str, items: Sequence[IssueItem]) -> tuple[str, ...]:
        key = await self._keys.key(tenant, version)
        people = self._chart.people(tenant)
        return tuple(
            make_token(key, version, i.entity_type, i.value, people.link(i.entity_type, i.value))
            for i in items
        )

    async def _store(
        self, actor: Actor, session_id: str, version: str, items: Mapping[str, IssueItem]
    ) -> None:
        tenant, kernel = actor.tenant, self._kernel
        keys = kernel.keystore.tenant(tenant)
        expires = kernel.clock.now() + LIFETIME
        statements = []
        for token, item in items.items():
            sealed = keys.seal(item.value.encode(), context_of(tenant, token))
            data_class = self._chart.data_class(tenant, item.entity_type)
            row = (tenant, token, item.entity_type, data_class, sealed, version, expires)
            statements += [
                Statement("pseudonym_put", row),
                Statement("grant_put", (tenant, session_id, token)),
            ]
        counts = Counter(item.entity_type for item in items.values())
        entry = kernel.audit(
            actor, "pseudonym.issue", f"session:{session_id}", facts=Facts(redactions=counts)
        )
        await kernel.submit(Work(tenant, tuple(statements), audit=(entry,)))

    async def _note(
        self, actor: Actor, action: str, session_id: str, rows: Iterable[Row], *, refused: int
    ) -> None:
        facts = Facts({"refused": refused}, _counts(rows))
        entry = self._kernel.audit(actor, action, f"session:{session_id}", facts=facts)
        await self._kernel.submit(Work(actor.tenant, audit=(entry,)))


def _counts(rows: Iterable[Row]) -> dict[str, int]:
    return dict(Counter(row["entity_type"] for row in rows))


def context_of(tenant: str, token: str) -> str:
    """What a sealed value is bound to: it opens under no other tenant or token."""
    return f"pseudonym\x00{tenant}\x00{token}"
