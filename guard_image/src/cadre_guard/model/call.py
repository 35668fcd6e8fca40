"""One model call, from masking to the last restored byte.

A producer masks, calls and restores into a queue; the consumer writes to the agent and fills silences with
comments. Whatever ends the producer is the queue's last item.
"""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace

import aiohttp

from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json
from cadre_guard.controller.client import ControllerClient
from cadre_guard.controller.problems import AWAY_ERRORS
from cadre_guard.errors import GuardError
from cadre_guard.masking.masker import GuardRefusedError, Masker
from cadre_guard.model.journal import CallJournal
from cadre_guard.model.outcome import outcome_of, tool_requests
from cadre_guard.model.seals import SealBook
from cadre_guard.model.upstream import bounded, model_call
from cadre_guard.stream.errors import StreamError
from cadre_guard.telemetry import Telemetry
from cadre_guard.turn.record import CallKind
from cadre_guard.turn.stopping import until_stopped
from cadre_guard.turn.turn import Turn
from cadre_guard.wire.body import encode_body, parse_body
from cadre_guard.wire.dialect import Dialect, Restorer
from cadre_guard.wire.machine import StreamRestorer
from cadre_guard.wire.record import CompletionRecord, ToolCallIds
from cadre_guard.wire.verbatim import VerbatimStream

log = logging.getLogger(__name__)

_READ_BYTES = 65536
_QUEUE = 64


@dataclass(frozen=True, slots=True)
class ModelPath:
    """What every call needs."""

    controller: ControllerClient
    masker: Masker
    journal: CallJournal
    telemetry: Telemetry
    seals: SealBook = field(default_factory=SealBook)


@dataclass(frozen=True, slots=True)
class Request:
    """What the agent sent; nothing of it leaves unmasked."""

    dialect: Dialect
    body: Mapping[str, Json]
    kind: CallKind
    api: str
    """Path at the guard port."""
    binary: bool = False
    """Parts that nobody can scan may pass: nothing is masked or blocked here."""
    fixed: frozenset[str] = frozenset()
    """Texts that came from the controller itself."""
    raw: bytes = b""
    """The body as it came; empty when `body` was made of something else."""


class ModelCall:
    """One request on its way."""

    def __init__(self, path: ModelPath, turn: Turn, request: Request) -> None:
        self._path = path
        self._turn = turn
        self._request = request
        self._ids = ToolCallIds(f"call_{uuid.uuid4().hex[:12]}_", turn.record.call_ids)
        self._pieces: asyncio.Queue[bytes | GuardError | None] = asyncio.Queue(_QUEUE)
        self._producer: asyncio.Task[None] | None = None
        self._settled = False
        self._last_words = b""

    def start(self) -> None:
        """Begin to stream."""
        self._producer = asyncio.create_task(self._produce())

    async def next(self, wait_seconds: float) -> bytes | None:
        """Restored bytes, empty when nothing came in time, None at the end; raises what ended it early."""
        try:
            async with asyncio.timeout(wait_seconds):
                item = await self._pieces.get()
        except TimeoutError:
            return b""
        if isinstance(item, GuardError):
            raise item
        return item

    async def close(self) -> None:
        """End what is still under way; the upstream connection closes with it."""
        if self._producer is not None:
            self._producer.cancel()
            await asyncio.gather(self._producer, return_exceptions=True)

    async def whole(self) -> bytes:
        """The reply in one piece; raises GuardError."""
        return await until_stopped(self._turn, self._fetch_whole())

    async def _produce(self) -> None:
        end: GuardError | None = None
        try:
            await until_stopped(self._turn, self._stream())
        except GuardError as error:
            end = error
        except (
            Exception
        ) as error:  # a fault of ours must end the turn, not hang it; its text may quote a value
            log.error("model call failed", extra={"error": type(error).__name__})
            end = GuardError("GuardFault", "the guard failed while it handled a model call")
        await self._pieces.put(end)

    async def _stream(self) -> None:
        with self._path.telemetry.span("model.call", self._turn, kind=self._request.kind.value) as trace:
            masked = await self._masked()
            while not await self._stream_once(masked, trace):
                log.warning("model stream broke off before its first event")

    async def _stream_once(self, masked: bytes, trace: dict[str, str]) -> bool:
        """False when the controller went away before anything but comments had come: ask again."""
        restorer = self._restorer()
        begun = False
        async with self._upstream(masked, trace) as upstream:
            try:
                async for data in upstream.content.iter_chunked(_READ_BYTES):
                    piece = restorer.feed(data)
                    begun = begun or _has_event(piece)
                    await self._put(restorer, piece)
            except AWAY_ERRORS:
                if not begun:
                    return False
            except StreamError as error:
                raise GuardError("ModelGarbage", f"unreadable stream: {error.reason}") from None
        rest = self._last_words + restorer.finish()
        self._settle(restorer.record)
        await self._pieces.put(rest)
        return True

    def _restorer(self) -> Restorer:
        make = self._request.dialect.stream
        assert make is not None, "only dialects that stream get here"
        if self._path.masker.alters or not (isinstance(make, type) and issubclass(make, StreamRestorer)):
            return make(self._turn.pairs.values, self._ids)
        return VerbatimStream(make, self._ids)

    async def _put(self, restorer: Restorer, data: bytes) -> None:
        # the agent acts, or ends its turn, as soon as it has read the finish reason, end mark or not:
        # what its turn must remember has to be there first, so the reason waits for the end
        if restorer.ended:
            self._settle(restorer.record)
        elif restorer.finish_reason:
            self._last_words += data
            return
        data, self._last_words = self._last_words + data, b""
        if data:
            await self._pieces.put(data)

    async def _fetch_whole(self) -> bytes:
        with self._path.telemetry.span("model.call", self._turn, kind=self._request.kind.value) as trace:
            masked = await self._masked()
            async with self._upstream(masked, trace) as upstream:
                try:
                    raw = await bounded(upstream)
                    answer = parse_body(raw)
                    restore = self._request.dialect.restore
                    values = self._turn.pairs.values if self._path.masker.alters else {}
                    reply, record = restore(answer, values, self._ids)
                except AWAY_ERRORS:
                    raise GuardError("ModelStreamCut", "the model's answer broke off") from None
                except (DetectionError, StreamError):
                    raise GuardError("ModelGarbage", "the model's answer cannot be read") from None
            self._settle(record)
            return raw if reply == answer else encode_body(reply)

    def _upstream(
        self, masked: bytes, trace: dict[str, str]
    ) -> AbstractAsyncContextManager[aiohttp.ClientResponse]:
        return model_call(self._path.controller, self._turn, self._request.api, masked, trace)

    async def _masked(self) -> bytes:
        request, turn = self._request, self._turn
        if not request.binary:
            try:
                request.dialect.check(request.body)
            except (DetectionError, StreamError) as error:
                raise GuardRefusedError(error.reason, str(error)) from None
        seals = self._path.seals.of(turn.lease.session_id)
        rules = replace(request.dialect.rules, seals=seals, fixed=request.fixed)
        masked = await self._path.masker.mask(turn.pairs, dict(request.body), rules)
        self._path.journal.masked(turn, masked.redactions)
        return self._addressed(masked.document)

    def _addressed(self, document: Json) -> bytes:
        """What leaves: the body as it came where nothing in it had to change."""
        request = self._request
        assert isinstance(document, dict)
        members = request.dialect.addressed(self._turn.bundle.model_alias, request.body)
        if not request.raw or document != request.body or not _same_stream(members, request.body):
            return encode_body({**document, **members})
        return request.raw

    def _settle(self, record: CompletionRecord) -> None:
        if self._settled:
            return
        self._turn.record.tools.update(tool_requests(record))
        self._path.seals.add(self._turn.lease.session_id, record.seals)
        outcome = outcome_of(self._request.kind, record)
        if outcome.failure:
            raise GuardError(outcome.failure, outcome.message, retryable=outcome.retryable)
        self._settled = True
        self._path.journal.done(self._turn, outcome)


def _same_stream(members: Mapping[str, Json], body: Mapping[str, Json]) -> bool:
    """The controller chooses the model whatever the body names, but a stream must be asked for in it."""
    return all(body.get(name) == value for name, value in members.items() if name != "model")


def _has_event(data: bytes) -> bool:
    return any(line and not line.startswith(b":") for line in data.splitlines())
