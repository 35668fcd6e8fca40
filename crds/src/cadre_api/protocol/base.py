"""What every message on the wire has in common: camelCase names; unknown fields ignored for N-1 peers."""

from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, GetJsonSchemaHandler
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema
from typing_extensions import override

from cadre_api.documented import describe

PROTOCOL_VERSION = 1

type_json = dict[str, object]


class Message(BaseModel):
    """Base of all wire messages."""

    model_config = ConfigDict(
        alias_generator=to_camel,
        populate_by_name=True,
        frozen=True,
        extra="ignore",
    )

    @classmethod
    @override
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        """Add the fields' docstrings to the schema."""
        reference = handler(core_schema)
        describe(cls, handler.resolve_ref_schema(reference))
        return reference


class ProblemDetail(Message):
    """An error on the wire (RFC 9457) with our `reason` extension."""

    type: str = "about:blank"
    title: str
    status: int
    detail: str = ""
    reason: str
    """CamelCase, stable: programs branch on it."""
    instance: str = ""
    problems: tuple["FieldProblem", ...] = ()


class FieldProblem(Message):
    """One thing wrong with the input, where it is, and what to do about it."""

    file: str = ""
    line: int = 0
    resource: str = ""
    """`Kind namespace/name`."""
    field: str = ""
    """JSON path inside the resource, e.g. `spec.parentRef.name`."""
    reason: str
    message: str
    fix: str = ""


class Effect(StrEnum):
    """What a policy decision says."""

    ALLOW = "Allow"
    DENY = "Deny"
    REQUIRE_APPROVAL = "RequireApproval"


class ActorType(StrEnum):
    """Who acted."""

    PERSON = "Person"
    AGENT = "Agent"
    SYSTEM = "System"


Usd = Annotated[str, Field(pattern=r"^-?\d+(\.\d+)?$")]
"""Money as a decimal string, never a float."""
