"""Approvals and sessions under any order of calls do what a model of a few lines does, on real Postgres."""

import asyncio
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cadre_api.protocol.tasks import ApprovalKind, ApprovalState, DecisionCreate
from cadre_controller.errors import Conflict, Denied, InvalidInput, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services import panels
from cadre_controller.services.approval_rows import ApprovalDraft
from cadre_controller.services.assembly import Services
from cadre_core.model import ApprovalRule
from tests.contract.conftest import TENANT, opened

PEOPLE = ("boss", "head", "clerk", "seller")
LINES = {"orbit/finance": ("head", "boss"), "orbit/sales": ("seller", "boss")}
_HEALTH = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
_settings = settings(
    max_examples=5, stateful_step_count=16, deadline=None, database=None, derandomize=True,
    phases=(Phase.generate,), suppress_health_check=_HEALTH,
)  # fmt: skip


class Machine(RuleBasedStateMachine):
    """What both machines share."""

    def __init__(self, runner: asyncio.Runner, services: Services, numbers: Iterator[int]) -> None:
        super().__init__()
        self._runner, self._services, self._numbers = runner, services, numbers

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def _person(self, name: str) -> Actor:
        return self._services.directory.person_actor(TENANT, name)


@dataclass
class Asked:
    """An approval as the model knows it."""

    requester: str
    nodes: tuple[str, ...]
    """One requirement for each: the head of this node."""
    quorum: int
    level: int = 0
    state: str = "Pending"
    votes: dict[str, ApprovalState] = field(default_factory=dict)
    agreed: dict[str, set[str]] = field(default_factory=dict)
    """Node -> whose yes counts there: of those who could decide there when they gave it."""

    def line(self, node: str) -> list[str]:
        """Who is above, without who asks and who agreed elsewhere."""
        here = self.agreed.get(node, set())
        barred = {self.requester}.union(*self.agreed.values()) - here
        return [person for person in LINES[node] if person not in barred]

    def panel(self, node: str) -> list[str]:
        """Who of them may decide now."""
        return self.line(node)[: self.level + self.quorum]

    def open(self) -> list[str]:
        """Nodes for which not enough have agreed."""
        return [node for node in self.nodes if len(self.agreed.get(node, ())) < self.quorum]

    def deciders(self) -> set[str]:
        """Who may decide something now."""
        return {person for node in self.open() for person in self.panel(node)} - set(self.votes)

    def top(self) -> int:
        """Of the open lines, the height of the lowest."""
        return min(len(self.line(node)) for node in self.open()) - self.quorum


class Approvals(Machine):
    """Approvals of steps, asked of one or two lines, beside what they must be."""

    def __init__(self, runner: asyncio.Runner, services: Services, numbers: Iterator[int]) -> None:
        super().__init__(runner, services, numbers)
        self._asked: dict[str, Asked] = {}

    @rule(
        requester=st.sampled_from(PEOPLE[1:]),
        nodes=st.sampled_from([("orbit/finance",), ("orbit/sales",), tuple(LINES)]),
        quorum=st.integers(1, 2),
    )
    def ask(self, requester: str, nodes: tuple[str, ...], quorum: int) -> None:
        """Twice: the second one finds the first."""
        asked = Asked(requester, nodes, quorum if requester == "clerk" else 1)
        step = f"step-{next(self._numbers)}"
        now = self._services.kernel.clock.now()
        rules = [
            ApprovalRule("ReportingLine", "Head", "", asked.quorum, True, 3600, "Escalate", node)
            for node in nodes
        ]
        named = [(f"orbit/p#{n}", one) for n, one in enumerate(rules)]
        draft = ApprovalDraft(
            kind=ApprovalKind.STEP,
            session_id="ses_model",
            step_id=step,
            node="orbit/finance",
            requester=self._person(requester).id,
            arguments={"step": step},
            arguments_hash=f"sha256:{step}",
            requirements=panels.requirements_of(named, now),
        )
        first, second = (self._run(self._services.approvals.request_once(TENANT, draft)).id for _ in range(2))
        assert first == second
        self._asked[first] = asked

    @rule(
        data=st.data(),
        name=st.sampled_from(PEOPLE),
        decision=st.sampled_from([ApprovalState.APPROVED] * 3 + [ApprovalState.DENIED]),
    )
    @precondition(lambda self: self._asked)
    def decide(self, data: st.DataObject, name: str, decision: ApprovalState) -> None:
        """Whoever may: it counts once. Whoever may not: refused, with why."""
        key = data.draw(st.sampled_from(sorted(self._asked)))
        asked, actor, body = self._asked[key], self._person(name), DecisionCreate(decision=decision)
        work = self._services.approvals.decide(actor, key, body)
        repeated = asked.votes.get(name) is decision
        if not repeated and (asked.state != "Pending" or name in asked.votes):
            with pytest.raises(Conflict):
                self._run(work)
        elif not repeated and name not in asked.deciders():
            with pytest.raises(Denied):
                self._run(work)
        else:
            self._run(work)
            self._count(asked, name, decision)

    def _count(self, asked: Asked, name: str, decision: ApprovalState) -> None:
        if name in asked.votes:
            return
        asked.votes[name] = decision
        if decision is ApprovalState.DENIED:
            asked.state = "Denied"
            return
        for node in asked.open():
            if name in asked.panel(node):
                asked.agreed.setdefault(node, set()).add(name)
        asked.state = "Pending" if asked.open() else "Approved"

    @rule(data=st.data())
    @precondition(lambda self: self._asked)
    def let_time_pass(self, data: st.DataObject) -> None:
        """One level up; at the top it ends."""
        key = data.draw(st.sampled_from(sorted(self._asked)))
        asked = self._asked[key]
        self._run(self._overdue(key))
        if asked.state == "Pending":
            asked.state = "Expired" if asked.level >= asked.top() else "Pending"
            asked.level += asked.state == "Pending"

    async def _overdue(self, key: str) -> None:
        async with self._services.kernel.db.connection((TENANT,)) as connection:
            await connection.execute(
                "UPDATE approvals SET expires_at = now() - interval '1 hour', requirements = (SELECT "
                "jsonb_agg(jsonb_set(r, '{due}', to_jsonb((now() - interval '1 hour')::text)))"
                " FROM jsonb_array_elements(requirements) r) WHERE id = $1 AND state = 'Pending'",
                key,
            )
        await self._services.approvals.sweep((TENANT,))

    @rule(data=st.data())
    @precondition(lambda self: self._asked)
    def withdraw(self, data: st.DataObject) -> None:
        """Nobody needs it any more; what was decided stays."""
        key = data.draw(st.sampled_from(sorted(self._asked)))
        self._run(self._services.approvals.withdraw(self._person("clerk"), key))
        if self._asked[key].state == "Pending":
            self._asked[key].state = "Expired"

    @invariant()
    def as_in_the_model(self) -> None:
        for key, asked in self._asked.items():
            view = self._run(self._services.approvals.get(TENANT, key))
            assert view.state == asked.state
            if asked.state == "Pending":
                shown = {person.removeprefix("orbit/") for person in view.approvers}
                assert shown == asked.deciders()


@dataclass
class Known:
    """A session as the model knows it."""

    members: set[str]
    shards: list[tuple[str, str, str]] = field(default_factory=list)
    """Id, data class and text."""


class Sessions(Machine):
    """Sessions, their shards and hand-offs, beside what they must be."""

    def __init__(self, runner: asyncio.Runner, services: Services, numbers: Iterator[int]) -> None:
        super().__init__(runner, services, numbers)
        self._known: dict[str, Known] = {}

    def _actor(self, data: st.DataObject) -> Actor:
        return self._person(data.draw(st.sampled_from(PEOPLE)))

    @rule(data=st.data(), agent=st.sampled_from(["agent:orbit/finance-1", "agent:orbit/none"]))
    def create(self, data: st.DataObject, agent: str) -> None:
        actor = self._actor(data)
        work = self._services.sessions.create(actor, (agent,))
        if agent.endswith("none"):
            with pytest.raises(InvalidInput):
                self._run(work)
            return
        self._known[self._run(work).id] = Known({actor.id, agent})

    @rule(data=st.data(), data_class=st.sampled_from(["PUBLIC", "INTERNAL", "FINANCIAL"]))
    @precondition(lambda self: self._known)
    def add(self, data: st.DataObject, data_class: str) -> None:
        key, actor = data.draw(st.sampled_from(sorted(self._known))), self._actor(data)
        text = f"part {next(self._numbers)}"
        work = self._services.sessions.add_shard(actor, key, text, data_class)
        if actor.id not in self._known[key].members:
            with pytest.raises(Denied):
                self._run(work)
            return
        self._known[key].shards.append((self._run(work).id, data_class, text))

    @rule(data=st.data(), to=st.sampled_from(["orbit/sales-1", "orbit/finance-1"]), some=st.booleans())
    @precondition(lambda self: self._known)
    def hand_over(self, data: st.DataObject, to: str, some: bool) -> None:
        """The receiver gets copies of what it may see, and nothing else."""
        key, actor = data.draw(st.sampled_from(sorted(self._known))), self._actor(data)
        session = self._known[key]
        chosen = [s for i, s in enumerate(session.shards) if i % 2 == 0] if some else session.shards
        ids = [shard_id for shard_id, _, _ in chosen]
        work = self._services.sessions.handoff(actor, key, f"agent:{to}", ids)
        if actor.id not in session.members:
            with pytest.raises(Denied):
                self._run(work)
            return
        view = self._run(work)
        sees = {"PUBLIC", "INTERNAL", *(["FINANCIAL"] if to == "orbit/finance-1" else [])}
        visible = [(kind, text) for _, kind, text in chosen if kind in sees]
        assert view.parent_session_id == key
        assert [(s.data_class, s.text) for s in view.shards] == visible
        copies = [(s.id, s.data_class, s.text) for s in view.shards]
        assert not {i for i, _, _ in copies} & set(ids)
        self._known[view.id] = Known({actor.id, f"agent:{to}"}, copies)

    @rule(data=st.data())
    @precondition(lambda self: self._known)
    def hand_over_what_is_elsewhere(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self._known)))
        admin = self._services.directory.admin_actor(TENANT)
        with pytest.raises(NotFound):
            self._run(
                self._services.sessions.handoff(admin, key, "agent:orbit/finance-1", ["shd_of_another"])
            )

    @invariant()
    def as_in_the_model(self) -> None:
        for key, known in self._known.items():
            view = self._run(self._services.sessions.get(TENANT, key))
            assert set(view.participants) == known.members
            assert [(s.id, s.data_class, s.text) for s in view.shards] == known.shards


@pytest.mark.timeout(600)
@pytest.mark.parametrize("server", ["embedded"], indirect=True)
@pytest.mark.parametrize("machine", [Approvals, Sessions])
def test_what_people_do_is_that_of_a_model(dsn: str, tmp_path: Path, machine: type[Machine]) -> None:
    numbers = iter(range(1, 1_000_000))
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        services = runner.run(stack.enter_async_context(opened(dsn, tmp_path)))
        try:
            run_state_machine_as_test(lambda: machine(runner, services, numbers), settings=_settings)
        finally:
            runner.run(stack.aclose())
