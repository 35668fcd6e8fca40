"""Messages: rows as views, who a receiver is, and what a failed delivery leads to."""

from datetime import datetime, timedelta

from cadre_api.protocol.messages import MessageState, MessageType, MessageView, Severity
from cadre_controller.errors import InvalidInput, NotFound
from cadre_controller.services.models import LiveChart
from cadre_controller.store.pool import Row
from cadre_controller.store.work import Statement

MAX_ATTEMPTS = 5
_BASE = timedelta(seconds=2)
_LONGEST = timedelta(minutes=5)


def message_view(row: Row) -> MessageView:
    """A message for the wire, masked as stored."""
    return MessageView(
        id=row["id"],
        seq=row["seq"],
        sender=row["sender"],
        receiver=row["receiver"],
        topic=row["topic"],
        type=MessageType(row["type"]),
        severity=Severity(row["severity"]),
        body=row["body"],
        state=MessageState(row["state"]),
        reason=row["reason"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        trace_id=row["trace_id"],
    )


def returned(row: Row, now: datetime, reason: str) -> Statement:
    """Again after a pause that doubles, or dead when it was tried often enough or is too old."""
    dead = row["attempts"] >= MAX_ATTEMPTS or row["expires_at"] <= now
    state = MessageState.DEAD if dead else MessageState.PENDING
    pause = min(_BASE * 2 ** max(row["attempts"] - 1, 0), _LONGEST)
    why = "Expired" if row["expires_at"] <= now else reason
    key = (row["tenant"], row["id"], row["attempts"])
    return Statement("message_return", (*key, state.value, why if dead else "", now + pause, now))


def receiver_of(live: LiveChart, to: str) -> str:
    """`agent:<key>` or `person:<opaque id>` as stored. Raises InvalidInput, NotFound(UnknownReceiver)."""
    kind, _, key = to.partition(":")
    if kind == "agent":
        found = [k for k in live.snapshot.agents if key in (k, k.split("/")[1])]
        if len(found) == 1:
            return f"agent:{found[0]}"
    elif kind == "person":
        people = live.persons_by_id.items()
        ids = [i for i, person in people if key in (person, person.split("/")[1]) or i == to]
        if len(ids) == 1:
            return ids[0]
    else:
        raise InvalidInput("BadReceiver", f"to: {to} names no receiver", "agent:…, person:… or topic:…")
    raise NotFound("UnknownReceiver", f"there is no {kind} {key} to write to", "see the chart")
