"""Whose turn a request of the agent belongs to."""

from datetime import UTC, datetime, timedelta

from cadre_api.protocol.guard import AgentBundle, Lease
from cadre_guard.masking.pairs import SessionPairs
from cadre_guard.turn.turn import Turn, TurnRegistry

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def _turn(task: str) -> Turn:
    times = {"expiresAt": NOW, "deadlineAt": NOW + timedelta(minutes=2)}
    lease = Lease.model_validate(
        {"taskId": task, "sessionId": task, "fence": 1, "attempt": 1, "prompt": "", **times}
    )
    about = {"agent": "acme/a", "tenant": "acme", "generation": 1, "digest": "d", "nodePath": []}
    bundle = AgentBundle.model_validate({**about, "issuedAt": NOW, "expiresAt": NOW, "clearance": []})
    return Turn(lease, bundle, SessionPairs(task, frozenset()), 1.0, 1.0)


def test_a_turn_that_ends_late_leaves_the_next_one_under_its_session() -> None:
    turns, old, new = TurnRegistry(), _turn("t1"), _turn("t2")
    turns.add("20260101_4", old)
    turns.add("20260101_4", new)  # forgotten, and its id given again, before the old turn is reported

    turns.remove(old)

    assert turns.find("20260101_4") is new
    turns.remove(new)
    assert turns.find("20260101_4") is None
