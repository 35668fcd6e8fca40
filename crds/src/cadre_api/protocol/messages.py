"""Messages between agents and people: sent once, delivered at least once, acknowledged by id."""

from datetime import datetime
from enum import StrEnum

from pydantic import Field

from cadre_api.protocol.base import Message

MAX_BODY = 65_536
"""Characters of one message."""


class MessageType(StrEnum):
    """What a message is about."""

    TASK = "task"
    NOTE = "note"
    APPROVAL = "approval"


class Severity(StrEnum):
    """How soon it should be read."""

    INFO = "Info"
    WARNING = "Warning"
    CRITICAL = "Critical"


class MessageState(StrEnum):
    """Where a message is on its way."""

    PENDING = "Pending"
    DELIVERED = "Delivered"
    """Handed out, not yet acknowledged; comes again unless it is in time."""
    ACKED = "Acked"
    DEAD = "Dead"
    """Handed out too often or not in time; kept for redrive or drop."""


class MessageSend(Message):
    """POST /api/v1/messages. The body is masked before anything is committed."""

    to: str = Field(min_length=1, max_length=300)
    """`agent:<namespace/name>`, `person:<key>` or `topic:<name>`."""
    body: str = Field(min_length=1, max_length=MAX_BODY)
    type: MessageType = MessageType.NOTE
    severity: Severity = Severity.INFO
    ttl_seconds: int = Field(default=604_800, ge=1, le=2_592_000)


class MessageView(Message):
    """A message as its receiver gets it; `body` is masked for guards, restored for people."""

    id: str
    seq: int
    """Grows with the order in which it was sent."""
    sender: str
    """`agent:<key>` or `person:<opaque id>`."""
    receiver: str
    topic: str = ""
    type: MessageType
    severity: Severity
    body: str
    state: MessageState
    reason: str = ""
    attempts: int = 0
    created_at: datetime
    expires_at: datetime
    trace_id: str = ""


class MessageSent(Message):
    """The ids, one for each receiver of a topic."""

    ids: tuple[str, ...]


class MessageAck(Message):
    """POST /guard/v1/messages/ack: what was received, and what must come again later."""

    acked: tuple[str, ...] = Field(default=(), max_length=500)
    returned: tuple[str, ...] = Field(default=(), max_length=500)


class MessageAcked(Message):
    """How many of them were still open."""

    acked: int
    returned: int
