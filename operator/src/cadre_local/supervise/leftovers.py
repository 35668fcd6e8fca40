"""What a supervisor that was killed hard left behind: found by pid and start time, ended; nothing else is."""

import signal
from collections.abc import Iterable
from pathlib import Path

import psutil

from cadre_local import state
from cadre_local.paths import Home
from cadre_local.process import Identity, descendants, end_all, find, identify

POSTGRES_GRACE = 30.0
OTHERS_GRACE = 5.0
"""Seconds between asking and killing."""


def find_leftovers(home: Home) -> tuple[Identity, ...]:
    """Recorded processes that still run without their supervisor, all below them, and our Postgres."""
    known = state.load(home)
    if known is not None and known.alive:
        return ()
    recorded = _recorded(known) if known else ()
    running = {identity.pid: identity for identity in recorded if find(identity)}
    for identity in tuple(running.values()):
        running.update({below.pid: below for below in descendants(identity.pid)})
    postmaster = _postmaster(home.pg)
    if postmaster:
        running[postmaster.pid] = postmaster
    return tuple(running.values())


def clean(home: Home) -> tuple[Identity, ...]:
    """End them, the database last and gently; returns what was ended."""
    leftovers = find_leftovers(home)
    postmaster = _postmaster(home.pg)
    below = {identity.pid for identity in descendants(postmaster.pid)} if postmaster else set[int]()
    database = below | ({postmaster.pid} if postmaster else set())
    end_all([identity for identity in leftovers if identity.pid not in database], grace=OTHERS_GRACE)
    if postmaster:
        end_all([postmaster], grace=POSTGRES_GRACE, first=signal.SIGINT)
    return leftovers


def _recorded(known: state.RunState) -> Iterable[Identity]:
    children = (child.process for child in known.children if child.process)
    return (*children, *known.strays)


def _postmaster(data: Path) -> Identity | None:
    """The server that really runs on this data directory."""
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        process = psutil.Process(pid)
        ours = process.name() == "postgres" and str(data) in process.cmdline()
    except (OSError, ValueError, IndexError, psutil.Error):
        return None
    return identify(pid, "postgres") if ours else None
