"""What a person ruled about a value for a time: that it is no finding, or that it is one."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, Field

from cadre_api.protocol.base import Message


class RulingKind(StrEnum):
    """What the value is from now on."""

    RELEASE = "Release"
    """No finding of the type; other types, and texts around it, are found as before."""
    ADD = "Add"
    """A finding of the type wherever it stands, whatever else is released."""


class RulingScope(StrEnum):
    """Whose guards hold to it."""

    TENANT = "Tenant"
    NODE = "Node"
    """The node and everything below it."""
    AGENT = "Agent"


class RulingCreate(Message):
    """`POST /api/v1/guard/rulings`."""

    ruling: RulingKind
    scope: RulingScope
    target: Annotated[str, Field(max_length=507)] = ""
    """Key `namespace/name` or bare name of a node or agent; empty for the tenant."""
    entity_type: Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{1,62}$")]
    """As the guard names it, e.g. `PERSON`."""
    value: Annotated[str, Field(min_length=2, max_length=512)]
    """Met in any case, as words of its own."""
    reason: Annotated[str, Field(min_length=1, max_length=512)]
    """Why; kept sealed beside the value."""
    until: AwareDatetime
    """When it ends; a release at most 90 days from now, an addition at most 366."""


class RulingView(Message):
    """A ruling in force."""

    id: str
    ruling: RulingKind
    scope: RulingScope
    target: str
    entity_type: str
    value: str = ""
    """Empty where its data class is not within the reader's clearance."""
    reason: str = ""
    """Empty like the value: a reason may quote it."""
    by: str = ""
    """Key of the person; empty = the tenant's administrator."""
    at: datetime
    until: datetime
    agents: tuple[str, ...] = ()
    """Agents whose guards hold to it."""


class RulingPage(Message):
    """All rulings in force that the reader may take back."""

    items: tuple[RulingView, ...] = ()
