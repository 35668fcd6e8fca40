"""The analyzer's routes: who asks is known before a byte of a body is read, and what waits is bounded."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeVar

from aiohttp import web

from cadre_detect import DetectConfig, DetectionError
from cadre_guard.analysis.pool import AnalysisPool
from cadre_guard.analysis.scanner import Question
from cadre_guard.analysis.server.authority import Authority, CallerRefusedError
from cadre_guard.analysis.server.configuration import ConfigurationUnreadableError, read_configuration
from cadre_guard.analysis.server.tenants import BusyError, Tenant, Tenants
from cadre_guard.analysis.wire import (
    CONFIGURATION_PATH,
    SCAN_PATH,
    UNKNOWN_CONFIGURATION,
    name_of,
    packed_spans,
    read_questions,
)

log = logging.getLogger(__name__)

_T = TypeVar("_T")
_MAX_CONFIGURATION = 4 * 1024 * 1024
_MAX_TEXTS = 36 * 1024 * 1024
"""Of one text alone a guard takes 16 MiB, which escaped in JSON may be more."""
_BODY_SECONDS = 30.0
_OFF_LOOP_BYTES = 64 * 1024
_RETRY_AFTER = {"Retry-After": "1"}
_Work = Callable[[Tenant, bytes], Awaitable[web.Response]]


@dataclass(slots=True)
class Analyzer:
    """One machine's analyzer."""

    authority: Authority
    pool: AnalysisPool
    tenants: Tenants
    answers: Counter[str] = field(default_factory=Counter)
    """Requests by how they ended: a status, or a reason."""

    def app(self) -> web.Application:
        """Its routes, for guards."""
        app = web.Application(client_max_size=_MAX_TEXTS)
        app.router.add_put(CONFIGURATION_PATH + "{name:[0-9a-f]{64}}", self._put)
        app.router.add_post(SCAN_PATH, self._post)
        return app

    async def _put(self, request: web.Request) -> web.Response:
        name = request.match_info["name"]

        async def work(tenant: Tenant, body: bytes) -> web.Response:
            if name_of(body) != name:
                return self._refusal(400, "WrongName", "the name is not the SHA-256 of the body")
            try:
                config = await _off_loop(read_configuration, body)
            except ConfigurationUnreadableError:
                message = "not a configuration of this version: guard and analyzer must be of one release"
                return self._refusal(400, "ConfigurationUnreadable", message)
            except DetectionError as error:
                return self._refusal(422, error.reason, str(error).partition(": ")[2])
            tenant.keep(name, config, len(body))
            return web.Response(status=204)

        return await self._answered(request, _MAX_CONFIGURATION, work)

    async def _post(self, request: web.Request) -> web.Response:
        return await self._answered(request, _MAX_TEXTS, self._scan)

    async def _scan(self, tenant: Tenant, body: bytes) -> web.Response:
        try:
            name, questions = await _off_loop(read_questions, body)
        except ValueError as error:
            reason = "the body is not UTF-8" if isinstance(error, UnicodeError) else str(error)
            return self._refusal(400, "BadBody", reason)
        config = tenant.configuration(name)
        if config is None:
            return self._refusal(404, UNKNOWN_CONFIGURATION, "send it first")
        return await self._found(tenant, config, questions)

    async def _found(self, tenant: Tenant, config: DetectConfig, questions: list[Question]) -> web.Response:
        try:
            async with tenant.turns:
                found = await self.pool.scan(config, questions, tenant.cache)
        except DetectionError as error:
            if error.reason == "GuardBusy":
                return self._refusal(503, "AnalyzerBusy", "too much waits on this machine", _RETRY_AFTER)
            return self._refusal(422, error.reason, "the texts could not be judged")
        return web.Response(
            body=packed_spans([found[question] for question in questions]), content_type="application/json"
        )

    async def _answered(self, request: web.Request, most: int, work: _Work) -> web.Response:
        answer = await self._admitted(request, most, work)
        self.answers[str(answer.status)] += 1
        return answer

    async def _admitted(self, request: web.Request, most: int, work: _Work) -> web.Response:
        try:
            tenant = self.authority.tenant_of(request.headers.get("Authorization", ""))
        except CallerRefusedError as error:
            return self._refusal(401, error.reason, "a valid token of a guard is needed")
        size = request.content_length
        if size is None or "Content-Encoding" in request.headers:
            return self._refusal(411, "LengthNeeded", "state the length of a body as it is")
        if size > most:
            return self._refusal(413, "BodyTooLarge", f"at most {most} bytes")
        try:
            with self.tenants.entered(tenant, size) as entered:
                async with asyncio.timeout(_BODY_SECONDS):
                    body = await request.read()
                return await work(entered, body)
        except TimeoutError:
            return self._refusal(408, "BodyTooSlow", f"the body took more than {_BODY_SECONDS:g} s")
        except BusyError as error:
            status = 429 if error.own else 503
            return self._refusal(status, "AnalyzerBusy", "too much waits already", _RETRY_AFTER)

    def _refusal(
        self, status: int, reason: str, detail: str, headers: dict[str, str] | None = None
    ) -> web.Response:
        log.info("refused", extra={"status": status, "reason": reason})
        body = {"title": reason, "status": status, "reason": reason, "detail": detail}
        answer = web.json_response(
            body, status=status, headers=headers, content_type="application/problem+json"
        )
        if status in (401, 408, 411, 413):  # its body was not read
            answer.force_close()
        return answer


async def _off_loop(read: Callable[[bytes], _T], body: bytes) -> _T:
    return read(body) if len(body) < _OFF_LOOP_BYTES else await asyncio.to_thread(read, body)
