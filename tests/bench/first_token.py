"""Time to the first token through guard and controller, against the model asked directly."""

import random

import uvloop

from tests.bench.processes import CpuClock, listening
from tests.bench.reading import Asking, read_all
from tests.bench.report import Cell, Table, times
from tests.bench.stand import stand
from tests.bench.timing import percentile
from tests.bench.turns import Guarded, direct, guarded, request_with

_REQUESTS = 25
_TURNS = 5
_SIZES = (1000, 4000)
_COLUMNS = ("request", "p50 ms", "p95 ms", "of direct", "guard CPU ms", "controller CPU ms")


def first_token_table() -> Table:
    """New requests one after the other: masked, checked again, paid for; then the first delta."""
    rows: list[tuple[Cell, ...]] = []
    with listening("tests.bench.source") as (port, _source), stand(port, 100) as made:
        model = f"http://127.0.0.1:{port}"
        with guarded(made, _TURNS) as guard:
            for size in _SIZES:
                rng = random.Random(size)
                bodies = [request_with(rng, size) for _ in range(_REQUESTS)]
                straight = _firsts([direct(model, body) for body in bodies])
                clocks = CpuClock([guard.process]), CpuClock([made.controller])
                through = _firsts([guard.asking(number, body) for number, body in enumerate(bodies)])
                cpu = [1e3 * clock.seconds() / len(bodies) for clock in clocks]
                label = f"{size // 1000} kB, dense"
                rows.append((f"{label}: direct", *_both(straight), "1x", "", ""))
                ratio = times(percentile(through, 0.5), percentile(straight, 0.5))
                rows.append((f"{label}: guard and controller", *_both(through), ratio, *cpu))
                rows.append(_again(guard, bodies, label, straight))
    notes = ("all but what was sent before is scanned; the model answers at once",)
    return Table("guard: time to the first token", _COLUMNS, tuple(rows), notes)


def _again(
    guard: Guarded, bodies: list[dict[str, object]], label: str, straight: list[float]
) -> tuple[Cell, ...]:
    """What a turn's next call adds for what it sent before."""
    clock = CpuClock([guard.process])
    known = _firsts([guard.asking(number, body) for number, body in enumerate(bodies)])
    ratio = times(percentile(known, 0.5), percentile(straight, 0.5))
    cpu = 1e3 * clock.seconds() / len(bodies)
    return f"{label}, sent before: guard and controller", *_both(known), ratio, cpu, ""


def _firsts(askings: list[Asking]) -> list[float]:
    async def one_by_one() -> list[float]:
        return [(await read_all([asking], 0))[0].first for asking in askings]

    return uvloop.run(one_by_one())[2:]


def _both(seconds: list[float]) -> tuple[float, float]:
    return 1e3 * percentile(seconds, 0.5), 1e3 * percentile(seconds, 0.95)
