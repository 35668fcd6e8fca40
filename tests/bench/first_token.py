"""Time to the first token through guard and controller, and through a guard alone, against the model itself.

Each request is asked of all of them in turn, so that they share what else the machine does.
"""

import random
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import uvloop

from tests.bench import texts
from tests.bench.processes import CpuClock, listening
from tests.bench.reading import Asking, read_all
from tests.bench.report import Cell, Table, times
from tests.bench.stand import stand
from tests.bench.timing import percentile
from tests.bench.turns import direct, guarded, request_with
from tests.support.standalone import standalone, write_guard_file

_REQUESTS = 25
_WARM = 2
_TURNS = 5
_COLUMNS = ("request", "p50 ms", "p95 ms", "of direct", "guard CPU ms", "controller CPU ms")

Body = dict[str, object]


@dataclass
class _Way:
    """One way to the model, and what was measured on it."""

    label: str
    asking: Callable[[int, Body], Asking]
    guard: tuple[psutil.Process, ...] = ()
    controller: tuple[psutil.Process, ...] = ()
    firsts: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=lambda: [0.0, 0.0])

    def ask(self, number: int, body: Body) -> None:
        """Once."""
        clocks = CpuClock(self.guard), CpuClock(self.controller)
        self.firsts.append(uvloop.run(read_all([self.asking(number, body)], 0))[0].first)
        for place, clock in enumerate(clocks):
            self.cpu[place] += clock.seconds()

    def row(self, label: str, straight: float) -> tuple[Cell, ...]:
        """What it took; begins anew."""
        took, self.firsts = self.firsts[_WARM:], []
        cpu, self.cpu = [1e3 * seconds / (len(took) + _WARM) for seconds in self.cpu], [0.0, 0.0]
        middle = percentile(took, 0.5)
        cells = (cpu[0] if self.guard else "", cpu[1] if self.controller else "")
        shown = (1e3 * middle, 1e3 * percentile(took, 0.95), times(middle, straight))
        return f"{label}: {self.label}", *shown, *cells


def first_token_table() -> Table:
    """New requests, then the same texts as another call: masked, checked again, paid for; the first delta."""
    rows: list[tuple[Cell, ...]] = []
    with listening("tests.bench.source") as (port, _source), _ways(port) as ways:
        for kind, make in (("dense", texts.dense), ("prose", texts.prose)):
            for size in (1000, 4000):
                rng = random.Random(size)
                bodies = [request_with(rng, size, make) for _ in range(_REQUESTS)]
                label = f"{size // 1000} kB, {kind}"
                rows += _asked(ways, label, bodies)
                rows += _asked(ways, f"{label}, known", [{**body, "seed": 1} for body in bodies])
    notes = (
        "known: the same texts in another call of the same turn, as a turn's next call repeats them",
        "each asks for 1 delta and the model answers at once; each call is paid for under an id of its own",
    )
    return Table("guard: time to the first token", _COLUMNS, tuple(rows), notes)


@contextmanager
def _ways(port: int) -> Iterator[list[_Way]]:
    url = f"http://127.0.0.1:{port}"
    with (
        tempfile.TemporaryDirectory() as folder,
        stand(port, 100) as made,
        guarded(made, _TURNS) as guard,
        standalone(write_guard_file(Path(folder), url)) as alone,
    ):
        yield [
            _Way("direct", lambda _number, body: direct(url, body)),
            _Way("stand-alone guard", lambda _n, body: direct(alone.url, body), (psutil.Process(alone.pid),)),
            _Way("guard and controller", guard.asking, (guard.process,), (made.controller,)),
        ]


def _asked(ways: list[_Way], label: str, bodies: list[Body]) -> Iterator[tuple[Cell, ...]]:
    for number, body in enumerate(bodies):
        for way in ways:
            way.ask(number, body)
    straight = percentile(ways[0].firsts[_WARM:], 0.5)
    yield from (way.row(label, straight) for way in ways)
