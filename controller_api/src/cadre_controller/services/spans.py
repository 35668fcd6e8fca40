"""Spans of all programs side by side, so that one trace shows the whole way of a task."""

from collections.abc import Sequence

from cadre_controller.services.kernel import Kernel, dump
from cadre_controller.services.models import Span
from cadre_controller.store.work import Statement, Work


class SpanService:
    """Insert and list; a span repeated by its exporter is stored once."""

    def __init__(self, kernel: Kernel) -> None:
        self._kernel = kernel

    async def insert(self, tenant: str, spans: Sequence[Span]) -> None:
        """Store spans; attributes must hold no value of a user."""
        statements = tuple(Statement("span_insert", (tenant, *_row(span))) for span in spans)
        if statements:
            await self._kernel.submit(Work(tenant, statements))

    async def trace(self, tenant: str, trace_id: str) -> tuple[Span, ...]:
        """All spans of a trace by start time."""
        rows = await self._kernel.db.fetch(tenant, "spans_of", tenant, trace_id)
        return tuple(
            Span(
                row["trace_id"], row["span_id"], row["parent_id"], row["name"], row["service"],
                row["start_at"],
                row["end_at"], row["status"], row["attributes"],
            )
            for row in rows
        )  # fmt: skip


def _row(span: Span) -> tuple[object, ...]:
    return (
        span.trace_id, span.span_id, span.parent_id, span.name, span.service, span.start, span.end,
        span.status,
        dump(dict(span.attributes)),
    )  # fmt: skip
