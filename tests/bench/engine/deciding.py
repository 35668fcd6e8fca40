"""Route decisions among a thousand agents: the core alone, with an answer of policy at hand."""

import random
import time
from collections.abc import Iterator

from cadre_api.protocol.base import Effect
from cadre_core.compile import compile_chart
from cadre_core.load import parse_documents
from cadre_core.model import Snapshot
from cadre_core.policy.decide import Decision
from cadre_core.routing import AgentState, RouteQuery, route, route_board, route_index
from tests.bench.processes import BenchError
from tests.bench.report import Table
from tests.bench.timing import percentile
from tests.torture.company import agents, chart

_AGENTS = 1000
_DECISIONS = 3000


def run() -> Iterator[Table]:
    """The bench."""
    index = route_index(_snapshot())
    rng = random.Random(5)
    states = {key: AgentState("Idle", rng.randrange(3), rng.randrange(9)) for key in agents(_AGENTS)}
    rows = []
    board = route_board(index, states)
    for label, query in (
        ("anyone", RouteQuery()),
        ("by role", RouteQuery(role="base", near=("co/co", "co/d1"))),
        ("by tool, near the asker", RouteQuery(skills=("desk_book",), near=("co/co", "co/d2"))),
        ("all of them (fan-out)", RouteQuery(role="base", wanted=0)),
    ):
        wall, cpu = [], []
        for _ in range(_DECISIONS if query.wanted else 100):
            begin, used = time.perf_counter(), time.process_time()
            route(board, query, lambda _: Decision(Effect.ALLOW))
            cpu.append(time.process_time() - used)
            wall.append(time.perf_counter() - begin)
        figures = [1e3 * percentile(found, share) for found in (wall, cpu) for share in (0.5, 0.99)]
        rows.append((label, *figures))
    yield Table(
        f"engine: one route decision among {_AGENTS:,} agents",
        ("query", "p50 ms", "p99 ms", "CPU p50 ms", "CPU p99 ms"),
        tuple(rows),
        ("filters, score and explanation; policy's word is at hand, as it is after the first time",),
    )


def _snapshot() -> Snapshot:
    text = chart(_AGENTS, "http://127.0.0.1:9", "http://127.0.0.1:9")
    resources, _ = parse_documents([("chart.yaml", text)])
    made = compile_chart(resources)
    if made.snapshot is None:
        raise BenchError(str(made.problems[:3]))
    return made.snapshot
