"""A server for strangers. A request that HTTP itself cannot make out is refused in the words of the API that
it names, is noted, and leaves no byte of itself in a log: the library would answer plain text, and log it.
"""

import logging
import re
import traceback
from collections.abc import Callable
from http import HTTPStatus
from typing import TypeAlias

from aiohttp import http_exceptions, web
from typing_extensions import override

from cadre_guard.wire.body import encode_body
from cadre_guard.wire.families import refusals_at

log = logging.getLogger(__name__)

Note: TypeAlias = Callable[[str, str], None]
"""Takes the reason of a refusal and the agent's session id, if it named one."""

_HEARD = 16 * 1024
"""Bytes of the last head that are kept to tell what was asked."""
_LINE = re.compile(rb"(?:\A|\n)[A-Z]{1,16} (\S{1,2048}) HTTP/")
_SESSION = re.compile(rb"\nagent-session-id:[ \t]*([!-~]{1,128})\r?\n", re.IGNORECASE)
_PREFACE = b"PRI * HTTP/2"


def nobody(reason: str, session: str) -> None:
    """No one to tell."""


class StrangersRunner(web.AppRunner):
    """Runs an application behind connections that refuse in its own words.

    A request whose client has gone is over (a cancelled turn must not leave a tool call behind), and what is
    compressed is unpacked by who reads it, within bounds.
    """

    __slots__ = ("_note",)

    def __init__(self, app: web.Application, shutdown_seconds: float, note: Note = nobody) -> None:
        super().__init__(
            app,
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=shutdown_seconds,
            auto_decompress=False,
        )
        self._note = note

    @override
    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        server = _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **made._kwargs,
        )
        server.note = self._note
        return server


class _Server(web.Server):
    note: Note = staticmethod(nobody)

    @override
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


class _Connection(web.RequestHandler):
    __slots__ = ("_heard", "_note")

    def __init__(self, manager: _Server, **options: object) -> None:
        super().__init__(manager, **options)  # type: ignore[arg-type]  # what the library itself passes
        self._note = manager.note
        self._heard = bytearray()

    @override
    def data_received(self, data: bytes) -> None:
        """Remember the head that is being read; what a finished one said is forgotten with the next."""
        before = self._request_count
        self._heard += data[: _HEARD - len(self._heard)]
        super().data_received(data)
        if self._request_count > before and not self._failed():
            self._heard = bytearray(data[-_HEARD:])

    def _failed(self) -> bool:
        return bool(self._messages) and not hasattr(self._messages[-1][0], "headers")

    @override
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The refusal of what could not be read, or the end of what went wrong in here."""
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            frames = "".join(traceback.format_tb(exc.__traceback__)) if exc is not None else ""
            log.error("request failed", extra={"error": type(exc).__name__, "frames": frames})
        if request.writer.output_size > 0:
            raise ConnectionError("an answer has begun: there is no room for an error")
        path, session = request.path, request.headers.get("agent-session-id", "")
        if status < HTTPStatus.INTERNAL_SERVER_ERROR:
            path, session = self._asked()
        reason, text = self._explained(status, exc)
        log.warning("refused", extra={"status": status, "reason": reason})
        self._note(reason, session)
        body = encode_body(refusals_at(path).body(status, reason, text))
        response = web.Response(body=body, status=status, content_type="application/json")
        response.force_close()  # what follows such a request must not pass for another one
        return response

    def _asked(self) -> tuple[str, str]:
        """Path and session of the last head that was heard."""
        heads = list(_LINE.finditer(self._heard))
        path = heads[-1][1].decode("latin-1") if heads else ""
        session = _SESSION.search(self._heard, heads[-1].end() if heads else 0)
        return path, session[1].decode("ascii") if session else ""

    def _explained(self, status: int, exc: BaseException | None) -> tuple[str, str]:
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return "GuardFailed", "the guard failed on this request"
        if self._heard.startswith(_PREFACE):
            return "Http2Refused", "this endpoint speaks plain HTTP/1.1 only"
        if isinstance(exc, http_exceptions.LineTooLong):
            return "HeadTooLarge", "a line of the request's head is too long"
        return "BadFraming", "the request's head or its length cannot be read in one way only"
