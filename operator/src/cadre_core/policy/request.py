"""The question and the answer of a policy decision."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from cadre_api.protocol.base import Effect
from cadre_core.model import ApprovalRule

TENANT_ADMIN = "admin:tenant"
"""Subject of a tenant's administrator who is no person of the chart (desktop mode, break-glass)."""


@dataclass(frozen=True, slots=True)
class ToolResource:
    """A tool, for CallTool. `server` as in `EffectiveTool.server`."""

    server: str
    tool: str
    effects: str = ""


@dataclass(frozen=True, slots=True)
class ModelResource:
    """A model, for UseModel. Locality comes from the admins' host list, never from the provider."""

    provider: str
    model: str
    locality: str = "Cloud"


@dataclass(frozen=True, slots=True)
class AgentResource:
    """An agent as receiver, for RouteTask, SendMessage and HandOff."""

    agent: str
    node: str = ""


@dataclass(frozen=True, slots=True)
class NodeResource:
    """A node, for ReadData, WriteState, DecideApproval and ExportAudit."""

    node: str


@dataclass(frozen=True, slots=True)
class HostResource:
    """A host name, for Egress."""

    host: str


Resource = ToolResource | ModelResource | AgentResource | NodeResource | HostResource


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """May `subject` do `action` with `resource`?"""

    subject: str
    """Agent key, `person:<key>`, or TENANT_ADMIN."""
    subject_node: str
    """Where a person acts from; an agent's node is taken from the chart."""
    action: str
    resource: Resource
    args: Mapping[str, object] | None = None
    """Tool arguments as delivered to the server; None = not known yet, so conditions on them match."""
    args_schema: Mapping[str, object] | None = None
    """The schema that the server offers now; differs from the pinned one = denied."""
    data_classes: frozenset[str] = frozenset()
    context: Mapping[str, object] = field(default_factory=dict)
    """`task`: what conditions may read of the task (id, requester, role, recipe, priority, attempt)."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What policy says, and by which rules."""

    effect: Effect
    rules: tuple[str, ...] = ()
    """Determining rules; `profile:<key>` or `default:<action>` where no rule was needed to allow."""
    approvals: tuple[tuple[str, ApprovalRule], ...] = ()
    """(rule id, how to ask) of every rule that holds it: all must be met."""
    reason: str = ""
    message: str = ""
    dry_run: tuple[str, ...] = ()
    """Rules in DryRun that match: recorded, without effect."""

    @property
    def allowed(self) -> bool:
        """Whether it may happen now, without asking anyone."""
        return self.effect is Effect.ALLOW
