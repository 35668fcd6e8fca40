"""What a span says of how its operation ended."""

import asyncio
from collections.abc import Sequence
from typing import cast

import pytest

from cadre_controller.errors import CadreError
from cadre_controller.services.models import Span
from cadre_controller.services.spans import SpanService
from cadre_controller.telemetry import Tracing


class _Stored:
    def __init__(self) -> None:
        self.spans: list[Span] = []

    async def insert(self, tenant: str, spans: Sequence[Span]) -> None:
        self.spans += spans


@pytest.mark.parametrize(
    ("ended", "status"),
    [
        (asyncio.CancelledError(), "Unset"),
        (ConnectionResetError("the client has gone"), "Unset"),
        (CadreError("BudgetExceeded", "no room", "wait"), "Error"),
        (ValueError("hanna.keller@acme.example"), "Error"),
    ],
)
async def test_a_client_that_leaves_is_no_error(ended: BaseException, status: str) -> None:
    stored = _Stored()
    tracing = Tracing(cast("SpanService", stored))

    with pytest.raises(type(ended)), tracing.span("model/chat", "acme"):
        raise ended
    await tracing.close()

    assert [(span.name, span.status) for span in stored.spans] == [("model/chat", status)]
    assert "hanna" not in repr(stored.spans)
