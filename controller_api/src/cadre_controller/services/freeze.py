"""Stop and go: heads freeze an agent, a node with all below it or the tenant, and thaw it again."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta

from cadre_api.parse import parse_resource
from cadre_api.protocol.base import ActorType, type_json
from cadre_api.protocol.freeze import (
    DeclaredFreeze,
    FreezeCreate,
    FreezeScope,
    FreezeSource,
    FreezeView,
    ThawCreate,
)
from cadre_controller.errors import Conflict, Denied, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.chart import ChartService
from cadre_controller.services.directory import DirectoryService
from cadre_controller.services.freezer import CHANNEL, FROZEN, Freezer
from cadre_controller.services.kernel import Facts, Kernel
from cadre_controller.store.work import AuditEntry, RowMissing, Statement, Work
from cadre_core.freeze import (
    NOBODY,
    Freeze,
    declared_freezes,
    frozen_agents,
    heads_towards,
    may_thaw,
    path_to,
    rank_of,
    stood_still,
)
from cadre_core.model import Snapshot
from cadre_core.policy.request import TENANT_ADMIN


class FreezeService:
    """What the public port calls."""

    def __init__(
        self,
        kernel: Kernel,
        chart: ChartService,
        directory: DirectoryService,
        freezer: Freezer,
        ttl: timedelta,
    ) -> None:
        self._kernel = kernel
        self._chart = chart
        self._directory = directory
        self._freezer = freezer
        self._ttl = ttl

    def views(self, tenant: str) -> tuple[FreezeView, ...]:
        """All freezes in force."""
        return tuple(self._view(tenant, freeze) for freeze in self._freezer.of(tenant))

    async def freeze(self, actor: Actor, body: FreezeCreate) -> FreezeView:
        """Stop a target; the same again changes nothing. Raises NotFound, Denied(NotEntitled)."""
        tenant, snapshot = actor.tenant, self._chart.current(actor.tenant).snapshot
        target = self._target(tenant, body.scope, body.target)
        rank = self._rank(snapshot, actor, body, target)
        now = self._kernel.clock.now()
        wanted = Freeze(
            body.scope, target, body.reason, FreezeSource.PERSON, rank, actor.id, now, body.break_glass
        )
        await self._freezer.refresh()
        known = _find(self._freezer.of(tenant), wanted)
        if known is None:
            await self._commit(actor, [wanted], [], now)
        elif _outranks(snapshot, rank, known):
            await self._commit(actor, [replace(wanted, at=known.at)], [], now)
        return self._view(tenant, _find(self._freezer.of(tenant), wanted) or wanted)

    async def thaw(self, actor: Actor, body: ThawCreate) -> FreezeView:
        """Let a target go on. Raises NotFound(NotFrozen), Conflict(DeclaredFreeze), Denied(NotEntitled)."""
        tenant, snapshot = actor.tenant, self._chart.current(actor.tenant).snapshot
        await self._freezer.refresh()
        freeze = self._frozen(tenant, body)
        if not may_thaw(snapshot, _subject(actor), freeze):
            heads = heads_towards(snapshot, freeze.scope, freeze.target)
            raise _not_entitled("this was frozen above you", snapshot, heads)
        view = self._view(tenant, freeze)
        await self._commit(actor, [], [freeze], self._kernel.clock.now(), note=body.reason)
        return view

    async def declare(self, actor: Actor, declared: Iterable[DeclaredFreeze]) -> None:
        """Take over what the objects of the tenant say now. Raises Unavailable, Conflict."""
        tenant, now = actor.tenant, self._kernel.clock.now()
        snapshot = self._chart.current(tenant).snapshot
        await self._freezer.refresh()
        before = {f.identity: f for f in self._freezer.of(tenant) if f.source is FreezeSource.RESOURCE}
        wanted = {f.identity: f for f in (self._declared(snapshot, actor, said, now) for said in declared)}
        new = [f for key, f in wanted.items() if key not in before or before[key].reason != f.reason]
        gone = [f for key, f in before.items() if key not in wanted]
        if new or gone:
            await self._commit(actor, new, gone, now)

    async def declare_chart(self, tenant: str) -> None:
        """Take over what the chart in force says. Raises Unavailable, Conflict."""
        documents = (d for kind in ("Agent", "OrgNode") for d in self._chart.documents(tenant, kind))
        models = [parse_resource(d, unknown="ignore") for d in documents if _says_freeze(d)]
        await self.declare(self._directory.admin_actor(tenant), declared_freezes(models))

    def _declared(self, snapshot: Snapshot, actor: Actor, said: DeclaredFreeze, now: datetime) -> Freeze:
        rank = rank_of(snapshot, said.by, said.scope, said.target) if said.by else None
        by = actor.id
        if said.by in snapshot.persons:
            by = self._directory.person_actor(snapshot.tenant, said.by).id
        return Freeze(
            said.scope, said.target, said.reason, FreezeSource.RESOURCE, rank or snapshot.root, by, now
        )

    def _target(self, tenant: str, scope: FreezeScope, name: str) -> str:
        if scope is FreezeScope.TENANT:
            return ""
        if scope is FreezeScope.NODE:
            return self._directory.node_key(tenant, name)
        return self._directory.agent_key(tenant, name)

    def _rank(self, snapshot: Snapshot, actor: Actor, body: FreezeCreate, target: str) -> str:
        rank = rank_of(snapshot, _subject(actor), body.scope, target)
        if rank is not None:
            return rank
        if body.break_glass and actor.person in snapshot.persons:
            return NOBODY
        heads = heads_towards(snapshot, body.scope, target)
        raise _not_entitled("heads above freeze this; in an emergency use break-glass", snapshot, heads)

    def _frozen(self, tenant: str, body: ThawCreate) -> Freeze:
        try:
            target = self._target(tenant, body.scope, body.target)
        except NotFound:
            target = body.target  # gone from the chart, and still frozen
        found = [f for f in self._freezer.of(tenant) if (f.scope, f.target) == (body.scope, target)]
        mine = next((f for f in found if f.source is FreezeSource.PERSON), None)
        if mine is not None:
            return mine
        name = f"{body.scope.value.lower()} {target}".strip()
        if found:
            raise Conflict(
                "DeclaredFreeze", f"{name} is frozen by its own spec.freeze", "remove spec.freeze there"
            )
        raise NotFound("NotFrozen", f"{name} is not frozen itself", "cadre status shows what is frozen")

    async def _commit(
        self,
        actor: Actor,
        new: list[Freeze],
        gone: list[Freeze],
        now: datetime,
        note: str = "",
    ) -> None:
        tenant = actor.tenant
        ranks = {freeze.identity: freeze.rank for freeze in self._freezer.of(tenant)}
        statements = (
            *(Statement("freeze_put", _row(tenant, f, ranks.get(f.identity, NOBODY))) for f in new),
            *(Statement("freeze_delete", (tenant, *freeze.identity, freeze.rank)) for freeze in gone),
            *self._consequences(tenant, new, gone, now),
        )
        audit = (
            *(self._audit(actor, "freeze", freeze, freeze.reason) for freeze in new),
            *(self._audit(actor, "thaw", freeze, note) for freeze in gone),
        )
        notify = (CHANNEL, f"agents:{tenant}")
        try:
            await self._kernel.submit(
                Work(tenant, statements, frozenset({f"freeze:{tenant}"}), audit=audit, notify=notify)
            )
        except RowMissing:
            raise Conflict(
                "FreezeChanged", "somebody else froze or thawed it meanwhile", "look, and repeat"
            ) from None
        await self._freezer.refresh()

    def _consequences(
        self, tenant: str, new: list[Freeze], gone: list[Freeze], now: datetime
    ) -> Iterable[Statement]:
        """What becomes of running work: it is told, and its clocks are set on when it goes on."""
        snapshot = self._chart.current(tenant).snapshot
        before = self._freezer.of(tenant)
        after = [f for f in before if f not in gone]
        for agent in frozen_agents(snapshot, new).keys() - frozen_agents(snapshot, before).keys():
            yield _story(tenant, agent, now, FROZEN)
        for freeze in gone:
            for agent in frozen_agents(snapshot, [freeze]):
                others = [f for f in after if f.covers(snapshot.agents[agent])]
                held = stood_still(freeze, others, now).total_seconds()
                yield Statement("task_thaw", (tenant, agent, held, now + self._ttl, now), expect_row=False)
                yield Statement("approval_thaw", (tenant, agent, held, now), expect_row=False)
                if not others:
                    yield _story(tenant, agent, now, "Thawed")

    def _audit(self, actor: Actor, action: str, freeze: Freeze, text: str) -> AuditEntry:
        data: dict[str, object] = {"source": freeze.source.value, "rank": freeze.rank}
        if freeze.break_glass:
            data["breakGlass"] = True
        data["frozenBy"] = freeze.by
        facts = Facts(data, personal={"reason": text} if text else {})
        target = f"{freeze.scope.value.lower()}:{freeze.target or actor.tenant}"
        return self._kernel.audit(actor, action, target, facts=facts)

    def _view(self, tenant: str, freeze: Freeze) -> FreezeView:
        live = self._chart.current(tenant)
        return FreezeView(
            scope=freeze.scope,
            target=freeze.target,
            reason=freeze.reason,
            source=freeze.source,
            by=live.persons_by_id.get(freeze.by, ""),
            at=freeze.at,
            break_glass=freeze.break_glass,
            agents=tuple(sorted(frozen_agents(live.snapshot, [freeze]))),
        )


def _subject(actor: Actor) -> str:
    if actor.type is not ActorType.PERSON:
        return ""
    return TENANT_ADMIN if actor.is_admin else actor.person


def _says_freeze(document: type_json) -> bool:
    spec = document.get("spec")
    return isinstance(spec, dict) and bool(spec.get("freeze"))


def _find(freezes: Iterable[Freeze], wanted: Freeze) -> Freeze | None:
    return next((f for f in freezes if f.identity == wanted.identity), None)


def _outranks(snapshot: Snapshot, rank: str, known: Freeze) -> bool:
    """Whether a second word about the same target counts for more than the first."""
    path = path_to(snapshot, known.scope, known.target) or (snapshot.root,)
    if rank == NOBODY:
        return False
    return known.rank not in path or path.index(rank) < path.index(known.rank)


def _not_entitled(why: str, snapshot: Snapshot, heads: tuple[str, ...]) -> Denied:
    names = ", ".join(heads) or "a tenant admin"
    return Denied("NotEntitled", f"{why}; ask {names}", "have one of them do it")


def _row(tenant: str, freeze: Freeze, former: str) -> tuple[object, ...]:
    said = (freeze.reason, freeze.rank, freeze.by, freeze.at, freeze.break_glass)
    return (tenant, *freeze.identity, *said, former)


def _story(tenant: str, agent: str, now: datetime, kind: str) -> Statement:
    return Statement("freeze_story", (tenant, agent, now, kind, ""), expect_row=False)
