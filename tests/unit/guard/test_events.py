"""Facts for the audit are kept until the controller has them, and no longer."""

import pytest

from cadre_api.protocol.guard import GuardEvents
from cadre_guard import events as events_module
from cadre_guard.errors import GuardError
from cadre_guard.events import EventLog


class _Controller:
    def __init__(self, *answers: GuardError | None) -> None:
        self.answers = list(answers)
        self.got: list[GuardEvents] = []

    async def send_events(self, events: GuardEvents) -> None:
        self.got.append(events)
        answer = self.answers.pop(0) if self.answers else None
        if answer is not None:
            raise answer


async def test_what_could_not_be_sent_is_sent_again_under_the_same_ids() -> None:
    controller = _Controller(GuardError("ControllerUnreachable", "away"))
    log = EventLog(controller)  # type: ignore[arg-type]
    log.add("guard.mask", redactions={"PERSON": 1})

    await log.flush()
    await log.flush()
    await log.flush()

    assert len(controller.got) == 2
    assert controller.got[0] == controller.got[1]


async def test_a_batch_that_is_refused_for_good_does_not_block_the_next() -> None:
    controller = _Controller(GuardError("Invalid", "no", retryable=False))
    log = EventLog(controller)  # type: ignore[arg-type]
    log.add("one")
    await log.flush()
    log.add("two")
    await log.flush()

    assert [each.events[0].action for each in controller.got] == ["one", "two"]


async def test_the_oldest_go_first_and_their_number_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "_LIMIT", 2)
    controller = _Controller()
    log = EventLog(controller)  # type: ignore[arg-type]
    for action in ("one", "two", "three"):
        log.add(action)

    await log.flush()

    assert [event.action for event in controller.got[0].events][-1] == "guard.eventsDropped"
    assert "one" not in [event.action for event in controller.got[0].events]
