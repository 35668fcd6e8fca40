"""The chart in force: applied whole or not at all, compiled once per revision, kept in memory, sealed where
it names people."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cadre_api.data_classes import DataClass, class_of
from cadre_api.protocol.base import type_json
from cadre_api.protocol.guard import GuardRules, GuardTerm
from cadre_api.v1alpha1 import KINDS
from cadre_controller.errors import CadreError, ChartInvalid, Conflict, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.chart_rows import (
    Objects,
    bundle_digests,
    document_of,
    read_objects,
    write_objects,
)
from cadre_controller.services.kernel import Facts, Kernel
from cadre_controller.services.models import ApplyResult, LiveChart, PlanResult
from cadre_controller.services.recognizers import recognizer_problems
from cadre_controller.services.ruling_book import CHANNEL as RULINGS
from cadre_controller.services.ruling_book import RulingBook
from cadre_controller.store.work import RowMissing, Statement, Work
from cadre_core.bundle import guard_rules
from cadre_core.compile import compile_chart
from cadre_core.load import Resources, parse_documents
from cadre_core.model import EffectiveAgent, Problem, Snapshot
from cadre_core.plan import AgentChange, plan
from cadre_core.policy.decide import compile_policies
from cadre_core.route_index import route_index
from cadre_detect.linking import People

logger = logging.getLogger(__name__)
CHANNEL = "charts"


@dataclass(slots=True)
class _Tenant:
    """What is kept of one tenant between requests."""

    live: LiveChart
    generation: int
    objects: Objects
    bundles: Mapping[str, tuple[int, str]]
    """Agent -> (generation, digest)."""
    rules: dict[str, GuardRules] = field(default_factory=dict)
    people: People | None = None


class ChartService:
    """Apply, plan, and the compiled chart of each tenant."""

    def __init__(self, kernel: Kernel, *, node_analyzer: bool = False) -> None:
        """`node_analyzer`: machines have an analyzer that agents may share."""
        self._kernel = kernel
        self._node_analyzer = node_analyzer
        self._tenants: dict[str, _Tenant] = {}
        self._unusable: dict[str, int] = {}
        """Tenant -> the stored generation that does not compile here, so that it is told once."""
        self._applying = asyncio.Lock()
        self.rulings = RulingBook(kernel)

    async def start(self) -> None:
        """Load every tenant's chart from the store."""
        for row in await self._kernel.db.fetch((), "tenants"):
            await self._load(row["tenant"])
        await self.rulings.refresh(self.tenants())

    async def follow(self) -> None:
        """Keep up with what other processes apply and rule, until cancelled or the process stops waiting."""
        await self._kernel.wakeups.until((CHANNEL, RULINGS), self._look, float("inf"))

    async def _look(self) -> None:
        try:
            await self.refresh()
        except CadreError as error:
            logger.warning("charts not read", extra={"reason": error.reason})
        await self.rulings.look(self.tenants())

    async def refresh(self) -> None:
        """Load charts that another process has applied. Raises Unavailable."""
        for row in await self._kernel.db.fetch((), "tenants"):
            tenant = row["tenant"]
            latest = await self._kernel.db.fetch_one(tenant, "snapshot_latest", tenant)
            if latest is not None and self._is_news(tenant, latest["generation"]):
                await self._load(tenant)

    def _is_news(self, tenant: str, generation: int) -> bool:
        known = self._tenants.get(tenant)
        if self._unusable.get(tenant) == generation:
            return False
        return known is None or known.generation < generation

    def tenants(self) -> tuple[str, ...]:
        """Tenants with a chart."""
        return tuple(sorted(self._tenants))

    def current(self, tenant: str) -> LiveChart:
        """The compiled chart. Raises NotFound(ChartMissing)."""
        return self._entry(tenant).live

    def agent(self, tenant: str, agent: str) -> EffectiveAgent:
        """One agent of the chart. Raises NotFound(ChartMissing, UnknownAgent)."""
        found = self.current(tenant).snapshot.agents.get(agent)
        if found is None:
            raise NotFound("UnknownAgent", f"there is no agent {agent}", "cadre get agents lists them")
        return found

    def guard_rules(self, tenant: str, agent: str) -> GuardRules:
        """The agent's guard rules, with what is ruled for it now; without an agent of the chart, masking with
        the names of everyone in it."""
        entry = self._entry(tenant)
        if agent not in entry.rules:
            snapshot = entry.live.snapshot
            if agent in snapshot.agents:
                rules = guard_rules(snapshot, snapshot.agents[agent])
            else:
                rules = GuardRules(terms=_names(snapshot))
            entry.rules[agent] = rules
        return self.rulings.applied(tenant, entry.live.snapshot.agents.get(agent), entry.rules[agent])

    def people(self, tenant: str) -> People:
        """The persons of the chart by the spellings that name just one of them."""
        entry = self._entry(tenant)
        if entry.people is None:
            persons = entry.live.snapshot.persons.values()
            entry.people = People((p.display_name, p.email) for p in persons)
        return entry.people

    def data_class(self, tenant: str, entity_type: str) -> str:
        """Class of an entity type, the tenant's own recognizers included; the most sensitive where they
        differ."""
        agents = self._entry(tenant).live.snapshot.agents.values()
        own = {a.guard.entity_classes[entity_type] for a in agents if entity_type in a.guard.entity_classes}
        return max(own, key=_CLASSES.index) if own else class_of(entity_type).value

    def bundle_version(self, tenant: str, agent: str) -> tuple[int, str]:
        """(generation, digest) of the agent's bundle. Raises NotFound."""
        found = self.agent(tenant, agent)
        generation, digest = self._entry(tenant).bundles[agent]
        return generation + self.rulings.revision(tenant), self.rulings.digest(tenant, found, digest)

    def documents(self, tenant: str, kind: str) -> tuple[type_json, ...]:
        """Objects of a kind as applied. Raises NotFound(UnknownKind)."""
        names = {name.lower(): name for name in KINDS} | {f"{name.lower()}s": name for name in KINDS}
        if kind.lower() not in names:
            raise NotFound(
                "UnknownKind", f"there is no kind {kind}", f"use one of {', '.join(sorted(KINDS))}"
            )
        objects = self._entry(tenant).objects
        return tuple(o.document for (k, _), o in sorted(objects.items()) if k == names[kind.lower()])

    def objects(self, tenant: str) -> Objects:
        """Everything as applied, with the files it came from. Raises NotFound(ChartMissing)."""
        return self._entry(tenant).objects

    async def plan(self, documents: Sequence[tuple[str, str]]) -> PlanResult:
        """What these documents would change for each agent."""
        resources, problems = await asyncio.to_thread(parse_documents, list(documents))
        snapshot, more = await asyncio.to_thread(self._compile, resources)
        found = (*problems, *more)
        if snapshot is None or found:
            return PlanResult((), found)
        return PlanResult(self._changes(snapshot), ())

    async def apply(
        self,
        documents: Sequence[tuple[str, str]],
        actor: Actor,
        *,
        dry_run: bool = False,
        onto: Objects | None = None,
    ) -> ApplyResult:
        """Make (file, text) documents the whole chart of their tenant; `onto` is the chart that they were
        made from.

        Raises ChartInvalid with every problem, Conflict(StateChanged) when `onto` is no longer in force.
        """
        resources, problems = await asyncio.to_thread(parse_documents, list(documents))
        snapshot, more = await asyncio.to_thread(self._compile, resources)
        if problems or more or snapshot is None:
            raise ChartInvalid((*problems, *more))
        async with self._applying:
            if onto is not None and self._entry(snapshot.tenant).objects is not onto:
                raise _overtaken()
            return await self._apply(resources, snapshot, actor, dry_run)

    async def _apply(
        self, resources: Resources, snapshot: Snapshot, actor: Actor, dry_run: bool
    ) -> ApplyResult:
        tenant = snapshot.tenant
        known = self._tenants.get(tenant)
        changed = known is None or known.live.snapshot.revision != snapshot.revision
        changes = self._changes(snapshot)
        result = ApplyResult(tenant, snapshot.revision, tuple(sorted(snapshot.agents)), changed, changes)
        if dry_run or not changed:
            return result
        entry = await self._next(resources, snapshot, known)
        try:
            await self._kernel.submit(self._work(entry, known, actor, changes))
        except RowMissing:
            await self.refresh()
            raise _overtaken() from None
        self._tenants[tenant] = entry
        self._kernel.wakeups.wake((f"chart:{tenant}",))
        return result

    async def _next(self, resources: Resources, snapshot: Snapshot, known: _Tenant | None) -> _Tenant:
        live = await asyncio.to_thread(self._live, snapshot)
        digests = await asyncio.to_thread(bundle_digests, snapshot)
        before = known.bundles if known is not None else {}
        bundles = dict(before)
        for agent, digest in digests.items():
            generation, old = before.get(agent, (0, ""))
            bundles[agent] = (generation, old) if old == digest else (generation + 1, digest)
        generation = known.generation + 1 if known is not None else 1
        return _Tenant(live, generation, read_objects(resources), bundles)

    def _work(
        self, entry: _Tenant, known: _Tenant | None, actor: Actor, changes: tuple[AgentChange, ...]
    ) -> Work:
        snapshot = entry.live.snapshot
        tenant, now = snapshot.tenant, self._kernel.clock.now()
        before = known.objects if known is not None else {}
        statements = [
            Statement("tenant_ensure", (tenant,)),
            *write_objects(tenant, self._kernel.keystore.tenant(tenant), before, entry.objects),
            Statement("snapshot_insert", (tenant, entry.generation, snapshot.revision, actor.id, now)),
            *(
                Statement("bundle_put", (tenant, agent, *version))
                for agent, version in entry.bundles.items()
                if known is None or known.bundles.get(agent) != version
            ),
        ]
        summary = [{"agent": change.agent, "change": str(change.change)} for change in changes]
        facts = Facts(
            {"revision": snapshot.revision, "agents": [c for c in summary if c["change"] != "Same"]}
        )
        author = Actor(tenant, actor.type, actor.id, actor.role, trace_id=actor.trace_id)
        entry_ = self._kernel.audit(author, "chart.apply", f"tenant:{tenant}", "ok", facts)
        channels = (CHANNEL, f"chart:{tenant}")
        keys = frozenset({f"chart:{tenant}"})
        return Work(tenant, tuple(statements), keys, audit=(entry_,), notify=channels)

    async def _load(self, tenant: str) -> None:
        kernel = self._kernel
        latest = await kernel.db.fetch_one(tenant, "snapshot_latest", tenant)
        if latest is None:
            return
        rows = await kernel.db.fetch(tenant, "chart_objects", tenant)
        keys = kernel.keystore.tenant(tenant)
        models = [KINDS[row["kind"]].model_validate(document_of(tenant, keys, row)) for row in rows]
        resources = Resources.of_models(models)
        snapshot, problems = await asyncio.to_thread(self._compile, resources)
        if snapshot is None or problems:
            logger.error("stored chart does not compile", extra={"tenant": tenant, "problems": len(problems)})
            self._unusable[tenant] = latest["generation"]
            return
        bundles = {
            row["agent"]: (row["generation"], row["digest"])
            for row in await kernel.db.fetch(tenant, "bundles", tenant)
        }
        live = await asyncio.to_thread(self._live, snapshot)
        if not self._is_news(tenant, latest["generation"]):
            return  # applied here meanwhile
        self._tenants[tenant] = _Tenant(live, latest["generation"], read_objects(resources), bundles)
        kernel.wakeups.wake((f"chart:{tenant}",))

    def _live(self, snapshot: Snapshot) -> LiveChart:
        keys = self._kernel.keystore.tenant(snapshot.tenant)
        persons = {keys.person_id(p.issuer, p.subject): p.key for p in snapshot.persons.values()}
        return LiveChart(snapshot, compile_policies(snapshot), route_index(snapshot), persons)

    def _changes(self, snapshot: Snapshot) -> tuple[AgentChange, ...]:
        known = self._tenants.get(snapshot.tenant)
        return plan(known.live.snapshot if known is not None else None, snapshot)

    def _compile(self, resources: Resources) -> tuple[Snapshot | None, tuple[Problem, ...]]:
        result = compile_chart(resources, node_analyzer=self._node_analyzer)
        return result.snapshot, (*result.problems, *recognizer_problems(resources))

    def _entry(self, tenant: str) -> _Tenant:
        found = self._tenants.get(tenant)
        if found is None:
            raise NotFound("ChartMissing", f"no chart is applied for tenant {tenant!r}", "run `cadre apply`")
        return found


def _overtaken() -> Conflict:
    return Conflict("StateChanged", "another chart was applied meanwhile", "plan and apply again")


_CLASSES = [data_class.value for data_class in DataClass]


def _names(snapshot: Snapshot) -> tuple[GuardTerm, ...]:
    terms = [(p.display_name, "PERSON") for p in snapshot.persons.values()]
    terms += [(p.email, "EMAIL_ADDRESS") for p in snapshot.persons.values()]
    return tuple(GuardTerm(text=text, entity_type=kind) for text, kind in terms if text)
