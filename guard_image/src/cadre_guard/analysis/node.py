"""The analyzer of this machine, as a guard asks it: bounded in time; without its answer nothing passes."""

import asyncio
import io
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

import aiohttp

from cadre_detect import DetectConfig, DetectionError, Finding
from cadre_guard.analysis.scanner import Question
from cadre_guard.analysis.wire import (
    CONFIGURATION_PATH,
    SCAN_PATH,
    UNKNOWN_CONFIGURATION,
    packed_configuration,
    packed_questions,
    read_spans,
)
from cadre_guard.controller.identity import Identity
from cadre_guard.controller.problems import AWAY_ERRORS, problem_of
from cadre_guard.errors import GuardError

_T = TypeVar("_T")
_BATCH_CHARACTERS = 512 * 1024
_BATCH_TEXTS = 2000
_SECONDS_PER_CHARACTER = 0.002
_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 2.0
_CONNECT = aiohttp.ClientTimeout(total=None, sock_connect=5)
_RETRIED = frozenset({429, 500, 502, 503, 504})
_UNJUDGED = 422
"""The status of texts or a configuration that the analyzer read and could not judge."""


@dataclass(frozen=True, slots=True)
class _Packed:
    config: DetectConfig
    name: str
    body: bytes


class NodeScanner:
    """Sends texts to be scanned; the configuration goes once, and again when the analyzer does not know it.

    `seconds`: how long a request goes on trying while the analyzer is away or busy.
    """

    def __init__(self, url: str, http: aiohttp.ClientSession, identity: Identity, seconds: float) -> None:
        self._url = url
        self._http = http
        self._identity = identity
        self._seconds = seconds
        self._packed: _Packed | None = None

    async def start(self) -> None:
        """Nothing to load."""

    async def prepare(self, config: DetectConfig) -> None:
        """Have the analyzer know it; raises DetectionError(RecognizerInvalid, AnalyzerAway, …)."""
        await self._within(self._seconds, self._introduce(self._pack(config)))

    async def scan(
        self, config: DetectConfig, questions: Sequence[Question]
    ) -> Mapping[Question, Sequence[Finding]]:
        """Findings of every text; raises DetectionError when one of them cannot be judged."""
        found: dict[Question, Sequence[Finding]] = {}
        for batch in _batches(list(dict.fromkeys(questions))):
            seconds = self._seconds + sum(len(text) for text, _ in batch) * _SECONDS_PER_CHARACTER
            found.update(await self._within(seconds, self._scan(self._pack(config), batch)))
        return found

    def close(self) -> None:
        """Nothing is held."""

    async def _within(self, seconds: float, work: Coroutine[None, None, _T]) -> _T:
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError:
            raise _away("the analyzer of this machine did not answer in time") from None

    async def _scan(
        self, packed: _Packed, batch: Sequence[Question]
    ) -> Mapping[Question, tuple[Finding, ...]]:
        body = packed_questions(packed.name, batch)
        while True:
            status, answer = await self._ask("POST", SCAN_PATH, body)
            if status == 200:
                try:
                    return read_spans(answer, batch)
                except ValueError as error:
                    raise DetectionError("DetectorFailed", str(error)) from None
            if problem_of(status, answer).reason != UNKNOWN_CONFIGURATION:
                raise _refusal(status, answer)
            await self._introduce(packed)

    async def _introduce(self, packed: _Packed) -> None:
        status, answer = await self._ask("PUT", CONFIGURATION_PATH + packed.name, packed.body)
        if status != 204:
            raise _refusal(status, answer)

    async def _ask(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """An answer that another attempt would not change; the caller sets the time."""
        pause, renewed = _PAUSE_SECONDS, False
        while True:
            status, answer = await self._attempt(method, path, body)
            if status == 401 and not renewed:
                self._identity.forget()
                renewed = True
            elif status and status not in _RETRIED:
                return status, answer
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    async def _attempt(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        """Status and body; status 0 = nobody answers."""
        try:
            headers = {
                "Authorization": await self._identity.analyzer_bearer(),
                "Content-Type": "application/json",
            }
            async with self._http.request(
                method, self._url + path, data=io.BytesIO(body), headers=headers, timeout=_CONNECT
            ) as response:
                return response.status, await response.read()
        except AWAY_ERRORS:
            return 0, b""
        except GuardError as error:
            if error.retryable:
                return 0, b""
            raise _away("the controller gives no token for the analyzer") from None

    def _pack(self, config: DetectConfig) -> _Packed:
        if self._packed is None or self._packed.config is not config:
            self._packed = _Packed(config, *packed_configuration(config))
        return self._packed


def _refusal(status: int, answer: bytes) -> DetectionError:
    problem = problem_of(status, answer)
    if status == _UNJUDGED:
        return DetectionError(problem.reason, problem.message)
    return _away(f"the analyzer of this machine refuses: {problem.reason}")


def _away(message: str) -> DetectionError:
    return DetectionError("AnalyzerAway", message)


def _batches(questions: Sequence[Question]) -> Iterator[list[Question]]:
    """Parts of a bounded size; a long text is one of its own."""
    batch: list[Question] = []
    size = 0
    for question in questions:
        if batch and (size + len(question[0]) > _BATCH_CHARACTERS or len(batch) >= _BATCH_TEXTS):
            yield batch
            batch, size = [], 0
        batch.append(question)
        size += len(question[0])
    if batch:
        yield batch
