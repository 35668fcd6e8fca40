"""Keeps `run/state.json` true: collects steps and children, writes when something changed."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version

from cadre_local.errors import CadreError
from cadre_local.process import Identity, descendants, identify
from cadre_local.state import Child, Failure, Phase, RunState, Step, save
from cadre_local.supervise.options import UpOptions


class Journal:
    """The only writer of the state file."""

    def __init__(self, options: UpOptions, children: Callable[[], Iterable[Child]]) -> None:
        supervisor = identify(os.getpid(), "supervisor")
        assert supervisor is not None
        self._home = options.state_home
        self._children = children
        self._steps: dict[str, Step] = {}
        self._state = RunState(
            phase=Phase.STARTING,
            supervisor=supervisor,
            ports=options.ports,
            goose=options.goose,
            goose_version=options.goose_version,
            cadre_version=cadre_version(),
            database="external" if options.database_url else "embedded",
            scripted=str(options.scripted or ""),
            chart=str(options.chart or ""),
        )
        self._written: RunState | None = None

    @contextmanager
    def step(self, name: str) -> Iterator[None]:
        """One line of progress: open while the block runs, done only when it succeeded."""
        began = time.monotonic()
        self.note(name)
        yield
        detail = self._steps[name].detail
        self._steps[name] = Step(name=name, done=True, detail=detail, seconds=time.monotonic() - began)
        self.write()

    def note(self, name: str, detail: str = "") -> None:
        """Say how far a step is."""
        self._steps[name] = Step(name=name, detail=detail)
        self.write()

    def phase(self, phase: Phase, failure: CadreError | None = None) -> None:
        """Say how the whole is."""
        told = Failure(reason=failure.reason, message=failure.message, fix=failure.fix) if failure else None
        self._state = self._state.model_copy(update={"phase": phase, "failure": told or self._state.failure})
        self.write()

    def tenant(self, name: str) -> None:
        """Say whose chart is in force."""
        self._state = self._state.model_copy(update={"tenant": name})
        self.write()

    def warn(self, text: str) -> None:
        """Say what is missing although the rest runs."""
        self._state = self._state.model_copy(update={"warning": text})
        self.write()

    @property
    def current(self) -> Phase:
        """How the whole is."""
        return self._state.phase

    def write(self) -> None:
        """Replace the file if anything in it changed."""
        fresh = self._state.model_copy(
            update={
                "children": tuple(self._children()),
                "strays": _strays(),
                "steps": tuple(self._steps.values()),
            }
        )
        self._state = fresh
        if fresh != self._written or not self._home.state.exists():
            save(self._home, fresh)
            self._written = fresh


def cadre_version() -> str:
    """The installed version."""
    try:
        return version("cadre")
    except PackageNotFoundError:
        return "0"


def _strays() -> tuple[Identity, ...]:
    return descendants(os.getpid())
