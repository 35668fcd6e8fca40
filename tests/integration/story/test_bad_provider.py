"""A provider that is away, talks nonsense or stops short: retried or failed with a reason."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cadre_api.protocol.tasks import TaskCreate, TaskState, TaskView
from tests.integration.story.play import Play, seeded_values
from tests.integration.story.stack import Stack
from tests.support.encodings import leaks
from tests.support.ports import free_port
from tests.support.scripted import Scripted, scripted

pytestmark = [pytest.mark.goose, pytest.mark.postgres, pytest.mark.timeout(300)]

ASK = "Write one line for Oliver Hayes, oliver.hayes@brightharbour.example, about the lamp."
GOOD = "  - {name: good, reply: {text: The Nordlight shines.}}\n"
PASSING_FAULTS = {
    "server error": "{status: 503}",
    "rate limit": "{status: 429, headers: {Retry-After: '1'}}",
    "garbage": "{garbage: '<html>oops</html>'}",
    "error event": "{errorEvent: overloaded}",
    "empty": "{empty: true}",
    "cut": "{cutAfter: 3}",
    "hang": "{hangAfter: 3}",
    "silence": "{silent: true}",
}


@contextmanager
def provider(acme: Stack, rules: str, tmp_path: Path) -> Iterator[Scripted]:
    """Another provider in place of the story's."""
    file = tmp_path / "scenario.yaml"
    file.write_text("format: cadre-scripted/1\nrules:\n" + rules)
    with scripted(file) as server:
        acme.apply(provider=server.port, provider_timeout="4s")
        yield server


def ask(acme: Stack) -> Play:
    created = acme.api("l-brandt").create_task(TaskCreate(prompt=ASK, role="marketing", max_attempts=3))
    return Play(acme, created, "l-brandt", "h-keller", "")


def shines(play: Play) -> TaskView:
    done = play.end(seconds=120)
    assert done.state is TaskState.SUCCEEDED, play.told() + play.stack.logs()
    assert done.result.strip() == "The Nordlight shines."
    return done


@pytest.mark.parametrize("fault", PASSING_FAULTS.values(), ids=PASSING_FAULTS)
def test_a_fault_that_passes_is_survived(acme: Stack, tmp_path: Path, fault: str) -> None:
    faulty = f"  - {{name: faulty, times: 1, reply: {{text: The Nordlight is a lamp, fault: {fault}}}}}\n"
    with provider(acme, faulty + GOOD, tmp_path) as server:
        shines(ask(acme))
        assert next(request["rule"] for request in server.requests()) == "faulty"
        assert leaks(seeded_values(), server.raw()) == {}


def test_a_provider_that_only_talks_nonsense_fails_the_task_with_a_reason(
    acme: Stack, tmp_path: Path
) -> None:
    with provider(acme, "  - {name: bad, reply: {fault: {garbage: '<html>'}}}\n", tmp_path) as server:
        done = ask(acme).end(seconds=150)
        assert done.state in (TaskState.FAILED, TaskState.DEAD)
        assert done.reason.startswith("Model")
        assert done.message
        assert leaks(seeded_values(), server.raw()) == {}


def test_a_provider_that_is_away_for_a_while_is_waited_for(acme: Stack, tmp_path: Path) -> None:
    port = free_port()
    acme.apply(provider=port)
    play = ask(acme)
    play.wait_event("Leased", "Prompted", "ModelCalled")
    file = tmp_path / "scenario.yaml"
    file.write_text("format: cadre-scripted/1\nrules:\n" + GOOD)
    with scripted(file, port=port):
        shines(play)
