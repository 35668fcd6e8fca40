"""One supervised program: start, restart with backoff, stop, and leave nothing of it behind."""

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from cadre_local.errors import CadreError
from cadre_local.process import Identity, identify
from cadre_local.state import Child, Phase
from cadre_local.supervise.backoff import Backoff
from cadre_local.supervise.spec import ProgramSpec

LEASH = Path(__file__).with_name("leash.py")
CONFIGURATION_ERROR = 2
"""Exit code by which our programs say that starting them again is useless."""
CANNOT_START = 127
READY_POLL = 0.05
_log = logging.getLogger(__name__)


class ManagedChild:
    """Keeps one program running until told to stop."""

    def __init__(
        self,
        spec: ProgramSpec,
        changed: Callable[[], None],
        backoff: Backoff | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.spec = spec
        self.phase = Phase.STARTING
        self.restarts = 0
        self.detail = ""
        self._refusal = ""
        self._identity: Identity | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._changed = changed
        self._backoff = backoff or Backoff()
        self._clock = clock
        self._ready = asyncio.Event()
        self._failed: asyncio.Future[object] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin; returns at once."""
        self._failed = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._run(), name=f"child:{self.spec.name}")

    @property
    def pid(self) -> int | None:
        """The running process, if any."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def given_up(self) -> CadreError | None:
        """Why its start counts as failed; it is tried again all the same."""
        if self._failed is None or not self._failed.done():
            return None
        failure = self._failed.result()
        assert isinstance(failure, CadreError)
        return failure

    def view(self) -> Child:
        """The state as others see it."""
        return Child(
            name=self.spec.name,
            phase=self.phase,
            process=self._identity if self.pid else None,
            restarts=self.restarts,
            detail=self.detail,
            log=str(self.spec.log),
        )

    async def until_ready(self) -> None:
        """Wait until it serves; raises what its last log line says when it gives up or takes too long."""
        assert self._failed is not None
        ready: asyncio.Future[object] = asyncio.ensure_future(self._ready.wait())
        waiting: set[asyncio.Future[object]] = {ready, self._failed}
        try:
            await asyncio.wait(waiting, timeout=self.spec.ready_within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if self.given_up:
            raise self.given_up
        if not self._ready.is_set():
            raise CadreError(
                "StartTimedOut",
                f"{self.spec.name} was not ready in {self.spec.ready_within:g} s: {last_line(self.spec.log)}",
                f"read {self.spec.log}",
            )

    async def stop(self) -> None:
        """End it and everything it started."""
        self._set(Phase.STOPPING)
        if self._task:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._terminate()
        self._set(Phase.STOPPED)

    async def _run(self) -> None:
        while True:
            began = self._clock()
            code = await self._run_once()
            self._end_group()
            self._ready.clear()
            self._note_exit(code)
            delay = self._backoff.delay(self._clock() - began)
            self._set(Phase.BACKOFF, f"{_describe(code)}; starting again in {delay:g} s")
            await asyncio.sleep(delay)
            self.restarts += 1

    async def _run_once(self) -> int:
        self._set(Phase.STARTING)
        try:
            self._refusal = ""
            await asyncio.to_thread(self.spec.prepare)
            self._process = await self._spawn()
        except OSError as error:
            _log.error("program cannot start", extra={"program": self.spec.name, "error": str(error)})
            self._refusal = str(error)
            return CANNOT_START
        self._identity = identify(self._process.pid, self.spec.name)
        watch = asyncio.create_task(self._watch_ready())
        try:
            return await self._process.wait()
        finally:
            watch.cancel()

    async def _spawn(self) -> asyncio.subprocess.Process:
        spec = self.spec
        leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(int(spec.death_signal))]
        descriptor = os.open(spec.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            return await asyncio.create_subprocess_exec(
                *leash,
                str(spec.uid),
                str(spec.gid),
                *spec.command,
                env=dict(spec.environ),
                cwd=spec.cwd,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=descriptor,
                stderr=descriptor,
                start_new_session=True,
                umask=0o077,
            )
        finally:
            os.close(descriptor)

    async def _watch_ready(self) -> None:
        while not await asyncio.to_thread(self.spec.ready):  # noqa: ASYNC110 - another process has no event
            await asyncio.sleep(READY_POLL)
        self._set(Phase.READY)
        self._ready.set()

    def _note_exit(self, code: int) -> None:
        _log.warning("program ended", extra={"program": self.spec.name, "code": code})
        hopeless = code in {CONFIGURATION_ERROR, CANNOT_START} or self.restarts >= 3
        if hopeless and self._failed and not self._failed.done():
            self._failed.set_result(_give_up(self.spec, code, self._refusal))

    async def _terminate(self) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            return
        with suppress(ProcessLookupError):
            process.send_signal(self.spec.stop_signal)
        try:
            await asyncio.wait_for(process.wait(), self.spec.stop_grace)
        except TimeoutError:
            _log.warning("program killed after its grace", extra={"program": self.spec.name})
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        self._end_group()

    def _end_group(self) -> None:
        if self._process:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)

    def _set(self, phase: Phase, detail: str = "") -> None:
        self.phase, self.detail = phase, detail
        self._changed()


def last_line(log: Path, limit: int = 300) -> str:
    """The last non-empty line of a log file."""
    try:
        tail = log.read_bytes()[-8192:].decode(errors="replace")
    except OSError:
        return ""
    lines = [line.strip() for line in tail.splitlines() if line.strip()]
    return lines[-1][:limit] if lines else ""


def _describe(code: int) -> str:
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with code {code}"


def _give_up(spec: ProgramSpec, code: int, refusal: str) -> CadreError:
    said = refusal or last_line(spec.log)
    return CadreError(
        "ProgramFailed", f"{spec.name} {_describe(code)}" + (f": {said}" if said else ""), f"read {spec.log}"
    )
