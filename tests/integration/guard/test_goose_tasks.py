"""The same work through real goose, masked and not: the tools receive the same, the requester reads the same,
and of a masked agent the model sees no value.

Here a few of the tasks; `make goose-tasks` runs all of them.
"""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cadre_api.protocol.tasks import TaskState
from cadre_detect.tokens import TOKEN_RE
from tests.integration.guard.company import AGENTS, Company, Done, company, play
from tests.integration.guard.goose_tasks import FEW, SECRET, TASKS, Task
from tests.support.encodings import appears, leaks

CHOSEN = [task for task in TASKS if task.name in FEW or os.environ.get("GOOSE_TASKS") == "all"]
pytestmark = [pytest.mark.goose, pytest.mark.postgres, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def duo(goose: Path) -> Iterator[Company]:
    """Both agents, ready."""
    with company(str(goose)) as stack:
        yield stack


@pytest.fixture(scope="module")
def done(duo: Company) -> dict[tuple[str, str], Done]:
    """The tasks, done by both."""
    return play(duo, CHOSEN)


@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("task", CHOSEN, ids=lambda task: task.name)
def test_a_task_comes_out_the_same(
    duo: Company, done: dict[tuple[str, str], Done], task: Task, agent: str
) -> None:
    it = done[task.name, agent]

    assert it.view.state is TaskState.SUCCEEDED, f"{it.view.reason} {it.view.message}\n{duo.logs(5)}"
    assert it.view.result == task.result
    assert sorted(map(_line, it.received)) == sorted(map(_line, task.received))


def _line(call: tuple[str, object]) -> str:
    return json.dumps(call, sort_keys=True)


@pytest.mark.parametrize("task", CHOSEN, ids=lambda task: task.name)
def test_the_model_of_the_masked_agent_sees_tokens(done: dict[tuple[str, str], Done], task: Task) -> None:
    seen = done[task.name, "masked"].seen

    assert leaks(SECRET, seen) == {}
    assert TOKEN_RE.search(seen.decode())


@pytest.mark.parametrize("task", CHOSEN, ids=lambda task: task.name)
def test_the_model_of_the_other_sees_what_there_is(done: dict[tuple[str, str], Done], task: Task) -> None:
    seen = done[task.name, "plain"].seen

    assert [value for value in task.values if not appears(value, seen)] == []
    assert not TOKEN_RE.search(seen.decode())
