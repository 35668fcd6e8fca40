"""Agent state: small texts under keys, each with a version, so that writers lose nothing of each other."""

from datetime import datetime

from pydantic import Field

from cadre_api.protocol.base import Message

MAX_VALUE = 65_536
"""Characters of one value."""
KEY = r"^[A-Za-z0-9][A-Za-z0-9._/-]*$"
SCOPE = r"^(tenant|(agent|node):[a-z0-9-]+/[a-z0-9-]+|session:[A-Za-z0-9_]+)$"


class StatePut(Message):
    """PUT …/state: write, or with no value remove, one key."""

    scope: str = Field(max_length=300, pattern=SCOPE)
    """`tenant`, `node:<ns/name>`, `agent:<ns/name>` or `session:<id>`."""
    key: str = Field(max_length=200, pattern=KEY)
    value: str | None = Field(default=None, max_length=MAX_VALUE)
    """Masked before it is kept; null removes the key."""
    version: int | None = Field(default=None, ge=0)
    """Write only if the key has this version now, 0 = does not exist. Absent: the last writer wins."""
    session_id: str = ""
    """Guards: the session whose tokens the value carries."""


class StateGet(Message):
    """One key."""

    scope: str = Field(max_length=300, pattern=SCOPE)
    key: str = Field(max_length=200, pattern=KEY)
    session_id: str = ""
    """Guards: the session in which the value's tokens are to be known."""


class StateList(Message):
    """The keys of a scope, in order."""

    scope: str = Field(max_length=300, pattern=SCOPE)
    prefix: str = Field(default="", max_length=200)
    limit: int = Field(default=100, ge=1, le=500)
    cursor: str = Field(default="", max_length=200)
    session_id: str = ""


class StateWatch(Message):
    """What changed in a scope after `after`, as soon as something did."""

    scope: str = Field(max_length=300, pattern=SCOPE)
    prefix: str = Field(default="", max_length=200)
    after: int = Field(ge=0, le=2**62)
    """`seq` of a list or of an earlier watch."""
    wait: float = Field(default=25, ge=0, le=60)
    session_id: str = ""


class StateView(Message):
    """A key with its value; masked for guards, restored for people."""

    scope: str
    key: str
    version: int
    """Grows by one with every write of the key."""
    value: str = ""
    deleted: bool = False
    """Only in watches and histories."""
    author: str
    """`agent:<key>` or `person:<opaque id>`."""
    updated_at: datetime
    seq: int
    """Grows with every write in the scope."""


class StatePage(Message):
    """Keys of a scope, or its changes."""

    items: tuple[StateView, ...]
    next: str = ""
    seq: int
    """Where a watch begins that misses nothing after this answer."""
