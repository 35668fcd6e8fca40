"""A scripted controller, and a real guard with a real goose against it."""

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.integration.guard.controller_stub import Controller, guard_process
from tests.integration.guard.ports import ports as ports
from tests.support.goose import find_goose


@pytest.fixture(scope="session")
def goose() -> Path:
    """The real binary."""
    return find_goose()


@pytest_asyncio.fixture
async def controller() -> AsyncIterator[Controller]:
    """Listening, empty."""
    it = Controller()
    await it.start()
    yield it
    await it.stop()


@dataclass
class Guard:
    """A running guard and what its goose is."""

    controller: Controller
    process: asyncio.subprocess.Process
    state: Path

    def goose_pids(self) -> list[int]:
        """Processes below the guard that run the agent."""
        return [pid for pid in descendants(self.process.pid) if "goose" in command(pid)]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_guard(goose: Path, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Guard]:
    """One guard for all tests of a module: loading its language model takes longer than most of them."""
    controller = Controller(shared=True)
    await controller.start()
    state = tmp_path_factory.mktemp("guard")
    async with guard_process(controller, goose, state) as process:
        yield Guard(controller, process, state)
    await controller.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def guard(shared_guard: Guard) -> Guard:
    """The module's guard, its controller empty."""
    assert shared_guard.process.returncode is None
    shared_guard.controller.reset()
    return shared_guard


@pytest_asyncio.fixture
async def fresh_guard(controller: Controller, goose: Path, tmp_path: Path) -> AsyncIterator[Guard]:
    """A guard of one's own, to be killed or misled."""
    async with guard_process(controller, goose, tmp_path) as process:
        yield Guard(controller, process, tmp_path)


@pytest_asyncio.fixture
async def open_guard(controller: Controller, goose: Path, tmp_path: Path) -> AsyncIterator[Guard]:
    """A guard whose goose runs without a sandbox, so that a test can look into its HOME."""
    async with guard_process(controller, goose, tmp_path, CADRE_SANDBOX="Off") as process:
        yield Guard(controller, process, tmp_path)


async def eventually(condition: Callable[[], object], seconds: float = 120) -> None:
    """Wait for a condition; fails with its name when it does not come."""
    try:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)
    except TimeoutError:
        pytest.fail(f"did not happen in {seconds} s: {condition}")


def descendants(pid: int) -> list[int]:
    """All processes below one."""
    found: list[int] = []
    for child in _children(pid):
        found += [child, *descendants(child)]
    return found


def command(pid: int) -> str:
    """Command line of a process, empty when it has gone; goose is `/opt/agent/bin acp` inside."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""
    return "goose " + line if line.rstrip().endswith(" acp") else line


def _children(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []
