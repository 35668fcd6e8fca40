"""Where the engine is measured: a durable embedded Postgres of its own and the services in this process."""

import asyncio
import shutil
import subprocess
import tempfile
import venv
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from cadre_controller.ports import Actor
from cadre_controller.services.assembly import ServiceConfig, Services, open_services
from cadre_local import postgres
from cadre_local.paths import Home
from tests.bench.processes import BenchError, running
from tests.torture.company import CLERK, chart

TENANT = "co"
CACHE = Path(__file__).parents[3] / ".cache"
_NOBODY = "http://127.0.0.1:9"


@contextmanager
def durable() -> Iterator[tuple[Home, str]]:
    """A fresh server as desktop mode runs it (every commit reaches the disk), and its DSN."""
    root = Path(tempfile.mkdtemp(prefix="cadre-engine-"))
    root.chmod(0o711)
    try:
        home = Home(root / "h")
        home.create()
        with running(postgres.prepare(home)):
            yield home, postgres.socket_url(home)
    finally:
        shutil.rmtree(root, ignore_errors=True)


@asynccontextmanager
async def opened(home: Home, dsn: str, agents: int, extra: str = "") -> AsyncIterator[Services]:
    """The controller's services in this process, with a company of so many agents."""
    config = ServiceConfig(dsn, home.root / "keystore.json", home.root / "keystore.key")
    async with open_services(config) as services:
        if not services.chart.tenants():
            text = chart(agents, _NOBODY, _NOBODY).replace("max: 20", f"max: {agents}") + extra
            await services.chart.apply([("chart.yaml", text)], services.directory.admin_actor(TENANT))
        yield services


def clerk(services: Services) -> Actor:
    """Somebody who may give tasks to every agent."""
    return services.directory.person_actor(TENANT, CLERK)


async def side_by_side(count: int, work: Callable[[int], Awaitable[None]]) -> None:
    """So many workers, each with its number, until all are done."""
    await asyncio.gather(*(work(number) for number in range(count)))


def rival(name: str, *packages: str) -> Path:
    """The interpreter of an environment under `.cache` with these pinned packages. Raises BenchError."""
    home = CACHE / name
    python, stamp = home / "bin" / "python", home / ".installed"
    if not stamp.exists():
        venv.create(home, with_pip=True, clear=True)
        done = subprocess.run([str(python), "-m", "pip", "install", "--quiet", *packages], check=False)
        if done.returncode:
            raise BenchError(f"{name} cannot be installed")
        stamp.touch()
    return python
