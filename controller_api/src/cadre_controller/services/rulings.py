"""People rule about findings: this value is none here, that value is one; for a time, sealed and audited."""

from collections.abc import Sequence
from datetime import timedelta

from cadre_api.protocol.base import ActorType
from cadre_api.protocol.freeze import FreezeScope
from cadre_api.protocol.rulings import RulingCreate, RulingKind, RulingScope, RulingView
from cadre_controller.errors import CadreError, Conflict, Denied, InvalidInput, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.chart import ChartService
from cadre_controller.services.directory import DirectoryService
from cadre_controller.services.kernel import Facts, Kernel, system_actor
from cadre_controller.services.ruling_book import CHANNEL
from cadre_controller.store.work import AuditEntry, RowMissing, Statement, Work
from cadre_core.freeze import heads_towards
from cadre_core.policy.request import TENANT_ADMIN
from cadre_core.rulings import Ruling, may_rule, releasable

LONGEST = {RulingKind.RELEASE: timedelta(days=90), RulingKind.ADD: timedelta(days=366)}
MOST = 2000
"""Rulings of one tenant: each is looked for in every text."""


class RulingService:
    """What the public port calls, and the sweep that ends rulings."""

    def __init__(self, kernel: Kernel, chart: ChartService, directory: DirectoryService) -> None:
        self._kernel = kernel
        self._chart = chart
        self._directory = directory

    async def rule(self, actor: Actor, body: RulingCreate) -> RulingView:
        """Release or add a value. Raises NotFound, InvalidInput, Denied(NotEntitled, NeverReleased),
        Conflict(TooManyRulings)."""
        kernel, now = self._kernel, self._kernel.clock.now()
        ruling = Ruling(
            id=kernel.ids.new("rul"),
            kind=body.ruling,
            scope=body.scope,
            target=self._target(actor.tenant, body.scope, body.target),
            entity_type=body.entity_type,
            value=" ".join(body.value.split()),
            reason=body.reason,
            by=actor.id,
            at=now,
            until=body.until,
        )
        try:
            self._check(actor, ruling)
        except CadreError as error:
            await self._refused(actor, ruling, error)
            raise
        row = (
            actor.tenant, ruling.id, ruling.kind.value, ruling.scope.value, ruling.target, ruling.entity_type,
            self._chart.rulings.sealed(actor.tenant, ruling), actor.id, now, ruling.until,
        )  # fmt: skip
        await self._commit(actor, [Statement("ruling_insert", row)], [self._audit(actor, ruling)])
        return self._view(actor, ruling)

    async def revoke(self, actor: Actor, ruling_id: str) -> RulingView:
        """Take a ruling back before its time. Raises NotFound(NoRuling), Denied(NotEntitled)."""
        await self._chart.rulings.refresh((actor.tenant,))
        ruling = next((r for r in self._chart.rulings.of(actor.tenant) if r.id == ruling_id), None)
        if ruling is None:
            raise _no_ruling(ruling_id)
        self._check_right(actor, ruling)
        statement = Statement("ruling_delete", (actor.tenant, ruling.id))
        try:
            await self._commit(actor, [statement], [self._audit(actor, ruling, "finding.revoke")])
        except RowMissing:
            raise _no_ruling(ruling_id) from None
        return self._view(actor, ruling)

    def views(self, actor: Actor) -> tuple[RulingView, ...]:
        """Rulings in force that the person may take back."""
        now = self._kernel.clock.now()
        rulings = (r for r in self._chart.rulings.of(actor.tenant) if r.until > now)
        return tuple(self._view(actor, r) for r in rulings if self._may(actor, r))

    async def sweep(self, tenants: Sequence[str]) -> int:
        """Forget rulings whose time is over; how many. Raises Unavailable."""
        now, count = self._kernel.clock.now(), 0
        await self._chart.rulings.refresh(tenants)
        for tenant in tenants:
            over = [ruling for ruling in self._chart.rulings.of(tenant) if ruling.until <= now]
            for ruling in over:
                count += await self._end(tenant, ruling)
        return count

    async def _end(self, tenant: str, ruling: Ruling) -> int:
        actor = system_actor(tenant, "rulings")
        statement = Statement("ruling_delete", (tenant, ruling.id))
        try:
            await self._commit(actor, [statement], [self._audit(actor, ruling, "finding.expire")])
        except RowMissing:
            return 0  # another process was first
        return 1

    def _target(self, tenant: str, scope: RulingScope, name: str) -> str:
        if scope is RulingScope.TENANT:
            return ""
        if scope is RulingScope.NODE:
            return self._directory.node_key(tenant, name)
        return self._directory.agent_key(tenant, name)

    def _check(self, actor: Actor, ruling: Ruling) -> None:
        now, longest = self._kernel.clock.now(), LONGEST[ruling.kind]
        if not now < ruling.until <= now + longest:
            raise InvalidInput(
                "BadUntil",
                f"until: must lie in the future, at most {longest.days} days from now",
                "rule again when the time is over and it still holds",
            )
        if len(ruling.value) < 2 or not any(c.isalnum() for c in ruling.value):
            raise InvalidInput(
                "BadValue", "value: needs two characters and a letter or digit", "give the whole value"
            )
        self._check_right(actor, ruling)
        if ruling.kind is RulingKind.RELEASE:
            self._check_releasable(actor.tenant, ruling)
        if len(self._chart.rulings.of(actor.tenant)) >= MOST:
            raise Conflict("TooManyRulings", f"there are {MOST} rulings", "revoke some: cadre guard list")

    def _check_right(self, actor: Actor, ruling: Ruling) -> None:
        if self._may(actor, ruling):
            return
        snapshot = self._chart.current(actor.tenant).snapshot
        heads = heads_towards(snapshot, FreezeScope(ruling.scope.value), ruling.target)
        above = [h for h in heads if may_rule(snapshot, h, ruling.kind, ruling.scope, ruling.target)]
        names = ", ".join([*above, "a tenant admin"])
        raise Denied("NotEntitled", f"you may not rule for this place; ask {names}", "have one of them do it")

    def _may(self, actor: Actor, ruling: Ruling) -> bool:
        if actor.type is not ActorType.PERSON:
            return False
        snapshot = self._chart.current(actor.tenant).snapshot
        person = TENANT_ADMIN if actor.is_admin else actor.person
        return may_rule(snapshot, person, ruling.kind, ruling.scope, ruling.target)

    def _check_releasable(self, tenant: str, ruling: Ruling) -> None:
        data_class = self._chart.data_class(tenant, ruling.entity_type)
        for agent in self._agents(tenant, ruling) or ("",):
            rules = self._chart.guard_rules(tenant, agent)
            if not releasable(rules, ruling.entity_type, data_class):
                raise Denied(
                    "NeverReleased",
                    f"entityType: {ruling.entity_type} is a credential, on a deny list, or blocked by policy"
                    + (f" for {agent}" if agent else ""),
                    "credentials are never released; for what a policy blocks, change the policy",
                )

    def _agents(self, tenant: str, ruling: Ruling) -> tuple[str, ...]:
        agents = self._chart.current(tenant).snapshot.agents.values()
        return tuple(sorted(agent.key for agent in agents if ruling.covers(agent)))

    async def _commit(self, actor: Actor, statements: list[Statement], audit: list[AuditEntry]) -> None:
        tenant = actor.tenant
        revised = (*statements, Statement("ruling_revise", (tenant,)))
        keys = frozenset({f"rulings:{tenant}"})
        await self._kernel.submit(Work(tenant, revised, keys, audit=tuple(audit), notify=(CHANNEL,)))
        await self._chart.rulings.refresh((tenant,))

    async def _refused(self, actor: Actor, ruling: Ruling, error: CadreError) -> None:
        entry = self._audit(actor, ruling, result="refused", reason=error.reason)
        await self._kernel.submit(Work(actor.tenant, audit=(entry,)))

    def _audit(
        self, actor: Actor, ruling: Ruling, action: str = "", result: str = "ok", reason: str = ""
    ) -> AuditEntry:
        facts = Facts(
            {
                "ruling": ruling.id,
                "entityType": ruling.entity_type,
                "until": ruling.until.isoformat(),
                **({"reason": reason} if reason else {}),
            },
            personal={"value": ruling.value, "reason": ruling.reason},
        )
        target = f"{ruling.scope.value.lower()}:{ruling.target or actor.tenant}"
        return self._kernel.audit(
            actor, action or f"finding.{ruling.kind.value.lower()}", target, result, facts
        )

    def _view(self, actor: Actor, ruling: Ruling) -> RulingView:
        cleared = self._chart.data_class(actor.tenant, ruling.entity_type) in actor.clearance
        return RulingView(
            id=ruling.id,
            ruling=ruling.kind,
            scope=ruling.scope,
            target=ruling.target,
            entity_type=ruling.entity_type,
            value=ruling.value if cleared else "",
            reason=ruling.reason if cleared else "",
            by=self._chart.current(actor.tenant).persons_by_id.get(ruling.by, ""),
            at=ruling.at,
            until=ruling.until,
            agents=self._agents(actor.tenant, ruling),
        )


def _no_ruling(ruling_id: str) -> NotFound:
    return NotFound("NoRuling", f"there is no ruling {ruling_id}", "cadre guard list shows them")
