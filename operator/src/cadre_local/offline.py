"""Plans without a controller: the same pure function, run here."""

from cadre_core.plan import plan

from cadre_api.protocol.base import type_json
from cadre_core.model import Snapshot


def offline_plan(old: Snapshot | None, new: Snapshot) -> type_json:
    """What `new` changes against `old` (None = nothing), in the shape of `POST /api/v1/plan`."""
    changes = plan(old, new)
    agents = [{"agent": item.agent, "change": str(item.change), "diff": list(item.lines)} for item in changes]
    return {"agents": agents, "problems": []}
