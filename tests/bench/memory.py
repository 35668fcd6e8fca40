"""What a guard holds in memory after work: an agent's and the stand-alone one, each with its scanner."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.request import Request, urlopen

import psutil
import uvloop

from tests.bench import texts
from tests.bench.analyzer import analyzing
from tests.bench.processes import listening
from tests.bench.reading import read_all
from tests.bench.report import Table
from tests.bench.stand import stand
from tests.bench.turns import guarded
from tests.support.standalone import standalone, write_guard_file

_REQUESTS = 30
_MIB = 2**20


def run() -> Iterator[Table]:
    """The bench."""
    rows: list[tuple[str | float, ...]] = []
    with tempfile.TemporaryDirectory() as folder, listening("tests.bench.answering") as (port, _model):
        rows += _of_an_agent(None)
        rows += _of_an_agent(Path(folder))
        for label, model in (("stand-alone", True), ("stand-alone, no language model", False)):
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


def _of_an_agent(folder: Path | None) -> Iterator[tuple[str | float, ...]]:
    """Reading itself, or, with a folder for certificates, by the analyzer of its machine."""
    with ExitStack() as stack:
        port, _source = stack.enter_context(listening("tests.bench.source"))
        made = stack.enter_context(stand(port, 10))
        analyzer = stack.enter_context(analyzing(made.guard_url, folder)) if folder else None
        guard = stack.enter_context(guarded(made, 1, analyzer))
        bodies = [texts.chat([texts.dense(seed, 4000)]) for seed in range(_REQUESTS)]
        for body in bodies:
            uvloop.run(read_all([guard.asking(0, body)], 0))
        if analyzer is None:
            yield from _rows("of an agent", guard.process)
            return
        yield ("of an agent, analyzer: Node", "guard", *_held(guard.process))
        for child in (analyzer.process, *analyzer.process.children(recursive=True)):
            role = "analyzer" if child == analyzer.process else "its scanner"
            yield ("of an agent, analyzer: Node", role, *_held(child))


def _work(url: str) -> None:
    for seed in range(_REQUESTS):
        body = {"model": "bench", "messages": [{"role": "user", "content": texts.dense(seed, 4000)}]}
        request = Request(
            f"{url}/v1/chat/completions", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urlopen(request, timeout=120).close()


def _held(process: psutil.Process) -> tuple[float, float, float]:
    memory = process.memory_full_info()
    return memory.rss / _MIB, memory.uss / _MIB, memory.pss / _MIB


def _rows(label: str, root: psutil.Process) -> Iterator[tuple[str | float, ...]]:
    processes = [("guard", root), *(("scanner", child) for child in root.children(recursive=True))]
    held = [(name, process.memory_full_info()) for name, process in processes]
    for name, memory in held:
        yield label, name, memory.rss / _MIB, memory.uss / _MIB, memory.pss / _MIB
    sums = [sum(getattr(memory, kind) for _, memory in held) / _MIB for kind in ("rss", "uss", "pss")]
    yield label, "both", sums[0], sums[1], sums[2]
