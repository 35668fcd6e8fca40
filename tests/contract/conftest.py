"""Every contract test runs against real Postgres: the embedded server, a system one, an external one."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from cadre_controller.ports import Actor, AgentIdentity
from cadre_controller.services.assembly import ServiceConfig, Services, open_services
from tests.contract.company import documents
from tests.support.postgres import KINDS, Server, fresh_database, open_server

TENANT = "orbit"


@pytest.fixture(scope="session", params=KINDS)
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """A running server of each kind."""
    with open_server(request.param) as running:
        yield running


@pytest.fixture
def dsn(server: Server) -> Iterator[str]:
    """A migrated database of its own."""
    with fresh_database(server) as url:
        yield url


def service_config(dsn: str, folder: Path, **changes: object) -> ServiceConfig:
    """Settings for services that share `folder`'s keystore."""
    settings = {"lease_ttl_seconds": 15.0, "sweep_seconds": 3600.0, **changes}
    return ServiceConfig(dsn, folder / "keystore.json", folder / "keystore.key", **settings)  # type: ignore[arg-type]


@asynccontextmanager
async def opened(dsn: str, folder: Path, **changes: object) -> AsyncIterator[Services]:
    """Services with the small company applied."""
    async with open_services(service_config(dsn, folder, **changes)) as services:
        if not services.chart.tenants():
            await services.chart.apply(documents(), services.directory.admin_actor(TENANT))
        yield services


@pytest.fixture
async def services(dsn: str, tmp_path: Path) -> AsyncIterator[Services]:
    """Services on a fresh database; sweeps never run by themselves."""
    async with AsyncExitStack() as stack:
        yield await stack.enter_async_context(opened(dsn, tmp_path))


@pytest.fixture
def clerk(services: Services) -> Actor:
    """A member of finance."""
    return services.directory.person_actor(TENANT, "clerk")


@pytest.fixture
async def finance(services: Services) -> AgentIdentity:
    """The registered guard of finance-1."""
    identity = AgentIdentity(TENANT, "orbit/finance-1", "instance-a")
    await services.leases.take_over(identity)
    return identity
