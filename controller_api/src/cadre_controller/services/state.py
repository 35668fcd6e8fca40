"""State that agents and people share: versioned keys, compared and set in one commit, watched by long poll.

Values are masked like every other text; their tokens are known to the scope, and to a session only when it
reads them.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from cadre_api.protocol.state import StateGet, StateList, StatePage, StatePut, StateView, StateWatch
from cadre_controller.errors import Conflict, Denied, InvalidInput, NotFound, VersionConflict
from cadre_controller.ports import Actor, Masker
from cadre_controller.services.chart import ChartService
from cadre_controller.services.kernel import Facts, Kernel
from cadre_controller.services.masking import storable
from cadre_controller.services.sessions import SessionService
from cadre_controller.services.state_access import StateAccess
from cadre_controller.store.pool import Row
from cadre_controller.store.work import Idempotency, RowMissing, Statement, Work
from cadre_core.canonical import digest

MOST_KEYS = 1000
MOST_CHARS = 4 * 1024 * 1024
"""Of all values of a scope together."""
VERSIONS = 20
"""How many versions of a key its history keeps."""
MARKS_KEPT = timedelta(days=7)
SESSIONS_KEPT = timedelta(days=90)
_BATCH = 500
_ANY = -1


class StateService:
    """Put, get, list, watch, history."""

    def __init__(self, kernel: Kernel, chart: ChartService, sessions: SessionService, masker: Masker) -> None:
        self._kernel = kernel
        self._chart = chart
        self._sessions = sessions
        self._masker = masker

    async def put(self, actor: Actor, given: StatePut, *, idempotency_key: str = "") -> StateView:
        """Write or remove a key; the same request under the same `idempotency_key` writes it once.

        Raises Denied(StateDenied), Conflict(VersionConflict, StateQuota), NotFound(NoKey),
        InvalidInput(PersonalKey), MaskingFailed, IdempotencyKeyReused.
        """
        await self._admit(actor, given.scope, write=True)
        value = await self._masked(actor, given)
        kernel, tenant = self._kernel, actor.tenant
        now, expected = kernel.clock.now(), _ANY if given.version is None else given.version
        row = (
            tenant, given.scope, given.key, expected, value or "", value is None, actor.id, now, MOST_KEYS,
            MOST_CHARS, VERSIONS,
        )  # fmt: skip
        facts = Facts({"hash": digest(value), "expected": str(given.version), "removed": value is None})
        work = Work(
            tenant,
            (
                Statement("state_lock", (tenant, given.scope), expect_row=False),
                Statement("state_put", row),
            ),
            frozenset({_channel(tenant, given.scope)}),
            audit=(kernel.audit(actor, "state.put", f"state:{given.scope}/{given.key}", facts=facts),),
            idempotency=_once(actor, given, value, now, idempotency_key),
            notify=(_channel(tenant, given.scope),),
        )
        try:
            outcome = await kernel.submit(work)
        except RowMissing:
            raise await self._refusal(tenant, given) from None
        if outcome.replayed is not None:
            return await self._written(actor, given, str(outcome.replayed["at"]))
        done = outcome.rows[1]
        assert done is not None
        return StateView(
            scope=given.scope,
            key=given.key,
            version=int(str(done["version"])),
            value=value or "",
            deleted=value is None,
            author=actor.id,
            updated_at=now,
            seq=int(str(done["seq"])),
        )

    async def get(self, actor: Actor, asked: StateGet) -> StateView:
        """One key. Raises Denied(StateDenied), NotFound(NoKey)."""
        await self._admit(actor, asked.scope)
        row = await self._row(actor.tenant, asked.scope, asked.key)
        if row is None:
            raise _no_key(asked.scope, asked.key)
        return (await self._shown(actor, asked.scope, asked.session_id, [row]))[0]

    async def list(self, actor: Actor, asked: StateList) -> StatePage:
        """Keys in order. Raises Denied(StateDenied)."""
        await self._admit(actor, asked.scope)
        tenant, db = actor.tenant, self._kernel.db
        head = await self._head(tenant, asked.scope)
        key = (tenant, asked.scope, asked.prefix, asked.cursor, asked.limit + 1)
        rows = await db.fetch(tenant, "state_list", *key)
        items = await self._shown(actor, asked.scope, asked.session_id, rows[: asked.limit])
        return StatePage(items=items, next=items[-1].key if len(rows) > asked.limit else "", seq=head)

    async def watch(self, actor: Actor, asked: StateWatch) -> StatePage:
        """Changes after `after`, each key once with its latest value; waits for the first one.

        Raises Denied(StateDenied).
        """
        await self._admit(actor, asked.scope)
        tenant, scope = actor.tenant, asked.scope
        key = (tenant, scope, asked.prefix, asked.after, _BATCH)

        async def look() -> list[Row] | None:
            return await self._kernel.db.fetch(tenant, "state_changes", *key) or None

        channels = (_channel(tenant, scope),)
        rows = await self._kernel.wakeups.until(channels, look, asked.wait) or []
        items = await self._shown(actor, scope, asked.session_id, rows)
        return StatePage(items=items, seq=items[-1].seq if items else asked.after)

    async def history(self, actor: Actor, asked: StateGet) -> StatePage:
        """The last versions of a key, newest first. Raises Denied(StateDenied), NotFound(NoKey)."""
        await self._admit(actor, asked.scope)
        key = (actor.tenant, asked.scope, asked.key)
        rows = await self._kernel.db.fetch(actor.tenant, "state_history", *key)
        if not rows:
            raise _no_key(asked.scope, asked.key)
        items = await self._shown(actor, asked.scope, asked.session_id, rows)
        return StatePage(items=items, seq=items[0].seq)

    async def sweep(self, tenants: Sequence[str]) -> int:
        """Forget marks of removed keys, and the state of sessions long over; returns how many keys."""
        now = self._kernel.clock.now()
        return await self._kernel.db.execute(tenants, "state_forget", now - MARKS_KEPT, now - SESSIONS_KEPT)

    async def _admit(self, actor: Actor, scope: str, *, write: bool = False) -> None:
        access = StateAccess(self._chart.current(actor.tenant), actor, scope)
        session = None
        if access.session_id:
            session = await self._sessions.get(actor.tenant, access.session_id)
        if not access.may(write=write, session=session):
            verb = "write" if write else "read"
            raise Denied(
                "StateDenied", f"you may not {verb} the state of {scope}", "ask for a rule that allows it"
            )

    async def _masked(self, actor: Actor, given: StatePut) -> str | None:
        tenant = actor.tenant
        rules = storable(self._chart.guard_rules(tenant, actor.id.removeprefix("agent:")))
        grants = grants_of(given.scope)
        if (await self._masker.mask(tenant, grants, given.key, rules)).text != given.key:
            raise InvalidInput("PersonalKey", "key: it holds a value that must be masked", "use another key")
        if given.value is None:
            return None
        if given.session_id:
            await self._require_part(actor, given.session_id)
            await self._sessions.regrant(tenant, given.session_id, grants, (given.value,), actor=actor)
        return (await self._masker.mask(tenant, grants, given.value, rules)).text

    async def _shown(
        self, actor: Actor, scope: str, session_id: str, rows: Sequence[Row]
    ) -> tuple[StateView, ...]:
        """Rows as views; their tokens become known in the session that reads them."""
        if session_id and rows:
            await self._require_part(actor, session_id)
            texts = [row["value"] for row in rows]
            await self._sessions.regrant(actor.tenant, grants_of(scope), session_id, texts, actor=actor)
        return tuple(_view(row) for row in rows)

    async def _require_part(self, actor: Actor, session_id: str) -> None:
        session = await self._sessions.get(actor.tenant, session_id)
        if actor.id not in session.participants:
            raise Denied("NotAParticipant", "sessionId: you take no part in this session", "leave it out")

    async def _refusal(self, tenant: str, given: StatePut) -> Conflict | NotFound:
        """Why nothing was written."""
        row = await self._row(tenant, given.scope, given.key)
        version = row["version"] if row is not None else 0
        if given.version is not None and given.version != version:
            return VersionConflict(given.key, version, given.version)
        if given.value is None:
            return _no_key(given.scope, given.key)
        limits = f"{MOST_KEYS} keys and {MOST_CHARS} characters"
        return Conflict("StateQuota", f"the state of {given.scope} would exceed {limits}", "remove some keys")

    async def _written(self, actor: Actor, given: StatePut, at: str) -> StateView:
        """What an earlier request under the same key wrote; the latest version once that one is forgotten."""
        rows = await self._kernel.db.fetch(
            actor.tenant, "state_history", actor.tenant, given.scope, given.key
        )
        if not rows:
            raise _no_key(given.scope, given.key)
        mine = (r for r in rows if r["author"] == actor.id and r["updated_at"].isoformat() == at)
        return _view(next(mine, rows[0]))

    async def _row(self, tenant: str, scope: str, key: str) -> Row | None:
        return await self._kernel.db.fetch_one(tenant, "state_get", tenant, scope, key)

    async def _head(self, tenant: str, scope: str) -> int:
        row = await self._kernel.db.fetch_one(tenant, "state_head", tenant, scope)
        return int(row["seq"]) if row is not None else 0


def grants_of(scope: str) -> str:
    """Where the tokens of a scope's values are known."""
    return f"state:{scope}"


def _once(actor: Actor, given: StatePut, value: str | None, now: datetime, key: str) -> Idempotency | None:
    if not key:
        return None
    asked = {"scope": given.scope, "key": given.key, "version": given.version, "value": value}
    scope = f"state.put:{actor.id}"
    return Idempotency(actor.tenant, scope, key, digest(asked), {"at": now.isoformat()})


def _channel(tenant: str, scope: str) -> str:
    return f"state:{tenant}:{scope}"


def _no_key(scope: str, key: str) -> NotFound:
    return NotFound("NoKey", f"there is no key {key} in the state of {scope}", "list the keys")


def _view(row: Row) -> StateView:
    return StateView(
        scope=row["scope"],
        key=row["key"],
        version=row["version"],
        value=row["value"],
        deleted=row["deleted"],
        author=row["author"],
        updated_at=row["updated_at"],
        seq=row["seq"],
    )
