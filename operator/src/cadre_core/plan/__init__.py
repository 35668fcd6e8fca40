"""What a change to the chart changes for every agent, before it is merged."""

from cadre_core.plan.compare import plan
from cadre_core.plan.findings import AgentChange, Change

__all__ = ["AgentChange", "Change", "plan"]
