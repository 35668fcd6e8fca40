"""Workers behind a bounded queue: too much work makes callers wait, and then refuses; it never passes text
unread.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from cadre_detect import DetectConfig, DetectionError, Finding, SpanCache
from cadre_guard.analysis.process import Question, Spans, WorkerProcess

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
    counts: PoolCounts = field(default_factory=PoolCounts)
    _load: _Load = field(default_factory=_Load)
    _named: tuple[DetectConfig, bytes] | None = None
    """The configuration of the last scan and its revision, which is dear with many terms."""
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
        try:
            await asyncio.gather(*(self._in_thread(partial(worker.configure, config)) for worker in held))
        finally:
            for worker in held:
                self._queue().put_nowait(worker)

    async def scan(
        self, config: DetectConfig, questions: Sequence[Question]
    ) -> dict[Question, tuple[Finding, ...]]:
        """Findings of every text; raises DetectionError when one of them cannot be judged."""
        revision = self._revision(config)
        known: dict[Question, tuple[Finding, ...]] = {}
        fresh: dict[Question, bytes] = {}
        for question in dict.fromkeys(questions):
            digest = self.cache.digest(revision + bytes([question[1]]), question[0])
            spans = self.cache.get(digest)
            if spans is None:
                fresh[question] = digest
            else:
                known[question] = spans
        if fresh:
            known |= await self._finished(self._scan_fresh(config, fresh))
        return known

    def _revision(self, config: DetectConfig) -> bytes:
        if self._named is None or self._named[0] is not config:
            self._named = config, config.revision()
        return self._named[1]

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
        self, config: DetectConfig, fresh: dict[Question, bytes]
    ) -> dict[Question, tuple[Finding, ...]]:
        found = await self._answers(config, list(fresh))
        for digest, spans in zip(fresh.values(), found, strict=True):
            self.cache.put(digest, spans)
        return dict(zip(fresh, found, strict=True))

    async def _answers(self, config: DetectConfig, questions: list[Question]) -> Spans:
        size = sum(len(text) for text, _ in questions)
        async with self._admitted(4 * size), self._worker() as worker:
            started = time.monotonic()
            try:
                found = await self._in_thread(partial(worker.scan, config, questions))
            except DetectionError as error:
                self.counts.failures += 1
                if error.reason != "DetectorDied":
                    raise
                # another request may have been what killed it; what kills it twice is refused
                found = await self._in_thread(partial(worker.scan, config, questions))
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
            self._all = [WorkerProcess() for _ in range(self.workers)]
            for worker in self._all:
                self._idle.put_nowait(worker)
        return self._idle
