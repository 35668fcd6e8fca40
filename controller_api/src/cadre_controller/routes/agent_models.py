"""Bodies of single agents as documents."""

from pydantic import Field

from cadre_api.protocol.base import Message, type_json

_NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"


class AgentDocument(Message):
    """An Agent as applied."""

    document: type_json


class AgentWrite(Message):
    """PUT /api/v1/agents/{id}."""

    spec: type_json
    """As in YAML, see the resource Agent."""


class AgentCreate(AgentWrite):
    """POST /api/v1/agents."""

    namespace: str = Field(max_length=63, pattern=_NAME)
    name: str = Field(max_length=63, pattern=_NAME)


class AgentScale(Message):
    """POST /api/v1/agents/{id}/scale."""

    replicas: int = Field(ge=1, le=1000)
    """Most replicas under load."""
