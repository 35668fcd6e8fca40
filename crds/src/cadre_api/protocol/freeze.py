"""Stop: a tenant, a node with all below it, or one agent, frozen and thawed on the public port."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field

from cadre_api.protocol.base import Message

Target = Annotated[str, Field(max_length=507)]
"""Key `namespace/name` or bare name of a node or agent; empty for the tenant."""


class FreezeScope(StrEnum):
    """What is frozen."""

    TENANT = "Tenant"
    NODE = "Node"
    """The node and everything below it."""
    AGENT = "Agent"


class FreezeSource(StrEnum):
    """Where a freeze was said, and so where it is taken back."""

    PERSON = "Person"
    """Through the API; thawed there."""
    RESOURCE = "Resource"
    """`spec.freeze` of an object; thawed by removing it."""


class FreezeCreate(Message):
    """`POST /api/v1/freeze`."""

    scope: FreezeScope
    target: Target = ""
    reason: Annotated[str, Field(min_length=1, max_length=512)]
    """Why; shown to everyone who waits for the agents."""
    break_glass: bool = False
    """Any person of the chart may freeze in an emergency; it is marked in the audit, and thawing is for the
    heads above."""


class ThawCreate(Message):
    """`POST /api/v1/thaw`."""

    scope: FreezeScope
    target: Target = ""
    reason: Annotated[str, Field(max_length=512)] = ""


class FreezeView(Message):
    """A freeze in force."""

    scope: FreezeScope
    target: str
    reason: str
    source: FreezeSource = FreezeSource.PERSON
    by: str = ""
    """Key of the person; empty = the tenant's administrator."""
    at: datetime
    break_glass: bool = False
    agents: tuple[str, ...] = ()
    """Agents that it holds."""


class FreezePage(Message):
    """All freezes of the tenant."""

    items: tuple[FreezeView, ...] = ()


class DeclaredFreeze(Message):
    """`spec.freeze` of one object."""

    scope: FreezeScope
    target: Target
    reason: Annotated[str, Field(max_length=512)]
    by: str = ""
    """Key of the person who wrote it, as admission saw it; empty when that is no Person."""


class DeclaredFreezes(Message):
    """`POST /api/v1/freeze/declared`: all that the objects of a tenant say now; replaces what they said."""

    items: Annotated[tuple[DeclaredFreeze, ...], Field(max_length=20_000)] = ()
