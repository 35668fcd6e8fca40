"""One desktop installation for a test: own state directory, free ports, a copy of the Acme chart."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from cadre_local import state
from cadre_local.paths import Home
from cadre_local.state import Child, RunState
from tests.support.goose import find_goose
from tests.support.ports import free_port

ACME = Path(__file__).parents[3] / "examples" / "01-acme"
PATIENCE = 120.0
"""Seconds that a condition may take before the test gives up; no test asserts how long anything takes."""


@dataclass
class Installation:
    """What a person has on a laptop."""

    root: Path
    port: int = field(default_factory=free_port)
    guard_port: int = field(default_factory=free_port)
    scripted_port: int = field(default_factory=free_port)
    extra: dict[str, str] = field(default_factory=dict)

    @property
    def home(self) -> Home:
        return Home(self.root / "home")

    @property
    def chart(self) -> Path:
        return self.root / "chart"

    @property
    def environ(self) -> dict[str, str]:
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CADRE_")}
        return {
            **inherited,
            "CADRE_HOME": str(self.home.root),
            "CADRE_GOOSE": str(find_goose()),
            **self.extra,
        }

    def up_arguments(self, *more: str) -> list[str]:
        ports = ["--port", str(self.port), "--guard-port", str(self.guard_port)]
        scripted = [
            "--scripted",
            str(self.chart / "story" / "scenario.yaml"),
            "--scripted-port",
            str(self.scripted_port),
        ]
        return ["up", *ports, *scripted, *more]

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "cadre_local.cli.main", *arguments]

    def cadre(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self.command(*arguments),
            env=self.environ,
            cwd=self.root,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )

    def done(self, *arguments: str) -> str:
        """Run a command that must succeed; its standard output."""
        result = self.cadre(*arguments)
        assert result.returncode == 0, (
            f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}\n{self.logs()}"
        )
        return result.stdout

    def json(self, *arguments: str) -> Any:
        """Run a command that must succeed and answer in JSON."""
        return json.loads(self.done(*arguments, "-o", "json"))

    def json_of(self, code: int, *arguments: str) -> Any:
        """Run a command that must end with a code and answer in JSON."""
        result = self.cadre(*arguments, "-o", "json")
        assert result.returncode == code, f"{result.stdout}\n{result.stderr}"
        return json.loads(result.stdout)

    def up(self, *more: str) -> str:
        """Start with the chart."""
        return self.done(*self.up_arguments("-f", str(self.chart), *more))

    def state(self) -> RunState:
        current = state.load(self.home)
        assert current is not None
        return current

    def child(self, name: str) -> Child:
        return next(child for child in self.state().children if child.name == name)

    def set_lifecycle(self, agent: str, lifecycle: str) -> None:
        """Change one agent in the chart."""
        file = self.chart / "agents.yaml"
        documents = file.read_text().split("---\n")
        for index, document in enumerate(documents):
            if f"name: {agent}," in document:
                kept = "".join(line for line in document.splitlines(True) if "lifecycle:" not in line)
                documents[index] = f"{kept.rstrip()}\n  lifecycle: {lifecycle}\n"
        file.write_text("---\n".join(documents))

    def logs(self) -> str:
        """The end of every log, for a failing test."""
        files = sorted(self.home.logs.glob("*.log")) if self.home.logs.exists() else []
        return "\n".join(
            f"== {file.name}\n" + "\n".join(file.read_text().splitlines()[-8:]) for file in files
        )

    def processes(self) -> list[str]:
        """Everything on this machine that belongs to this installation."""
        return [
            f"{process.pid} {process.info['name']}"
            for process in psutil.process_iter(["name"])
            if self._ours(process)
        ]

    def _ours(self, process: psutil.Process) -> bool:
        try:
            words = [*process.cmdline(), *process.environ().values()]
        except psutil.Error:
            return False
        return process.pid != os.getpid() and any(str(self.root) in word for word in words)

    def none_left(self) -> None:
        """Wait until nothing of this installation runs."""
        until(lambda: not self.processes(), lambda: f"still running: {self.processes()}")


def until(
    condition: Callable[[], object], explain: Callable[[], str] = lambda: "condition never held"
) -> None:
    """Wait for a condition."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline, explain()
        time.sleep(0.05)


@contextmanager
def installed(**extra: str) -> Iterator[Installation]:
    """An installation that is stopped and removed at the end, whatever happened."""
    root = Path(tempfile.mkdtemp(prefix="cdr-", dir="/tmp"))
    root.chmod(0o711)
    place = Installation(root, extra=extra)
    shutil.copytree(ACME, place.chart)
    models, tools = place.chart / "models.yaml", place.chart / "tools.yaml"
    models.write_text(models.read_text().replace("127.0.0.1:7460", f"127.0.0.1:{place.scripted_port}"))
    command = "command: [python, ledger.py]"
    ledger = f"{command}\n    env: [{{name: LEDGER_FILE, value: {root / 'ledger.db'}}}]"
    tools.write_text(tools.read_text().replace(command, ledger))
    try:
        yield place
    finally:
        place.cadre("down")
        place.none_left()
        shutil.rmtree(root, ignore_errors=True)
