"""Workers behind a bounded queue: too much work makes callers wait, and then refuses; it never passes text
unread.
"""

import asyncio
import contextlib
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from cadre_detect import DetectConfig, DetectionError, Finding, SpanCache
from cadre_guard.analysis.process import Spans, WorkerProcess
from cadre_guard.analysis.scanner import Question

_T = TypeVar("_T")
MAX_WAITING_BYTES = 64 * 1024 * 1024
MAX_WAITING = 512
_PATIENCE_SECONDS = 120.0


@dataclass(slots=True)
class PoolCounts:
    """What the pool did so far, for metrics."""

    scanned: int = 0
    characters: int = 0
    seconds: float = 0.0
    failures: int = 0
    refused: int = 0


@dataclass(slots=True)
class _Load:
    jobs: int = 0
    bytes: int = 0


@dataclass(slots=True)
class AnalysisPool:
    """Scans texts in other processes. Spans of texts already scanned are remembered, texts never."""

    cache: SpanCache
    workers: int = 1
    configurations: int = 1
    """How many each worker keeps ready."""
    counts: PoolCounts = field(default_factory=PoolCounts)
    _load: _Load = field(default_factory=_Load)
    _named: OrderedDict[int, tuple[DetectConfig, bytes]] = field(default_factory=OrderedDict)
    """By identity: the configurations of the last scans, with their revisions, which are dear to make."""
    _idle: asyncio.Queue[WorkerProcess] | None = None
    _threads: ThreadPoolExecutor | None = None
    _all: list[WorkerProcess] = field(default_factory=list)
    _running: set["asyncio.Task[dict[Question, tuple[Finding, ...]]]"] = field(default_factory=set)

    @property
    def waiting(self) -> int:
        """Jobs that wait or run."""
        return self._load.jobs

    def pids(self) -> list[int]:
        """Processes of the workers that run."""
        return [worker.pid for worker in self._all if worker.pid is not None]

    async def start(self) -> None:
        """Start every worker, which loads its programs while nobody waits; raises DetectionError."""
        held = [await self._queue().get() for _ in range(self.workers)]
        try:
            await asyncio.gather(*(self._in_thread(worker.start) for worker in held))
        finally:
            for worker in held:
                self._queue().put_nowait(worker)

    async def prepare(self, config: DetectConfig) -> None:
        """Make every worker ready for a configuration; raises DetectionError(RecognizerInvalid, …)."""
        held = [await self._queue().get() for _ in range(self.workers)]
        revision = self._revision(config)
        try:
            await asyncio.gather(
                *(self._in_thread(partial(worker.configure, config, revision)) for worker in held)
            )
        finally:
            for worker in held:
                self._queue().put_nowait(worker)

    async def scan(
        self, config: DetectConfig, questions: Sequence[Question], cache: SpanCache | None = None
    ) -> dict[Question, tuple[Finding, ...]]:
        """Findings of every text; raises DetectionError when one of them cannot be judged.

        `cache`: another memory than the pool's own.
        """
        cache = self.cache if cache is None else cache
        revision = self._revision(config)
        known: dict[Question, tuple[Finding, ...]] = {}
        fresh: dict[Question, bytes] = {}
        for question in dict.fromkeys(questions):
            digest = cache.digest(revision + bytes([question[1]]), question[0])
            spans = cache.get(digest)
            if spans is None:
                fresh[question] = digest
            else:
                known[question] = spans
        if fresh:
            known |= await self._finished(self._scan_fresh(config, fresh, cache))
        return known

    def _revision(self, config: DetectConfig) -> bytes:
        if id(config) not in self._named:
            self._named[id(config)] = config, config.revision()
            if len(self._named) > self.configurations:
                self._named.popitem(last=False)
        self._named.move_to_end(id(config))
        return self._named[id(config)][1]

    async def _finished(
        self, work: Coroutine[None, None, dict[Question, tuple[Finding, ...]]]
    ) -> dict[Question, tuple[Finding, ...]]:
        """The answer; a caller that goes away leaves the worker to finish, or it would have to be killed."""
        task = asyncio.ensure_future(work)
        self._running.add(task)
        task.add_done_callback(self._done)
        return await asyncio.shield(task)

    def _done(self, task: "asyncio.Task[dict[Question, tuple[Finding, ...]]]") -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()

    def close(self) -> None:
        """End all workers at once."""
        for task in self._running:
            task.cancel()
        for worker in self._all:
            worker.close()
        if self._threads is not None:
            self._threads.shutdown(wait=True, cancel_futures=True)

    async def _scan_fresh(
        self, config: DetectConfig, fresh: dict[Question, bytes], cache: SpanCache
    ) -> dict[Question, tuple[Finding, ...]]:
        found = await self._answers(config, list(fresh))
        for digest, spans in zip(fresh.values(), found, strict=True):
            cache.put(digest, spans)
        return dict(zip(fresh, found, strict=True))

    async def _answers(self, config: DetectConfig, questions: list[Question]) -> Spans:
        size = sum(len(text) for text, _ in questions)
        revision = self._revision(config)
        async with self._admitted(4 * size), self._worker() as worker:
            started = time.monotonic()
            try:
                found = await self._in_thread(partial(worker.scan, config, revision, questions))
            except DetectionError as error:
                self.counts.failures += 1
                if error.reason != "DetectorDied":
                    raise
                # another request may have been what killed it; what kills it twice is refused
                found = await self._in_thread(partial(worker.scan, config, revision, questions))
            self.counts.scanned += len(questions)
            self.counts.characters += size
            self.counts.seconds += time.monotonic() - started
            return found

    @contextlib.asynccontextmanager
    async def _admitted(self, size: int) -> AsyncIterator[None]:
        if self._load.jobs >= MAX_WAITING or (
            self._load.jobs and self._load.bytes + size > MAX_WAITING_BYTES
        ):
            self.counts.refused += 1
            raise DetectionError("GuardBusy", "too many texts wait to be checked")
        self._load.jobs += 1
        self._load.bytes += size
        try:
            yield
        finally:
            self._load.jobs -= 1
            self._load.bytes -= size

    @contextlib.asynccontextmanager
    async def _worker(self) -> AsyncIterator[WorkerProcess]:
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                worker = await self._queue().get()
        except TimeoutError:
            self.counts.refused += 1
            raise DetectionError("GuardBusy", "no worker came free in time") from None
        try:
            yield worker
        finally:
            self._queue().put_nowait(worker)

    async def _in_thread(self, work: Callable[[], _T]) -> _T:
        self._queue()
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    def _queue(self) -> asyncio.Queue[WorkerProcess]:
        if self._idle is None:
            self._idle = asyncio.Queue()
            self._threads = ThreadPoolExecutor(self.workers, thread_name_prefix="analysis")
            self._all = [WorkerProcess(self.configurations) for _ in range(self.workers)]
            for worker in self._all:
                self._idle.put_nowait(worker)
        return self._idle
