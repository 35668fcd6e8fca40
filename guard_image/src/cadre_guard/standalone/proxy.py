"""One request: read, masked, sent on, and its answer restored, in the format the client speaks."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import cast

import aiohttp
from aiohttp import web
from aiohttp.typedefs import Handler
from typing_extensions import override

from cadre_detect import DetectionError, Json
from cadre_guard.controller.problems import AWAY_ERRORS
from cadre_guard.errors import GuardError
from cadre_guard.model.border import BadRequestError, Incoming, read_body, refusal
from cadre_guard.standalone.config import StandaloneSettings, Upstream
from cadre_guard.standalone.masker import StandaloneMasker
from cadre_guard.standalone.redact import RedactingArgumentsLane, RedactingLane, Redactor
from cadre_guard.standalone.tracing import Tracing
from cadre_guard.stream.errors import StreamError
from cadre_guard.stream.lane import RestoreLane
from cadre_guard.wire.body import encode_body, parse_body
from cadre_guard.wire.dialect import Dialect, Restorer
from cadre_guard.wire.machine import LaneKey, StreamRestorer
from cadre_guard.wire.verbatim import VerbatimStream

log = logging.getLogger(__name__)
_READ_BYTES = 65536
_MAX_REPLY = 16 * 1024 * 1024
_TIMEOUT = aiohttp.ClientTimeout(total=None, connect=20, sock_read=600)
_PASSED_ON = ("Authorization", "x-api-key", "x-goog-api-key", "anthropic-version", "anthropic-beta")
"""Headers that reach the upstream: any other could hold what no scan has seen."""
_QUERY = frozenset({"alt", "key"})


class Proxy:
    """Handlers for every dialect."""

    def __init__(
        self, settings: StandaloneSettings, masker: StandaloneMasker, http: aiohttp.ClientSession,
        redactor: Redactor | None, tracing: Tracing,
    ) -> None:  # fmt: skip
        self._settings = settings
        self._masker = masker
        self._http = http
        self._redactor = redactor
        self._tracing = tracing

    def serve(self, family: str, dialect: Dialect, path: str) -> Handler:
        """The handler of a dialect; `path` is appended to the upstream's base URL."""
        upstream = self._settings.upstreams[family]

        async def handle(request: web.Request) -> web.StreamResponse:
            target = upstream.base_url.rstrip("/") + path.format(**request.match_info)
            streams = ":stream" in request.path
            try:
                with self._tracing.request(dialect.api, request.headers) as span:
                    body = await read_body(request)
                    span.set_attribute("http.request.body.size", len(body.raw))
                    answer = await self._answer(request, dialect, upstream, target, body, streams)
                    span.set_attribute("http.response.status_code", answer.status)
                    return answer
            except BadRequestError as error:
                self._masker.blocked[error.reason] += 1
                response = _refused(dialect, error.status, error.reason, error.message)
                response.force_close()
                return response
            except GuardError as error:
                return _refused(dialect, error.status or 502, error.reason, error.message)

        return handle

    def models(self, family: str, path: str) -> Handler:
        """Lists of models: a request without a body, answered as it comes."""
        upstream = self._settings.upstreams[family]

        async def handle(request: web.Request) -> web.StreamResponse:
            url = upstream.base_url.rstrip("/") + path
            try:
                async with self._http.get(
                    url, headers=_headers(family, upstream, request), allow_redirects=False
                ) as answer:
                    return web.Response(
                        body=await _bounded(answer), status=answer.status, content_type=answer.content_type
                    )
            except (*AWAY_ERRORS, GuardError):
                return web.json_response({"error": "the upstream gives no list of models"}, status=502)

        return handle

    async def _answer(
        self, request: web.Request, dialect: Dialect, upstream: Upstream, target: str,
        incoming: Incoming, streams: bool,
    ) -> web.StreamResponse:  # fmt: skip
        body = incoming.document
        try:
            dialect.check(body)
        except (DetectionError, StreamError) as error:
            raise GuardError(error.reason, str(error), status=403) from None
        with self._tracing.step("mask") as span:
            masked = await self._masker.mask(body, dialect.rules)
            span.set_attributes({f"cadre.found.{kind}": n for kind, n in masked.counts.items()})
        # what was strict JSON and needs no token leaves as it came, to the byte
        data = incoming.raw if masked.document == body else encode_body(masked.document)
        async with self._upstream(request, dialect, upstream, target, data) as answer:
            if answer.status != 200:
                return await self._failed(answer, masked.values)
            if streams or dialect.streaming(body):
                return await self._stream(request, dialect, answer, masked.values)
            return await self._whole(dialect, answer, masked.values)

    @asynccontextmanager
    async def _upstream(
        self, request: web.Request, dialect: Dialect, upstream: Upstream, target: str, data: bytes
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        family = next(name for name, each in self._settings.upstreams.items() if each is upstream)
        headers = {**_headers(family, upstream, request), "Content-Type": "application/json"}
        own = {"key"} if upstream.api_key_env else set()
        query = {name: value for name, value in request.query.items() if name in _QUERY - own}
        with self._tracing.step("upstream") as span:
            try:
                answer = await self._http.post(
                    target, data=data, headers=headers, params=query, timeout=_TIMEOUT, allow_redirects=False
                )
            except AWAY_ERRORS:
                raise GuardError("UpstreamUnavailable", "the upstream does not answer", status=502) from None
            span.set_attribute("http.response.status_code", answer.status)
        try:
            yield answer
        finally:
            answer.close()

    async def _failed(self, answer: aiohttp.ClientResponse, values: Mapping[str, str]) -> web.Response:
        """The upstream's own error, which may quote tokens."""
        text = RestoreLane(values)
        body = (await _bounded(answer)).decode("utf-8", "replace")
        if self._redactor is not None:
            body = await asyncio.to_thread(self._redactor.text, body, values)
        restored = text.feed(body) + text.flush()
        kind = answer.content_type
        return web.Response(text=restored, status=answer.status, content_type=kind)

    async def _whole(
        self, dialect: Dialect, answer: aiohttp.ClientResponse, values: Mapping[str, str]
    ) -> web.Response:
        try:
            raw = await _bounded(answer)
            came = reply = cast("Json", parse_body(raw))
            if self._redactor is not None:
                reply = await asyncio.to_thread(self._redactor.document, reply, values)
            assert isinstance(reply, dict)
            restored, _ = dialect.restore(reply, values)
        except AWAY_ERRORS:
            raise GuardError("UpstreamBrokeOff", "the upstream's answer broke off", status=502) from None
        except (DetectionError, StreamError):
            raise GuardError("ModelGarbage", "the upstream's answer cannot be read", status=502) from None
        body = raw if restored == came else encode_body(restored)
        return web.Response(body=body, content_type="application/json")

    async def _stream(
        self,
        request: web.Request,
        dialect: Dialect,
        answer: aiohttp.ClientResponse,
        values: Mapping[str, str],
    ) -> web.StreamResponse:
        restorer = self._restorer(dialect, values)
        response = web.StreamResponse(
            headers={"Content-Type": dialect.content_type, "Cache-Control": "no-store"}
        )
        await response.prepare(request)
        try:
            async for data in answer.content.iter_chunked(_READ_BYTES):
                if piece := restorer.feed(data):
                    await response.write(piece)
            await response.write(restorer.finish() + _no_end(dialect, restorer))
        except AWAY_ERRORS:
            await response.write(_broke_off(dialect))
        except (StreamError, DetectionError) as error:
            await response.write(dialect.refusals.frame("ModelGarbage", f"unreadable stream: {error.reason}"))
        await response.write_eof()
        return response

    def _restorer(self, dialect: Dialect, values: Mapping[str, str]) -> Restorer:
        make = dialect.stream
        if make is None:
            raise GuardError("NotStreamed", "this endpoint does not stream", status=400)
        if not (isinstance(make, type) and issubclass(make, StreamRestorer)):
            return make(values)
        if self._redactor is not None:
            return _redacting(make, self._redactor)(values)
        return make(values) if values else VerbatimStream(make)


def _redacting(make: type[StreamRestorer], redactor: Redactor) -> type[StreamRestorer]:
    """The same machine with lanes that mask what a model says on its own."""

    class Redacting(make):  # type: ignore[misc, valid-type]
        @override
        def _frame(self, frame: dict[str, Json]) -> dict[str, Json]:
            whole: dict[str, Json] = super()._frame(redactor.frame(frame, self._values))
            return whole

        @override
        def _lane(self, key: LaneKey, *, arguments: bool = False) -> RestoreLane:
            known: RestoreLane | None = self._lanes.get(key)
            lane = known or (RedactingArgumentsLane if arguments else RedactingLane)(self._values, redactor)
            self._lanes[key] = lane
            return lane

    return Redacting


def _headers(family: str, upstream: Upstream, request: web.Request) -> dict[str, str]:
    passed = {name: request.headers[name] for name in _PASSED_ON if name in request.headers}
    if upstream.api_key_env is None:
        return passed
    key = os.environ[upstream.api_key_env]
    for name in ("Authorization", "x-api-key", "x-goog-api-key"):
        passed.pop(name, None)
    own = {"anthropic": {"x-api-key": key}, "gemini": {"x-goog-api-key": key}}
    return {**passed, **own.get(family, {"Authorization": f"Bearer {key}"})}


def _no_end(dialect: Dialect, restorer: Restorer) -> bytes:
    """What a client is told of a stream that just stopped."""
    over = restorer.ended or restorer.finish_reason is not None or restorer.record.error is not None
    return b"" if over else _broke_off(dialect)


def _broke_off(dialect: Dialect) -> bytes:
    return dialect.refusals.frame("UpstreamBrokeOff", "the upstream's stream broke off")


def _refused(dialect: Dialect, status: int, reason: str, message: str) -> web.Response:
    log.warning("refused", extra={"api": dialect.api, "status": status, "reason": reason})
    return refusal(dialect.refusals, status, reason, message)


async def _bounded(answer: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for piece in answer.content.iter_chunked(_READ_BYTES):
        body += piece
        if len(body) > _MAX_REPLY:
            raise GuardError("ReplyTooLarge", f"a reply exceeds {_MAX_REPLY} bytes", status=502)
    return bytes(body)
