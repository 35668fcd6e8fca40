"""What the work queue holds: a name of something to look at, never the thing itself."""

from enum import IntEnum
from typing import NamedTuple


class Key(NamedTuple):
    """Names one piece of work."""

    kind: str
    """A kind of the API, or Push for sending a tenant's chart to the controller."""
    namespace: str
    name: str = ""

    @property
    def path(self) -> str:
        """`namespace/name`."""
        return f"{self.namespace}/{self.name}"


PUSH = "Push"
FREEZE = "Freeze"
"""Kind of the key for telling the controller what a tenant's objects say of freezing."""


class Priority(IntEnum):
    """Who is served first; within a priority, tenants take turns."""

    CHANGED = 0
    """Somebody changed something and waits."""
    AFFECTED = 1
    """Follows from a change elsewhere."""
    ROUTINE = 2
    """Start-up and resync: right eventually."""
