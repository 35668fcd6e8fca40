"""Fixtures of the controller's integration tests."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.integration.controller.stand import Stand, open_stand
from tests.support.postgres import Server, fresh_database, open_server
from tests.support.scripted import Scripted, scripted_in_thread

SCENARIO = Path(__file__).parent / "chart" / "scenario.yaml"


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """One embedded Postgres for all tests here."""
    with open_server("embedded") as server:
        yield server


@pytest.fixture
def database(postgres: Server) -> Iterator[str]:
    """A fresh migrated database."""
    with fresh_database(postgres) as dsn:
        yield dsn


@pytest.fixture
def model() -> Iterator[Scripted]:
    """The scripted model."""
    with scripted_in_thread(SCENARIO) as running:
        yield running


@pytest.fixture
async def stand(tmp_path: Path, database: str, model: Scripted) -> AsyncIterator[Stand]:
    """A controller with the test chart in force; its tool server is a child process."""
    async with open_stand(tmp_path, database, model.url) as opened:
        yield opened
