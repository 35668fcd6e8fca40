"""The chart in force: applied whole or not at all, compiled once per revision, cached."""

from collections.abc import Sequence
from cadre_controller.ports import Actor
from cadre_controller.services.models import ApplyResult, LiveChart, PlanResult


class ChartService:
    async def start(self) -> None: ...
    def tenants(self) -> tuple[str, ...]: ...
    def current(self, tenant: str) -> LiveChart:
        """Raises NotFound(ChartMissing)."""
    async def apply(self, documents: Sequence[tuple[str, str]], actor: Actor, *, dry_run: bool = False) -> ApplyResult:
        """(file, text) documents. Raises ChartInvalid with every problem."""
    async def plan(self, documents: Sequence[tuple[str, str]]) -> PlanResult: ...
