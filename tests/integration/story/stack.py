"""The whole of desktop mode, as a user starts it, in a directory and on ports of its own.

Everything here goes through the `cadre` command and the public API; what is read behind their back (the
ledger's file, a database dump, process ids) is only read to prove or to kill something.
"""

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import psutil
import pytest
import yaml

from cadre_local import postgres
from cadre_local.client.api import CadreApi
from cadre_local.client.http import Endpoint, HttpClient
from cadre_local.errors import CadreError, Exit
from cadre_local.paths import Home
from cadre_local.state import RunState, load
from cadre_local.supervise.fleet import READY_STATES, live_state, should_run
from tests.support.ports import free_port
from tests.support.scripted import ACME, ACME_SCENARIO, Scripted

T = TypeVar("T")


def wait_for(
    look: Callable[[], T | None], what: str, seconds: float = 60, told: Callable[[], str] = str
) -> T:
    """Ask again and again until something comes; AssertionError names what did not, and what `told` says."""
    deadline = time.monotonic() + seconds
    while (found := look()) is None:
        assert time.monotonic() < deadline, f"no {what} within {seconds:.0f} s\n{told()}"
        time.sleep(0.05)
    return found


def patiently(ask: Callable[[], T], otherwise: T) -> T:
    """Ask; while the controller is away (we may have killed it) the answer is `otherwise`."""
    try:
        return ask()
    except CadreError as error:
        if error.code is not Exit.UNREACHABLE:
            raise
        return otherwise


@dataclass
class Stack:
    """A running installation."""

    root: Path
    goose: str
    public: int = field(default_factory=free_port)
    guard: int = field(default_factory=free_port)
    model: int = field(default_factory=free_port)

    @property
    def home(self) -> Home:
        """Its state directory."""
        return Home(self.root / "h")

    @property
    def chart(self) -> Path:
        """Its copy of the Acme chart."""
        return self.root / "chart"

    @property
    def ledger_file(self) -> Path:
        """The ledger's books."""
        return self.root / "ledger.db"

    @property
    def scripted(self) -> Scripted:
        """The scripted model, as a client sees it."""
        return Scripted(f"http://127.0.0.1:{self.model}")

    def write_chart(
        self,
        *,
        bank_seconds: float = 0,
        provider: int = 0,
        provider_timeout: str = "120s",
        tool_timeout: str = "30s",
    ) -> None:
        """Copy the example and point it at our files and ports."""
        shutil.copytree(
            ACME, self.chart, dirs_exist_ok=True, ignore=shutil.ignore_patterns("story", "__pyc*")
        )
        models = (ACME / "models.yaml").read_text().replace(":7460/", f":{provider or self.model}/")
        (self.chart / "models.yaml").write_text(
            models.replace("timeout: 120s", f"timeout: {provider_timeout}")
        )
        tools = yaml.safe_load((ACME / "tools.yaml").read_text())
        tools["spec"]["limits"]["timeout"] = tool_timeout
        tools["spec"]["stdio"]["env"] = [
            {"name": "LEDGER_FILE", "value": str(self.ledger_file)},
            {"name": "LEDGER_BANK_SECONDS", "value": str(bank_seconds)},
        ]
        (self.chart / "tools.yaml").write_text(yaml.safe_dump(tools))

    def cadre(self, *arguments: str, persona: str = "", seconds: float = 180) -> str:
        """Run the command as a person would; AssertionError shows what it said when it fails."""
        environ = os.environ | {"CADRE_HOME": str(self.home.root), "CADRE_GOOSE": self.goose, "NO_COLOR": "1"}
        command = [
            sys.executable,
            "-m",
            "cadre_local.cli.main",
            *(("--as", persona) if persona else ()),
            *arguments,
        ]
        done = subprocess.run(
            command, env=environ, capture_output=True, text=True, timeout=seconds, check=False, cwd=self.root
        )
        assert done.returncode == 0, (
            f"{arguments}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.logs()}"
        )
        return done.stdout

    def up(self, scenario: Path = ACME_SCENARIO) -> None:
        """`cadre up` until everything is ready."""
        ports = ("--port", self.public, "--guard-port", self.guard, "--scripted-port", self.model)
        self.cadre("up", "-f", str(self.chart), "--scripted", str(scenario), *map(str, ports))

    def apply(self, **chart: object) -> None:
        """Put a changed chart in force."""
        self.write_chart(**chart)
        self.cadre("apply", "-f", str(self.chart))

    def logs(self, lines: int = 12) -> str:
        """The end of every log, for messages."""
        ends = []
        for log in sorted(self.home.logs.glob("*.log")):
            tail = log.read_text(errors="replace").splitlines()[-lines:]
            ends.append(f"--- {log.name}\n" + "\n".join(line[:500] for line in tail))
        return "\n".join(ends)

    def api(self, person: str = "") -> CadreApi:
        """The public API as a person; empty = the tenant's admin. Waits while the controller is away."""
        api = CadreApi(HttpClient(Endpoint(f"http://127.0.0.1:{self.public}", timeout=15)))
        secret = self.home.desktop_token.read_text().strip()

        def log_in() -> bool | None:
            return patiently(lambda: bool(api.log_in(secret, person)) or True, None)

        wait_for(log_in, "controller", told=self.logs)
        return api

    def settle(self) -> None:
        """Wait until every program runs and every agent is ready for work."""

        def look() -> bool | None:
            rows = patiently(lambda: [row for row in self.api().agents() if should_run(row)], [])
            return True if rows and all(live_state(row) in READY_STATES for row in rows) else None

        wait_for(look, "agents", told=self.logs)

    def state(self) -> RunState:
        """What the supervisor says of itself."""
        found = load(self.home)
        assert found is not None
        return found

    def pid(self, name: str) -> int:
        """Process id of `controller`, `model`, `guard:<agent>` or `goose:<agent>`."""

        def look() -> int | None:
            is_goose = name.startswith("goose:")
            child = next(
                (c for c in self.state().children if c.name == name.replace("goose:", "guard:")), None
            )
            if child is None or child.process is None or not psutil.pid_exists(child.process.pid):
                return None
            return _goose_below(child.process.pid) if is_goose else child.process.pid

        return wait_for(look, f"process {name}")

    def kill(self, name: str) -> None:
        """kill -9."""
        os.kill(self.pid(name), signal.SIGKILL)

    def agent_memory(self, agent: str) -> bytes:
        """All that an agent's goose keeps in its HOME; skips where that cannot be read from outside."""
        process = psutil.Process(self.pid(f"goose:{agent}"))
        home = Path(f"/proc/{process.pid}/root{process.environ()['HOME']}")
        try:
            files = [path for path in home.rglob("*") if path.is_file()]
            return b"\n".join(path.read_bytes() for path in files)
        except PermissionError:
            pytest.skip("the agent's files cannot be read from outside of its namespaces as this user")

    def booked(self) -> list[tuple[str, float, str]]:
        """Department, amount and IBAN of each entry in the ledger."""
        return self.rows("select department, amount, iban from entries")

    def transfers(self) -> list[tuple[float, str, int]]:
        """Amount, IBAN and confirmation of each transfer."""
        return self.rows("select amount, iban, confirmed from transfers")

    def rows(self, query: str) -> list[tuple]:
        """Rows of the ledger's file, read only; none before it exists."""
        if not self.ledger_file.exists():
            return []
        database = sqlite3.connect(f"file:{self.ledger_file}?mode=ro", uri=True, timeout=10)
        try:
            return database.execute(query).fetchall()
        finally:
            database.close()

    def dump(self) -> bytes:
        """The database as pg_dump writes it, byte fields as hexadecimal."""
        program = postgres.find_install().bin / "pg_dump"
        command = [str(program), "--inserts", postgres.socket_url(self.home)]
        return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def _goose_below(guard: int) -> int | None:
    """The agent among a guard's children: in its sandbox it has another name, but it is told `acp`."""
    try:
        below = psutil.Process(guard).children(recursive=True)
        return next((p.pid for p in below if p.cmdline()[1:2] == ["acp"]), None)
    except psutil.Error:
        return None


@contextmanager
def running(goose: str, kind: type[Stack] = Stack) -> Iterator[Stack]:
    """Start Acme, or another kind; afterwards nothing of it is left, neither process nor file."""
    root = Path(tempfile.mkdtemp(prefix="cadre-"))
    root.chmod(0o711)
    stack = kind(root, goose)
    try:
        stack.write_chart()
        stack.up()
        yield stack
    finally:
        stack.cadre("down")
        left = [p.pid for p in psutil.process_iter(["environ"]) if _belongs(p, stack)]
        shutil.rmtree(root, ignore_errors=True)
        assert not left, f"processes left behind: {left}"


def _belongs(process: psutil.Process, stack: Stack) -> bool:
    environ = process.info["environ"] or {}
    return environ.get("CADRE_HOME") == str(stack.home.root) and process.pid != os.getpid()
