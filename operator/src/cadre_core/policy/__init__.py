"""Policy decisions: the profile is the ceiling, rules deny, hold or allow below it; an error never allows."""

from cadre_core.policy.decide import (
    TENANT_ADMIN,
    AgentResource,
    Decision,
    HostResource,
    ModelResource,
    NodeResource,
    PolicyProgram,
    PolicyRequest,
    Resource,
    ToolResource,
    compile_policies,
    evaluate,
)

__all__ = [
    "TENANT_ADMIN",
    "AgentResource",
    "Decision",
    "HostResource",
    "ModelResource",
    "NodeResource",
    "PolicyProgram",
    "PolicyRequest",
    "Resource",
    "ToolResource",
    "compile_policies",
    "evaluate",
]
