"""A second Postgres that has every commit before its client hears of it, and takes over from the first."""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote, urlsplit

import asyncpg

from cadre_local.postgres import find_install
from tests.support.postgres import Server, eventually, run_apart

_SECONDS = 300.0


@dataclass(frozen=True)
class Standby:
    """A synchronous standby of a server."""

    data: Path
    socket: Path
    user: dict[str, Any]

    def either(self, dsn: str) -> str:
        """The DSN of a database on whichever of the two takes writes."""
        parts = urlsplit(dsn)
        first = parse_qs(parts.query)["host"][0]
        hosts = quote(f"{first},{self.socket}", safe="/,")
        return f"postgresql://{parts.netloc}{parts.path}?host={hosts}&target_session_attrs=primary"

    def control(self, *verb: str) -> None:
        """`pg_ctl`, with its log beside the data. Raises CalledProcessError."""
        command = [find_install().bin / "pg_ctl", "-D", self.data, "-w", "-l", self.data / "log", *verb]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        subprocess.run(command, check=True, cwd="/", **quiet, **self.user)

    def start(self) -> None:
        """Start it again after a crash, whatever it is by then."""
        alone = f"-c listen_addresses= -c unix_socket_directories={self.socket}"
        self.control("restart", "-m", "immediate", "-o", f"{alone} -c synchronous_standby_names=")

    async def promote(self) -> None:
        """Let it take over; returns when it takes writes."""
        await asyncio.to_thread(self.control, "promote")
        await eventually(self._writes, _SECONDS)

    async def _writes(self) -> bool:
        dsn = f"postgresql://postgres@/postgres?host={self.socket}"
        try:
            connection = await asyncpg.connect(dsn, timeout=10)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        try:
            return not await connection.fetchval("SELECT pg_is_in_recovery()")
        finally:
            await connection.close()


@contextmanager
def standby_of(primary: Server) -> Iterator[Standby]:
    """Copy the primary, follow it, and have it wait for us from now on."""
    assert primary.data is not None
    programs = find_install().bin
    folder = Path(tempfile.mkdtemp(prefix="cadre-standby-"))
    folder.chmod(0o755)
    owner = primary.data.stat()
    user = {"user": owner.st_uid, "group": owner.st_gid, "extra_groups": []}
    shutil.chown(folder, owner.st_uid, owner.st_gid)
    made = Standby(folder / "data", folder, user)
    host = parse_qs(urlsplit(primary.dsn).query)["host"][0]
    copy = ["-h", host, "-U", "postgres", "-D", made.data, "-R", "-X", "stream", "-c", "fast", "--no-sync"]
    try:
        subprocess.run([programs / "pg_basebackup", *copy], check=True, cwd="/", **user)
        (made.data / "postmaster.pid").unlink(missing_ok=True)
        made.start()
        run_apart(lambda: _wait_for_us(primary.dsn))
        yield made
    finally:
        subprocess.run(
            [programs / "pg_ctl", "-D", made.data, "-w", "-m", "immediate", "stop"],
            check=False, cwd="/", capture_output=True, **user,
        )  # fmt: skip
        shutil.rmtree(folder, ignore_errors=True)


async def _wait_for_us(dsn: str) -> None:
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
        await connection.execute("SELECT pg_reload_conf()")

        async def follows() -> bool:
            state = "SELECT sync_state FROM pg_stat_replication"
            return await connection.fetchval(state) == "sync"

        await eventually(follows, _SECONDS)
    finally:
        await connection.close()
