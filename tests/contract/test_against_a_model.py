"""Queue and budgets under any order of calls do what a model of a few lines does, on real Postgres."""

import asyncio
from collections.abc import Coroutine
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from cadre_api.protocol.guard import Completion
from cadre_api.protocol.tasks import TaskCreate
from cadre_controller.errors import BudgetExceeded, LeaseLost
from cadre_controller.ports import AgentIdentity
from cadre_controller.services.assembly import Services
from cadre_controller.services.models import CallOutcome, ModelCall, Reservation
from tests.contract.conftest import TENANT, opened

AGENT, NODE, CAP = "orbit/finance-1", "orbit/finance", Decimal("5.00")
PRIORITIES = (0, 50, 100)
"""Half an hour of waiting apart, so that no slow machine changes their order."""
_HEALTH = [HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large]
_settings = settings(
    max_examples=6, stateful_step_count=20, deadline=None, database=None, suppress_health_check=_HEALTH
)


class Machine(RuleBasedStateMachine):
    """One agent's queue and its node's budget, beside dictionaries that say what they must be."""

    def __init__(self, runner: asyncio.Runner, services: Services, numbers: Any) -> None:
        super().__init__()
        self._runner, self._services, self._numbers = runner, services, numbers
        self._states: dict[str, str] = {}
        self._priorities: dict[str, int] = {}
        self._fences: dict[str, int] = {}
        self._open: list[tuple[Reservation, Decimal]] = []
        self._taken_over = 0
        self._identity = self._instance()
        self._run(services.leases.take_over(self._identity))
        self._spent, self._reserved = self._budget()

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self._runner.run(work)

    def _instance(self) -> AgentIdentity:
        return AgentIdentity(TENANT, AGENT, f"i-{next(self._numbers)}")

    def _budget(self) -> tuple[Decimal, Decimal]:
        states = self._run(self._services.budgets.states(TENANT))
        found = next(state for state in states if state.node == NODE)
        return found.spent, found.reserved

    def _in(self, state: str) -> list[str]:
        return sorted(task for task, known in self._states.items() if known == state)

    @rule(priority=st.sampled_from(PRIORITIES))
    def submit(self, priority: int) -> None:
        clerk = self._services.directory.person_actor(TENANT, "clerk")
        body = TaskCreate(prompt="Go.", agent="finance-1", priority=priority)
        task = self._run(self._services.tasks.create(clerk, body)).view.id
        self._states[task], self._priorities[task] = "Queued", priority

    @rule(capacity=st.integers(1, 3))
    def claim(self, capacity: int) -> None:
        waiting = self._in("Queued")
        leases = self._run(self._services.leases.claim(self._identity, capacity, 0)).leases
        got = [lease.task_id for lease in leases]
        assert set(got) <= set(waiting) and len(got) == min(capacity, len(waiting))
        left = [self._priorities[task] for task in waiting if task not in got]
        assert all(self._priorities[task] >= max(left, default=0) for task in got)
        for lease in leases:
            assert lease.fence > self._fences.get(lease.task_id, 0)
            self._states[lease.task_id], self._fences[lease.task_id] = "Running", lease.fence

    @rule(data=st.data(), stale=st.booleans())
    @precondition(lambda self: self._in("Running"))
    def complete(self, data: st.DataObject, stale: bool) -> None:
        task = data.draw(st.sampled_from(self._in("Running")))
        body = Completion(fence=self._fences[task] - stale, result="done")
        if stale:
            with pytest.raises(LeaseLost):
                self._run(self._services.leases.complete(self._identity, task, body))
            return
        for _ in range(2):
            self._run(self._services.leases.complete(self._identity, task, body))
        self._states[task] = "Succeeded"

    @rule(data=st.data())
    @precondition(lambda self: self._states)
    def cancel(self, data: st.DataObject) -> None:
        task = data.draw(st.sampled_from(sorted(self._states)))
        clerk = self._services.directory.person_actor(TENANT, "clerk")
        self._run(self._services.tasks.cancel(clerk, task))
        if self._states[task] in ("Queued", "Running"):
            self._states[task] = "Cancelled"

    @rule()
    @precondition(lambda self: self._taken_over < 2)
    def take_over(self) -> None:
        """A third time would make a task poison."""
        old, self._identity = self._identity, self._instance()
        running = self._in("Running")
        assert self._run(self._services.leases.take_over(self._identity)) == len(running)
        self._taken_over += bool(running)
        for task in running:
            self._states[task] = "Queued"
            with pytest.raises(LeaseLost):
                body = Completion(fence=self._fences[task], result="late")
                self._run(self._services.leases.complete(old, task, body))

    @rule(amount=st.sampled_from([Decimal("0.40"), Decimal("2.50")]))
    @precondition(lambda self: self._states)
    def reserve(self, amount: Decimal) -> None:
        task, number = min(self._states), next(self._numbers)
        call = ModelCall(
            TENANT, AGENT, task, "ses_x", f"call-{number}", "orbit/models", "small", "work", amount, 1
        )
        fits = self._spent + self._reserved + amount <= CAP
        if not fits:
            with pytest.raises(BudgetExceeded):
                self._run(self._services.budgets.reserve(call))
            return
        self._open.append((self._run(self._services.budgets.reserve(call)), amount))
        self._reserved += amount

    @rule(used=st.sampled_from([None, Decimal("0.01"), Decimal("0.30")]))
    @precondition(lambda self: self._open)
    def close(self, used: Decimal | None) -> None:
        reservation, amount = self._open.pop(0)
        for _ in range(2):
            if used is None:
                self._run(self._services.budgets.release(reservation, "ModelStreamCut"))
            else:
                self._run(self._services.budgets.settle(reservation, CallOutcome(1, 0, used)))
        self._reserved -= amount
        self._spent += used or Decimal(0)

    @invariant()
    def as_in_the_model(self) -> None:
        found = {task: self._run(self._services.tasks.get(TENANT, task)).state for task in self._states}
        assert found == self._states
        assert self._budget() == (self._spent, self._reserved)

    def teardown(self) -> None:
        """Leave nothing to the next example."""
        for reservation, _ in self._open:
            self._run(self._services.budgets.release(reservation, "ModelStreamCut"))
        clerk = self._services.directory.person_actor(TENANT, "clerk")
        for task in (*self._in("Queued"), *self._in("Running")):
            self._run(self._services.tasks.cancel(clerk, task))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("server", ["embedded"], indirect=True)
def test_queue_and_budgets_are_those_of_a_model(dsn: str, tmp_path: Path) -> None:
    numbers = iter(range(1, 1_000_000))
    with asyncio.Runner() as runner:
        stack = AsyncExitStack()
        services = runner.run(stack.enter_async_context(opened(dsn, tmp_path)))
        try:
            run_state_machine_as_test(lambda: Machine(runner, services, numbers), settings=_settings)
        finally:
            runner.run(stack.aclose())
