"""What the same Postgres does at most: one row per durable transaction, without anything around it."""

import asyncio
import re
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import asyncpg

from cadre_local import postgres

CONNECTIONS = 16
_CLIENTS = 8
_SCALE = 10


@dataclass(frozen=True)
class Inserts:
    """Rows per second, and seconds for each."""

    per_second: float
    latencies: Sequence[float]


async def insert_rows(dsn: str, seconds: float, body: str) -> Inserts:
    """Single-row INSERTs, each its own durable transaction, on 16 connections (asyncpg)."""
    pool = await asyncpg.create_pool(dsn, min_size=CONNECTIONS, max_size=CONNECTIONS)
    latencies: list[float] = []
    try:
        await pool.execute("CREATE TABLE IF NOT EXISTS bench_rows (id bigserial PRIMARY KEY, body text)")
        begin = time.perf_counter()
        ends = begin + seconds
        await asyncio.gather(*(_insert(pool, body, ends, latencies) for _ in range(CONNECTIONS)))
        took = time.perf_counter() - begin
        await pool.execute("DROP TABLE bench_rows")
    finally:
        await pool.close()
    return Inserts(len(latencies) / took, latencies)


async def _insert(pool: asyncpg.Pool, body: str, ends: float, latencies: list[float]) -> None:
    async with pool.acquire() as connection:
        while (begin := time.perf_counter()) < ends:
            await connection.execute("INSERT INTO bench_rows (body) VALUES ($1)", body)
            latencies.append(time.perf_counter() - begin)


def pgbench(dsn: str, seconds: int) -> float | None:
    """Transactions per second of `pgbench -N` with 8 clients on that server; None without the program."""
    folder = postgres.find_install().bin
    if not (folder / "pgbench").exists():
        return None
    host = parse_qs(urlsplit(dsn).query)["host"][0]
    where = ["-h", host, "-U", postgres.SUPERUSER]
    database = "bench_pgbench"
    _run([str(folder / "createdb"), *where, database])
    try:
        _run([str(folder / "pgbench"), *where, "-i", "-q", "-s", str(_SCALE), database])
        load = ["-N", "-n", "-M", "prepared", "-c", str(_CLIENTS), "-j", "2", "-T", str(seconds)]
        said = _run([str(folder / "pgbench"), *where, *load, database])
    finally:
        _run([str(folder / "dropdb"), *where, database])
    found = re.search(r"tps = ([\d.]+)", said)
    return float(found[1]) if found else None


def _run(command: list[str]) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120, cwd="/").stdout
