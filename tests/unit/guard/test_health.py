"""Probes: alive is not ready."""

import pytest
from aiohttp.test_utils import TestClient, TestServer

from cadre_guard.health import health_app
from cadre_guard.turn.worker import WorkerState


@pytest.mark.parametrize(
    ("state", "status"),
    [
        (WorkerState("Idle"), 200),
        (WorkerState("Busy"), 200),
        (WorkerState("Idle", "NoBundle"), 503),
        (WorkerState("Failed", "SandboxFailed"), 503),
        (WorkerState(), 503),
    ],
)
async def test_ready_means_that_an_agent_is_up(state: WorkerState, status: int) -> None:
    async with TestClient(TestServer(health_app(state))) as client:
        assert (await client.get("/health")).status == 200
        answer = await client.get("/ready")
        assert answer.status == status
        assert (await answer.json())["reason"] == state.reason
