"""What a guard holds in memory after work: the stand-alone guard and the process that scans for it."""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import Request, urlopen

import psutil

from tests.bench import texts
from tests.bench.processes import listening
from tests.bench.report import Table
from tests.support.standalone import standalone, write_guard_file

_REQUESTS = 30
_MIB = 2**20


def run() -> Iterator[Table]:
    """The bench."""
    rows: list[tuple[str | float, ...]] = []
    with tempfile.TemporaryDirectory() as folder, listening("tests.bench.answering") as (port, _model):
        for label, model in (("with a language model", True), ("without", False)):
            file = write_guard_file(Path(folder), f"http://127.0.0.1:{port}", guard={"languageModel": model})
            with standalone(file) as guard:
                _work(guard.url)
                rows += _rows(label, psutil.Process(guard.pid))
    columns = ("guard", "process", "RSS MiB", "USS MiB", "PSS MiB")
    notes = (
        f"after {_REQUESTS} requests of 4 kB, dense",
        "USS: its own pages alone; PSS: pages of shared libraries divided among those who share them",
    )
    yield Table("guard: memory", columns, tuple(rows), notes)


def _work(url: str) -> None:
    for seed in range(_REQUESTS):
        body = {"model": "bench", "messages": [{"role": "user", "content": texts.dense(seed, 4000)}]}
        request = Request(
            f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urlopen(request, timeout=120).close()


def _rows(label: str, root: psutil.Process) -> Iterator[tuple[str | float, ...]]:
    processes = [("guard", root), *(("scanner", child) for child in root.children(recursive=True))]
    held = [(name, process.memory_full_info()) for name, process in processes]
    for name, memory in held:
        yield label, name, memory.rss / _MIB, memory.uss / _MIB, memory.pss / _MIB
    sums = [sum(getattr(memory, kind) for _, memory in held) / _MIB for kind in ("rss", "uss", "pss")]
    yield label, "both", sums[0], sums[1], sums[2]
