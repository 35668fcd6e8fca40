"""What is killed: two real controllers and the Postgres they share. Each comes back by itself."""

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import psutil

from tests.support.ports import free_port
from tests.support.postgres import Server, eventually
from tests.torture.guards import TTL
from tests.torture.people import SECRET
from tests.torture.standby import Standby

_SECONDS = 120.0


class Controller:
    """One real controller process on fixed ports."""

    def __init__(self, root: Path, database: str, model: str, name: str) -> None:
        self.public, self.guard = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
        self._log = root / f"{name}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._left: list[psutil.Process] = []
        kept = ("PATH", "HOME", "LANG", "PYTHONPATH")
        self._environment = {
            **{name: os.environ[name] for name in kept if name in os.environ},
            "CADRE_DATABASE_URL": database,
            "CADRE_PUBLIC_LISTEN": self.public,
            "CADRE_GUARD_LISTEN": self.guard,
            "CADRE_KEYSTORE": str(root / "root.key"),
            "CADRE_HOME": str(root),
            "CADRE_DESKTOP": "1",
            "CADRE_LEASE_TTL": str(TTL),
            "CADRE_LOCAL_HOSTS": model.removeprefix("http://"),
        }

    def start(self) -> None:
        """Start it; it answers some seconds later."""
        with self._log.open("ab") as log:
            command = [sys.executable, "-m", "cadre_controller"]
            self._process = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)

    @property
    def running(self) -> bool:
        """It has been started and has not ended."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that was started last; 0 before."""
        return self._process.pid if self._process is not None else 0

    def kill(self) -> None:
        """Kill it with -9, remembering what it leaves behind."""
        if self._process is not None and self.running:
            self._left += psutil.Process(self._process.pid).children(recursive=True)
            self._process.kill()
            self._process.wait()

    def stop(self) -> None:
        """End it as a supervisor does; raises TimeoutExpired."""
        if self._process is not None and self.running:
            self._process.terminate()
            self._process.wait(timeout=60)

    def orphans(self) -> list[int]:
        """Processes of killed controllers that still run."""
        return [p.pid for p in self._left if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def tail(self) -> str:
        """The last lines of its log."""
        return "\n".join(self._log.read_text().splitlines()[-15:]) if self._log.exists() else ""


class Postgres:
    """The server under the controllers."""

    def __init__(self, server: Server, standby: Standby | None = None) -> None:
        assert server.data is not None and server.crash is not None
        self._data, self._start, self._standby = server.data, server.crash, standby
        self._dsn = server.dsn if standby is None else standby.either(server.dsn)
        self.failed_over = False

    async def fail_over(self) -> None:
        """Kill the primary with -9, for good; from now on the standby is the server."""
        assert self._standby is not None
        await self._end()
        await self._standby.promote()
        self._data, self._start, self.failed_over = self._standby.data, self._standby.start, True

    async def kill(self) -> None:
        """Kill the postmaster with -9 and start it again."""
        await self._end()
        async with asyncio.timeout(_SECONDS):
            while True:
                try:
                    await asyncio.to_thread(self._start)
                    return
                except subprocess.CalledProcessError:  # a killed server's memory is still in use
                    await asyncio.sleep(0.1)

    async def _end(self) -> None:
        postmaster = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(postmaster, signal.SIGKILL)
        async with asyncio.timeout(_SECONDS):
            while psutil.pid_exists(postmaster) and psutil.Process(postmaster).status() != "zombie":
                await asyncio.sleep(0.02)

    async def kill_backend(self, chance: random.Random) -> None:
        """Kill one connection's process with -9: Postgres throws all others out and recovers."""
        postmaster = psutil.Process(int((self._data / "postmaster.pid").read_text().split()[0]))
        children = postmaster.children()
        clients = [c for c in children if "cadre" in " ".join(_command(c))] or children
        victim = chance.choice(clients)
        victim.kill()
        await eventually(self._answers, _SECONDS)

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(self._dsn, timeout=5)
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        connection.terminate()  # politely would be an error where the server falls in this very moment
        return True


def _command(process: psutil.Process) -> list[str]:
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def write_secrets(root: Path, agents: Sequence[str]) -> None:
    """What a supervisor would leave for the controllers."""
    folder = root / "run" / "bootstrap"
    folder.mkdir(parents=True, exist_ok=True)
    (root / "run" / "desktop.token").write_text(SECRET)
    (root / "root.key").write_bytes(os.urandom(32))
    (root / "root.key").chmod(0o600)
    for agent in agents:
        (folder / agent.replace("/", ".")).write_text(f"secret of {agent}")
