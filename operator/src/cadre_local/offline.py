"""Checks and plans without a controller: the same pure functions, run here."""

from cadre_api.protocol.base import type_json
from cadre_core.compile import compile_chart
from cadre_core.load import parse_documents
from cadre_core.model import Snapshot
from cadre_core.plan import plan
from cadre_local.charts import Documents
from cadre_local.problems import ChartInvalidError


def check(documents: Documents) -> Snapshot:
    """Compile exactly as the controller will; raises `ChartInvalidError` with every problem."""
    resources, problems = parse_documents(documents)
    compiled = compile_chart(resources)
    everything = (*problems, *(problem for problem in compiled.problems if problem not in problems))
    if everything or compiled.snapshot is None:
        raise ChartInvalidError(everything)
    return compiled.snapshot


def offline_plan(old: Snapshot | None, new: Snapshot) -> type_json:
    """What `new` changes against `old` (None = nothing), in the shape of `POST /api/v1/plan`."""
    changes = plan(old, new)
    agents = [{"agent": item.agent, "change": str(item.change), "diff": list(item.lines)} for item in changes]
    return {"agents": agents, "problems": []}
