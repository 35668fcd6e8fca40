"""ToolServer: an MCP server with its tools pinned, so that it cannot grow new ones unnoticed."""

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from cadre_api.schema import ApiModel, Column, Crd, ListMap, exactly_one_of
from cadre_api.v1alpha1.common import (
    Clearance,
    CredentialsRef,
    JsonObject,
    Limits,
    LongText,
    Resource,
    SecretKeyRef,
    Status,
    ToolName,
    Url,
)


class ToolEffects(StrEnum):
    """What a call changes, from harmless to grave."""

    READ_ONLY = "ReadOnly"
    ADDITIVE = "Additive"
    DESTRUCTIVE = "Destructive"


class HttpServer(ApiModel):
    """An MCP server reached by streamable HTTP."""

    url: Url
    """The MCP endpoint."""


class EnvVar(ApiModel):
    """One environment variable; exactly one of value and secret is set."""

    validations = (exactly_one_of("value", "secret"),)

    name: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    """Name of the variable."""
    value: Annotated[str, Field(max_length=4096)] | None = None
    """Plain value; never a credential. Default: not set."""
    secret: SecretKeyRef | None = None
    """A credential by reference. Default: not set."""


class StdioServer(ApiModel):
    """An MCP server started by Cadre, in a sandbox of its own."""

    image: Annotated[str, Field(min_length=1, max_length=512)] | None = None
    """Container image, pinned by digest. Default: none; required in a cluster, unused on a desktop."""
    command: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=1024)], ...], Field(min_length=1, max_length=64)
    ]
    """Program and arguments."""
    env: Annotated[tuple[EnvVar, ...], Field(max_length=64), ListMap("name")] = ()
    """Environment of the program; nothing else of ours is in it. Default: empty."""


class PinnedTool(ApiModel):
    """One tool as it was reviewed; a server that offers it differently is degraded, not trusted."""

    name: ToolName
    """Name as the server lists it."""
    effects: ToolEffects
    """ReadOnly, Additive or Destructive, as judged by the admin; the server's own hints are not trusted."""
    idempotent: bool = False
    """Whether a call may be repeated after a crash; if not, a cut call ends as OutcomeUnknown and asks.
    Default: false."""
    description: LongText | None = None
    """What the tool does, as told to agents. Default: the server's text at the time of pinning."""
    input_schema: JsonObject | None = None
    """JSON schema of the arguments, pinned; needed for tools whose arguments policy conditions read.
    Default: not pinned."""


class ToolServerSpec(ApiModel):
    """Set by tenant admins; exactly one of http and stdio is set."""

    validations = (exactly_one_of("http", "stdio"),)

    http: HttpServer | None = None
    """A server that runs elsewhere. Default: not set."""
    stdio: StdioServer | None = None
    """A server that Cadre starts. Default: not set."""
    credentials_ref: CredentialsRef | None = None
    """Bearer token sent to an http server. Default: none."""
    clearance: Clearance = ()
    """Data classes that the server may receive unmasked. Default: none, so it sees tokens only."""
    tools: Annotated[tuple[PinnedTool, ...], Field(min_length=1, max_length=128), ListMap("name")]
    """The pinned tools; others of the server cannot be called."""
    limits: Limits | None = None
    """Rate limit and timeout. Default: no rate limit, 120s."""


class ToolServerStatus(Status):
    """Whether the server answers and offers what is pinned; written by Cadre."""


class ToolServer(Resource):
    """A source of tools, with each tool pinned."""

    crd: ClassVar[Crd] = Crd(
        plural="toolservers",
        singular="toolserver",
        short_name="cdtool",
        columns=(
            Column("Tools", ".spec.tools[*].name"),
            Column("Ready", '.status.conditions[?(@.type=="Ready")].status'),
            Column("Age", ".metadata.creationTimestamp", "date"),
        ),
    )

    kind: Literal["ToolServer"] = "ToolServer"
    """Always ToolServer."""
    spec: ToolServerSpec
    """Where the server is and what it may do."""
    status: ToolServerStatus | None = None
    """What Cadre observed."""
