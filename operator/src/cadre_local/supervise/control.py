"""Start and stop a supervisor from another process: what `cadre up` and `cadre down` do."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from cadre_local import lock, state
from cadre_local.errors import CadreError, Exit
from cadre_local.paths import Home
from cadre_local.process import end_all, find
from cadre_local.state import Phase, RunState
from cadre_local.supervise import leftovers
from cadre_local.supervise.child import LEASH, last_line
from cadre_local.supervise.options import UpOptions

POLL = 0.1
STOP_WITHIN = 90.0
"""Seconds until a supervisor that was asked to stop is killed."""
Watch = Callable[[RunState], None]


@dataclass(slots=True)
class Launched:
    """A supervisor that this process started."""

    process: subprocess.Popen[bytes]
    home: Home

    def wait_ready(self, watch: Watch) -> RunState:
        """Show progress until it is ready; raises what it failed with."""
        while True:
            current = self._current()
            if current:
                watch(current)
                if current.phase is Phase.READY:
                    return current
            if self.process.poll() is not None:
                raise self._failure()
            time.sleep(POLL)

    def wait_end(self) -> int:
        """Stay until it ends; its exit code."""
        return self.process.wait()

    def stop(self) -> None:
        """Ask it to stop and wait."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait()

    def _current(self) -> RunState | None:
        current = state.load(self.home)
        return current if current and current.supervisor.pid == self.process.pid else None

    def _failure(self) -> CadreError:
        current = self._current()
        code = Exit(self.process.returncode) if self.process.returncode in set(Exit) else Exit.REFUSED
        if current and current.failure:
            return CadreError(current.failure.reason, current.failure.message, current.failure.fix, code)
        log = self.home.logs / "supervisor.log"
        return CadreError("SupervisorFailed", last_line(log) or "the supervisor ended", f"read {log}", code)


def launch(options: UpOptions, *, die_with_us: bool) -> Launched:
    """Start the supervisor in a session of its own; with `die_with_us` it stops when we do."""
    home = options.state_home
    command = [sys.executable, "-m", "cadre_local.supervise", options.model_dump_json()]
    if die_with_us:
        leash = [
            sys.executable,
            "-I",
            "-S",
            str(LEASH),
            str(os.getpid()),
            str(int(signal.SIGTERM)),
            "-1",
            "-1",
        ]
        command = [*leash, *command]
    log = os.open(home.logs / "supervisor.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            umask=0o077,
            cwd=home.root,
        )
    finally:
        os.close(log)
    return Launched(process, home)


def running(home: Home) -> RunState | None:
    """The state of a living supervisor; raises `AlreadyRunning` when one holds the lock without a state."""
    known = state.load(home)
    if known and known.alive and known.phase is not Phase.STOPPED:
        return known
    if lock.held(home.lock):
        lock.acquire(home.lock).release()
    return None


def stop(home: Home, watch: Watch) -> bool:
    """End the installation from any shell, a crashed one too; False when nothing ran."""
    known = state.load(home)
    ended = False
    if known and known.alive:
        ended = True
        _stop_supervisor(home, known, watch)
    return bool(leftovers.clean(home)) or ended


def _stop_supervisor(home: Home, known: RunState, watch: Watch) -> None:
    process = find(known.supervisor)
    if process:
        process.send_signal(signal.SIGTERM)
    deadline = time.monotonic() + STOP_WITHIN
    while find(known.supervisor) and time.monotonic() < deadline:
        current = state.load(home)
        if current:
            watch(current)
        time.sleep(POLL)
    end_all([known.supervisor], grace=0)
