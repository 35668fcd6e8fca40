"""Checks and plans without a controller: the same pure functions, run here."""

from cadre_api.protocol.base import type_json
from cadre_core.compile import compile_chart
from cadre_core.load import parse_documents
from cadre_core.model import Snapshot
from cadre_core.plan import plan
from cadre_core.resources import Resources
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


def plain_documents(documents: Documents) -> list[type_json]:
    """The objects of files as JSON; raises `ChartInvalidError`."""
    resources, problems = parse_documents(documents)
    if problems:
        raise ChartInvalidError(problems)
    models = (model for found in resources.objects.values() for model in found.values())
    return [model.model_dump(mode="json", by_alias=True, exclude_unset=True) for model in models]


def compiled(resources: Resources) -> Snapshot:
    """Compile what does not come from files alone; raises `ChartInvalidError`."""
    found = compile_chart(resources)
    if found.problems or found.snapshot is None:
        raise ChartInvalidError(found.problems)
    return found.snapshot


def compiled_or_none(resources: Resources) -> Snapshot | None:
    """Compile; None when there is nothing, or nothing that compiles."""
    return compile_chart(resources).snapshot if any(resources.objects.values()) else None


def offline_plan(old: Snapshot | None, new: Snapshot) -> type_json:
    """What `new` changes against `old` (None = nothing), in the shape of `POST /api/v1/plan`."""
    changes = plan(old, new)
    agents = [{"agent": item.agent, "change": str(item.change), "diff": list(item.lines)} for item in changes]
    return {"agents": agents, "problems": []}
