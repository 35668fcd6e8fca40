"""Durable task submission through the controller's process, against what its Postgres can do at most."""

import random
import secrets
from collections.abc import Iterator, Sequence
from itertools import islice

import uvloop

from cadre_api.protocol.tasks import TaskCreate
from tests.bench import ceilings, texts
from tests.bench.posting import Posted, post_all, request
from tests.bench.processes import CpuClock
from tests.bench.report import Cell, Table, percent
from tests.bench.stand import AGENTS, REQUESTER, Stand, stand
from tests.bench.timing import percentile
from tests.bench.working import Worked, work_off

_SECONDS = 8.0
_CEILING_SECONDS = 4.0
_MOST = 8000
_WARM = 20
"""Submits before the first that counts: the controller loads its language model while it already serves."""
_NO_MODEL = 9
"""A port where nobody listens: submission asks no model."""

Row = tuple[Cell, ...]
_COLUMNS = ("what", "per s", "p50 ms", "p99 ms", "controller CPU ms", "of INSERT")


def run() -> Iterator[Table]:
    """The bench."""
    with stand(_NO_MODEL, concurrency=100) as made:
        inserts = uvloop.run(ceilings.insert_rows(made.database_url, _CEILING_SECONDS, "x" * 300))
        pgbench = ceilings.pgbench(made.database_url, int(_CEILING_SECONDS))
        _submit(made, [_named(rng) for rng in islice(_chances(0), _WARM)], connections=2)
        rows: list[Row] = []
        for label, kind in (("a name and an IBAN in it", _named), ("no personal data", texts.prose_sentence)):
            for connections in (8, 64):
                clock = CpuClock([made.controller])
                posted = _submit(made, [kind(rng) for rng in _chances(connections)], connections)
                rows.append(_row(f"submit, c={connections}: {label}", posted, clock, inserts.per_second))
        clock = CpuClock([made.controller])
        worked = uvloop.run(work_off(made, AGENTS, _MOST, _SECONDS))
        working = _working(worked, clock, inserts.per_second)
        rows += _ceilings(inserts, pgbench)
    yield _submits(rows)
    yield working


def _submits(rows: list[Row]) -> Table:
    return Table(
        "submit: POST /api/v1/tasks, answered when durable",
        _COLUMNS,
        tuple(rows),
        (
            "each: policy, routing over the chart's agents, masking with NER, task, event and audit chain",
            f"INSERT: one row per transaction, {ceilings.CONNECTIONS} connections, same server, nothing else",
        ),
    )


def _working(worked: Worked, clock: CpuClock, ceiling: float) -> Table:
    rate = worked.done / worked.seconds
    each = 1e3 * clock.seconds() / max(1, worked.done)
    rows: tuple[Row, ...] = (
        ("tasks claimed and completed", rate, "", "", each, percent(rate, ceiling)),
        ("one claim of up to 25", "", *_latencies(worked.claims), "", ""),
        ("one completion", "", *_latencies(worked.acks), "", ""),
    )
    notes = (f"{worked.done} tasks by {len(AGENTS)} guards that run nothing; claim and result are durable",)
    return Table("submit: claims and results", _COLUMNS, rows, notes)


def _ceilings(inserts: ceilings.Inserts, pgbench: float | None) -> list[Row]:
    latencies = _latencies(inserts.latencies)
    rows: list[Row] = [("ceiling: INSERT, asyncpg", inserts.per_second, *latencies, "", "100 %")]
    if pgbench is not None:
        rows.append(
            ("ceiling: pgbench -N, 8 clients", pgbench, "", "", "", percent(pgbench, inserts.per_second))
        )
    return rows


def _row(label: str, posted: Posted, clock: CpuClock, ceiling: float) -> Row:
    each = 1e3 * clock.seconds() / max(1, len(posted.latencies))
    return label, posted.per_second, *_latencies(posted.latencies), each, percent(posted.per_second, ceiling)


def _latencies(seconds: Sequence[float]) -> tuple[float, float]:
    return 1e3 * percentile(seconds, 0.5), 1e3 * percentile(seconds, 0.99)


def _submit(made: Stand, prompts: list[str], connections: int) -> Posted:
    api = made.api(REQUESTER)
    rng = random.Random(len(prompts) + connections)
    requests = []
    for prompt in prompts:
        body = TaskCreate(prompt=prompt, role=rng.choice(("finance", "marketing")))
        headers = {"Authorization": f"Bearer {api.http.token}", "Idempotency-Key": secrets.token_hex(16)}
        wire = body.model_dump_json(by_alias=True).encode()
        requests.append(request(made.public_url, "/api/v1/tasks", wire, headers))
    return uvloop.run(post_all(made.public_url, requests, connections, _SECONDS))


def _chances(seed: int) -> Iterator[random.Random]:
    rng = random.Random(seed)
    return (rng for _ in range(_MOST))


def _named(rng: random.Random) -> str:
    return f"{texts.prose_sentence(rng)} Ask {texts.name(rng)} to check {texts.iban(rng)}, {rng.random()}."
