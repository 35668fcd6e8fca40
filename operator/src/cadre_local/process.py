"""Processes by pid *and* start time, so that a recycled pid is never mistaken for ours and never killed."""

import os
import signal
import time
from collections.abc import Callable, Iterable, Sequence

import psutil
from pydantic import BaseModel, ConfigDict

START_TOLERANCE = 0.05
"""Seconds; psutil derives the start time from clock ticks."""


class Identity(BaseModel):
    """A process that can be recognised again."""

    model_config = ConfigDict(frozen=True)

    pid: int
    started: float
    """Seconds since the epoch, as the kernel tells it."""
    name: str = ""


def identify(pid: int, name: str = "") -> Identity | None:
    """The identity of a running process; None when there is none."""
    try:
        process = psutil.Process(pid)
        return Identity(pid=pid, started=process.create_time(), name=name or process.name())
    except psutil.Error:
        return None


def find(identity: Identity) -> psutil.Process | None:
    """The very same process, if it still runs (a zombie does not)."""
    try:
        process = psutil.Process(identity.pid)
        same = abs(process.create_time() - identity.started) <= START_TOLERANCE
        return process if same and process.status() != psutil.STATUS_ZOMBIE else None
    except psutil.Error:
        return None


def descendants(pid: int) -> tuple[Identity, ...]:
    """Everything that runs below a process, deepest first."""
    try:
        below = psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return ()
    found = (identify(child.pid) for child in reversed(below))
    return tuple(identity for identity in found if identity)


def end_all(
    identities: Sequence[Identity],
    *,
    grace: float,
    first: signal.Signals = signal.SIGTERM,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> tuple[Identity, ...]:
    """Ask, wait at most `grace` seconds, then kill; returns those that had to be killed."""
    _signal(identities, first)
    deadline = clock() + grace
    while any(find(identity) for identity in identities) and clock() < deadline:
        sleep(0.02)
    stubborn = tuple(identity for identity in identities if find(identity))
    _signal(stubborn, signal.SIGKILL)
    while any(find(identity) for identity in stubborn) and clock() < deadline + 5:
        sleep(0.02)
    return stubborn


def _signal(identities: Iterable[Identity], number: signal.Signals) -> None:
    for identity in identities:
        if process := find(identity):
            try:
                os.kill(process.pid, number)
            except ProcessLookupError:
                continue
