"""Many token streams at once through one guard and the controller, against a bare proxy."""

import random
from collections.abc import Iterator
from dataclasses import dataclass

import uvloop

from cadre_detect import TOKEN_RE
from tests.bench import texts
from tests.bench.processes import CpuClock, listening
from tests.bench.reading import Asking, Plateau, Stream, read_all
from tests.bench.report import Cell, Table, percent, times
from tests.bench.source import Plan, set_plan
from tests.bench.stand import stand
from tests.bench.timing import percentile
from tests.bench.turns import direct, guarded

_STREAMS = 300
_TURNS = 100
_SECONDS = 5
_RATES = (20, 5)
"""Deltas per second of each stream."""
_RAMP = 4.0
_COLUMNS = ("deltas/s each", "program", "CPU ms per stream-second", "of pass-through", "CPU µs per delta")


@dataclass(frozen=True)
class Load:
    """The same streams both ways."""

    rate: int
    passed: Plateau
    through: Plateau
    restored: int
    """Streams in which no token was left."""


def run() -> Iterator[Table]:
    """The bench."""
    with (
        listening("tests.bench.source") as (port, _source),
        listening("tests.bench.passthrough", f"http://127.0.0.1:{port}") as (proxy_port, proxy),
        stand(port, _TURNS) as made,
        guarded(made, _TURNS) as guard,
    ):
        programs = {"guard": [guard.process], "controller": [made.controller], "Postgres": [made.database]}
        clocks = {name: CpuClock(processes) for name, processes in programs.items()}
        loads = []
        for rate in _RATES:
            rng = random.Random(rate)
            bodies = [_request(rng) for _ in range(_STREAMS)]
            passed = Plateau(_STREAMS, {"pass-through": CpuClock([proxy])})
            plan = Plan(rate * _SECONDS, 1 / rate, _STREAMS)
            _read(port, plan, [direct(f"http://127.0.0.1:{proxy_port}", body) for body in bodies], passed)
            through = Plateau(_STREAMS, clocks)
            askings = [guard.asking(number, body) for number, body in enumerate(bodies)]
            streams = _read(port, plan, askings, through)
            loads.append(Load(rate, passed, through, sum(map(_is_restored, streams))))
    yield _cost(loads)
    yield _ages(loads)


def _request(rng: random.Random) -> dict[str, object]:
    named = f"Compare {texts.name(rng)} ({texts.iban(rng)}) with {texts.name(rng)} ({texts.email(rng)})."
    return texts.chat([named])


def _is_restored(stream: Stream) -> bool:
    return not TOKEN_RE.search(stream.text())


def _read(port: int, plan: Plan, askings: list[Asking], plateau: Plateau) -> list[Stream]:
    set_plan(port, plan)
    return uvloop.run(read_all(askings, _RAMP, plateau))


def _cost(loads: list[Load]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for load in loads:
        base = _per_stream_second(load.passed, "pass-through")
        of = [(load.through, name) for name in ("guard", "controller", "Postgres")]
        for plateau, name in (*of, (load.passed, "pass-through")):
            mine = _per_stream_second(plateau, name)
            each = 1e6 * plateau.cpu[name] / max(1, len(plateau.ages))
            rows.append((load.rate, name, mine, times(mine, base), each))
    notes = (
        f"{_STREAMS} streams that all flow for {_SECONDS} s, in {_TURNS} turns of one guard",
        "pass-through: a bare aiohttp proxy on uvloop before the same model server; it reads nothing",
        "where less than the sent rate arrives (below), several deltas are read at once: no cost per delta",
    )
    return Table(f"streams: CPU of {_STREAMS} streams at once", _COLUMNS, tuple(rows), notes)


def _per_stream_second(plateau: Plateau, name: str) -> float:
    return 1e3 * plateau.cpu[name] / (_STREAMS * plateau.seconds)


def _ages(loads: list[Load]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for load in loads:
        base = percentile(load.passed.ages, 0.5)
        for label, plateau in (("guard and controller", load.through), ("pass-through", load.passed)):
            middle, late = (percentile(plateau.ages, share) for share in (0.5, 0.99))
            flowed = percent(len(plateau.ages) / plateau.seconds, _STREAMS * load.rate)
            rows.append((load.rate, label, 1e3 * middle, 1e3 * late, 1e3 * (middle - base), flowed))
    restored = sum(load.restored for load in loads)
    notes = (
        "age: from the model's write to the reader's read; all programs and the reader share this machine",
        f"{restored} of {len(loads) * _STREAMS} streams came back restored",
    )
    columns = ("deltas/s each", "way", "p50 ms", "p99 ms", "added p50 ms", "of the sent rate")
    return Table("streams: age of a delta at the reader", columns, tuple(rows), notes)
