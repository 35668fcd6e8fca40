"""The whole system keeps every promise under random kills; TORTURE_SEED and TORTURE_KILLS choose them."""

import os
from pathlib import Path

import pytest

from tests.torture.report import told
from tests.torture.run import Size, server, torture

pytestmark = [pytest.mark.postgres, pytest.mark.timeout(1200)]


async def test_every_promise_is_kept_under_kills(tmp_path: Path) -> None:
    seed = int(os.environ.get("TORTURE_SEED", "1"))
    size = Size(kills=int(os.environ.get("TORTURE_KILLS", "10")))
    with server() as postgres:
        violations, run = await torture(seed, size, tmp_path, postgres)
    assert not violations, told(violations, run)
    assert run.ledger.tasks and run.ledger.messages and run.ledger.leases
