"""When an agent counts as ready: what its guard says now, never what an earlier one said last."""

from datetime import UTC, datetime, timedelta

import pytest

from cadre_local.supervise.fleet import can_work

START = datetime(2026, 1, 1, tzinfo=UTC)


def row(**live: str) -> dict[str, object]:
    said = {"state": "Idle", "reason": "", "seenAt": (START + timedelta(seconds=1)).isoformat(), **live}
    return {"key": "acme/f1", "lifecycle": "Running", "live": said}


def test_an_agent_that_says_so_can_work() -> None:
    assert can_work(row(), START)
    assert can_work(row(state="Busy"))


@pytest.mark.parametrize(
    "said",
    [
        {"state": "Starting"},
        {"reason": "NoBundle"},
        {"seenAt": (START - timedelta(seconds=1)).isoformat()},
        {"seenAt": "nonsense"},
    ],
)
def test_an_agent_without_rights_or_of_an_earlier_start_cannot(said: dict[str, str]) -> None:
    assert not can_work(row(**said), START)


def test_an_agent_that_never_said_anything_cannot() -> None:
    assert not can_work({"key": "acme/f1", "live": None}, START)
