"""Many texts, one JSON object a line: answers in the order of the questions, as soon as they are known.

A few lines are answered at once, so that a program may ask and wait; many are shared out to copies of this
process, made when the model is loaded so that they share its memory. A line that cannot be answered gets an
error of its own and the rest goes on.
"""

import json
import multiprocessing
import os
import selectors
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import IO

from cadre_detect import DetectionError
from cadre_local.masking import LocalMasker, entities

_READ = 1 << 18
_SHARE = 24
"""Lines a worker gets at a time."""
_LONGEST_LINE = 64 << 20
_workers_masker: list[LocalMasker] = []

Lines = Sequence[tuple[int, bytes]]
"""Numbered lines."""


@dataclass(frozen=True, slots=True)
class Answered:
    """A line to print; `failed` where it is an error, `found` how many entities it names."""

    line: str
    failed: bool
    found: int = 0


def answer(number: int, line: bytes, masker: LocalMasker) -> Answered:
    """One line's answer; an error line has `id` as far as it is known, `line` and `error`."""
    identifier: object = None
    try:
        record = json.loads(line)
        if not isinstance(record, dict) or "id" not in record:
            return _error(number, None, "BadLine", 'give one {"id": …, "text": "…"} a line')
        identifier = record["id"]
        if not isinstance(record.get("text"), str):
            return _error(number, identifier, "BadLine", "`text` must be a string")
        found = entities(masker.scan(record["text"]))
        return Answered(json.dumps({"id": identifier, "entities": found}), failed=False, found=len(found))
    except UnicodeDecodeError:
        return _error(number, identifier, "NotUtf8", "the line is not UTF-8")
    except (ValueError, RecursionError):
        return _error(number, identifier, "BadLine", "the line is not JSON")
    except DetectionError as error:
        return _error(number, identifier, error.reason, "the text could not be judged")


def _error(number: int, identifier: object, reason: str, message: str) -> Answered:
    error = {"reason": reason, "message": message}
    return Answered(json.dumps({"id": identifier, "line": number, "error": error}), failed=True)


class Batch:
    """Reads lines from a stream and gives their answers in order."""

    def __init__(self, source: IO[bytes], masker: LocalMasker, jobs: int = 0) -> None:
        """`jobs`: processes to share many lines out to; 0 = one a processor, at most four."""
        self._masker = masker
        self._jobs = jobs or min(4, _processors())
        self._input = _Input(source)
        self._pool: ProcessPoolExecutor | None = None
        self._waiting: deque[tuple[Lines, Future[list[Answered]]]] = deque()

    def answers(self) -> Iterator[list[Answered]]:
        """Blocks of answers, each to be printed at once."""
        try:
            while (lines := self._input.lines()) is not None:
                if self._pool is None and (self._jobs == 1 or len(lines) <= _SHARE):
                    yield [answer(number, line, self._masker) for number, line in lines]
                else:
                    yield from self._share_out(lines)
            yield from self._finished(0)
        finally:
            if self._pool is not None:
                self._pool.shutdown(wait=True, cancel_futures=True)

    def _share_out(self, lines: Lines) -> Iterator[list[Answered]]:
        for start in range(0, len(lines), _SHARE):
            share = lines[start : start + _SHARE]
            try:
                self._waiting.append((share, self._workers().submit(_answer_all, share)))
            except BrokenProcessPool:
                yield from self._finished(0)
                self._waiting.append((share, self._workers().submit(_answer_all, share)))
            yield from self._finished(4 * self._jobs)
        if not self._input.ready():
            yield from self._finished(0)

    def _finished(self, most: int) -> Iterator[list[Answered]]:
        """What is done, waiting until at most `most` shares are under way."""
        while len(self._waiting) > most:
            share, done = self._waiting.popleft()
            try:
                yield done.result()
            except BrokenProcessPool:
                # the next share gets new workers: one bad text must not end the batch
                self._pool = None
                yield [_error(n, _id_of(line), "WorkerDied", "the text was not judged") for n, line in share]

    def _workers(self) -> ProcessPoolExecutor:
        if self._pool is None:
            self._masker.warm_up()
            _workers_masker[:] = [self._masker]
            context = multiprocessing.get_context("fork")
            self._pool = ProcessPoolExecutor(self._jobs, context, initializer=_ignore_interrupts)
        return self._pool


def _ignore_interrupts() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _answer_all(lines: Lines) -> list[Answered]:
    return [answer(number, line, _workers_masker[0]) for number, line in lines]


def _id_of(line: bytes) -> object:
    try:
        return json.loads(line)["id"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class _Input:
    """Whole lines of what has arrived; lines end at a line feed only (JSON may hold U+2028)."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self._rest = bytearray()
        self._number = 0
        self._ended = False

    def lines(self) -> Lines | None:
        """Numbered lines that are not blank, at least one read from the source; None at the end."""
        while not self._ended:
            data = self._source.read1(_READ) if hasattr(self._source, "read1") else self._source.read(_READ)
            self._ended = not data
            self._rest += data
            if b"\n" in data or self._ended or len(self._rest) > _LONGEST_LINE:
                found = self._whole_lines()
                if found:
                    return found
        return None

    def ready(self) -> bool:
        """Whether more can be read without waiting; a file always can."""
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._source, selectors.EVENT_READ)
                return bool(selector.select(0))
        except (OSError, ValueError, PermissionError):
            return True

    def _whole_lines(self) -> list[tuple[int, bytes]]:
        *lines, rest = bytes(self._rest).split(b"\n")
        if self._ended or len(rest) > _LONGEST_LINE:
            lines, rest = [*lines, rest], b""
        self._rest = bytearray(rest)
        found = []
        for line in lines:
            self._number += 1
            if line.strip():
                found.append((self._number, line))
        return found
