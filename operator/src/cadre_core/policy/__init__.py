"""Policy decisions: the profile is the ceiling, rules deny, hold or allow below it, and an error never allows."""

from cadre_core.policy.decide import compile_policies, evaluate
from cadre_core.policy.request import (
    TENANT_ADMIN,
    AgentResource,
    Decision,
    HostResource,
    ModelResource,
    NodeResource,
    PolicyRequest,
    Resource,
    ToolResource,
)
from cadre_core.policy.sets import PolicyProgram

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
