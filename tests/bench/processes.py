"""The programs of a bench as processes of their own: started, awaited, their CPU time read, and ended."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import psutil

from cadre_local.supervise.child import LEASH
from cadre_local.supervise.spec import ProgramSpec


class BenchError(Exception):
    """A bench cannot go on; the message says why."""


@contextmanager
def running(spec: ProgramSpec) -> Iterator[psutil.Process]:
    """Run a program of desktop mode until it is ready, and stop it afterwards. Raises BenchError."""
    spec.prepare()
    command = _leashed(spec.command, spec.death_signal, spec.uid, spec.gid)
    with spec.log.open("wb") as log:
        process = subprocess.Popen(command, env=dict(spec.environ), cwd=spec.cwd, stdout=log, stderr=log)
    try:
        _until_ready(spec, process)
        yield psutil.Process(process.pid)
    finally:
        if process.poll() is None:
            process.send_signal(spec.stop_signal)
        _end(process, spec.stop_grace)


@contextmanager
def listening(module: str, *arguments: str) -> Iterator[tuple[int, psutil.Process]]:
    """Run one of the bench's own programs; yields the port that its first line of output names."""
    command = _leashed((sys.executable, "-m", module, *arguments), signal.SIGKILL)
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        if not line:
            raise BenchError(f"{module} ended at its start")
        yield int(json.loads(line)["port"]), psutil.Process(process.pid)
    finally:
        process.terminate()
        _end(process, 10)
        if process.stdout is not None:
            process.stdout.close()


def announce(port: int) -> None:
    """What a program started by `listening` says once it serves."""
    print(json.dumps({"port": port}), flush=True)


class CpuClock:
    """CPU seconds that processes, with their children, have used since this was made."""

    def __init__(self, processes: Iterable[psutil.Process]) -> None:
        self._processes = tuple(processes)
        self._start = self._total()

    def seconds(self) -> float:
        """User and system time."""
        return self._total() - self._start

    def _total(self) -> float:
        total = 0.0
        for root in self._processes:
            for process in (root, *root.children(recursive=True)):
                try:
                    used = process.cpu_times()
                except psutil.NoSuchProcess:
                    continue
                total += used.user + used.system
        return total


def _leashed(command: tuple[str, ...], death: signal.Signals, uid: int = -1, gid: int = -1) -> list[str]:
    """The command so that it dies with us, however we end."""
    return [sys.executable, "-I", "-S", str(LEASH), *map(str, (os.getpid(), int(death), uid, gid)), *command]


def _until_ready(spec: ProgramSpec, process: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + spec.ready_within
    while not spec.ready():
        if process.poll() is not None or time.monotonic() > ends:
            tail = spec.log.read_text(errors="replace").splitlines()[-5:]
            raise BenchError(f"{spec.name} does not start: " + " | ".join(tail))
        time.sleep(0.05)


def _end(process: "subprocess.Popen[bytes] | subprocess.Popen[str]", grace: float) -> None:
    try:
        process.wait(timeout=grace)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
