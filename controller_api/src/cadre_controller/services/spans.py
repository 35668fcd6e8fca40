"""Spans."""

from collections.abc import Sequence
from cadre_controller.services.models import Span


class SpanService:
    async def insert(self, tenant: str, spans: Sequence[Span]) -> None: ...
    async def trace(self, tenant: str, trace_id: str) -> tuple[Span, ...]: ...
