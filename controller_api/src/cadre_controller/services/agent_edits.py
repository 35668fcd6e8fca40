"""One agent written over the API: the chart with that one document changed, applied like any other chart.

So it is checked, planned, bundled and audited as a whole, and the next `cadre apply` of files has the last
word.
"""

from collections.abc import Callable
from dataclasses import dataclass

from cadre_api.protocol.base import type_json
from cadre_controller.errors import Conflict, InvalidInput, NotFound
from cadre_controller.ports import Actor
from cadre_controller.services.chart import ChartService
from cadre_controller.services.chart_rows import StoredObject
from cadre_controller.services.kernel import dump
from cadre_controller.services.models import ApplyResult

_FILE = "api/agents.yaml"
_KIND = "Agent"

Check = Callable[[type_json | None], None]
"""Raises when the document is not as its writer has seen it; None = there is none."""


@dataclass(frozen=True, slots=True)
class Edited:
    """What was written."""

    document: type_json
    result: ApplyResult
    created: bool


class AgentEdits:
    """Put, scale, remove."""

    def __init__(self, chart: ChartService) -> None:
        self._chart = chart

    def get(self, tenant: str, key: str) -> type_json:
        """An agent's document as applied. Raises NotFound(UnknownAgent)."""
        found = self._chart.objects(tenant).get((_KIND, key))
        if found is None:
            raise NotFound("UnknownAgent", f"there is no agent {key}", "cadre get agents lists them")
        return found.document

    async def put(
        self, actor: Actor, key: str, spec: type_json, check: Check, *, dry_run: bool = False
    ) -> Edited:
        """Create the agent or give it this spec; labels and annotations stay.

        Raises ChartInvalid, Conflict(StateChanged), InvalidInput(BadName).
        """
        namespace, _, name = key.partition("/")
        if not namespace or not name:
            raise InvalidInput(
                "BadName", f"{key} is no namespace/name", "PUT /api/v1/agents/<namespace>%2F<name>"
            )
        known = self._chart.objects(actor.tenant).get((_KIND, key))
        before = known.document if known is not None else None
        check(before)
        document: type_json = {
            **(before or {"apiVersion": "cadre.dev/v1alpha1", "kind": _KIND}),
            "metadata": (before or {}).get("metadata") or {"namespace": namespace, "name": name},
            "spec": spec,
        }
        written = StoredObject(document, known.file if known is not None else _FILE)
        result = await self._apply(actor, key, written, dry_run)
        shown = document if dry_run else self.get(actor.tenant, key)
        return Edited(shown, result, created=known is None)

    async def scale(self, actor: Actor, key: str, replicas: int, check: Check) -> Edited:
        """So many replicas at most, and at least as many as were asked for where there was a floor."""
        spec = self.get(actor.tenant, key)["spec"]
        assert isinstance(spec, dict)
        scaling = spec.get("scaling") if isinstance(spec.get("scaling"), dict) else {}
        assert isinstance(scaling, dict)
        floor = scaling.get("min", 0)
        least = min(floor, replicas) if isinstance(floor, int) else 0
        scaled = {**scaling, "min": least, "max": replicas}
        return await self.put(actor, key, {**spec, "scaling": scaled}, check)

    async def remove(self, actor: Actor, key: str, check: Check, *, dry_run: bool = False) -> ApplyResult:
        """Take the agent out of the chart. Raises NotFound(UnknownAgent), ChartInvalid, Conflict."""
        check(self.get(actor.tenant, key))
        return await self._apply(actor, key, None, dry_run)

    async def _apply(
        self, actor: Actor, key: str, written: StoredObject | None, dry_run: bool
    ) -> ApplyResult:
        before = self._chart.objects(actor.tenant)
        after = {place: found for place, found in before.items() if place != (_KIND, key)}
        if written is not None:
            after[_KIND, key] = written
        texts = [(found.file, dump(found.document)) for found in after.values()]
        result = await self._chart.apply(texts, actor, dry_run=dry_run, onto=before)
        if result.tenant != actor.tenant:
            raise Conflict(
                "OtherTenant", f"that agent belongs to {result.tenant}", "name one of your own nodes"
            )
        return result
