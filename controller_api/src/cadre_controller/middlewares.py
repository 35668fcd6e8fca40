"""What every request passes: a problem body for every refusal (RFC 9457), a count, and no stack trace to
anyone.
"""

import json
import logging
from dataclasses import dataclass

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from cadre_api.protocol.base import FieldProblem, ProblemDetail
from cadre_controller.errors import CadreError
from cadre_controller.metrics import Metrics
from cadre_controller.ports import Clock
from cadre_controller.routes.table import route_of
from cadre_core.model import Problem

_LOG = logging.getLogger(__name__)
_PROBLEM_JSON = "application/problem+json"
_HTTP_REASONS = {
    404: ("NoSuchRoute", "there is no such path here", "see /openapi.json on the public port"),
    405: ("MethodNotAllowed", "this path does not take that method", "see /openapi.json on the public port"),
}


class Refusal(ProblemDetail):
    """The body of a refusal: what RFC 9457 asks for, the reason, and what to do."""

    fix: str = ""


@dataclass(frozen=True, slots=True)
class Observer:
    """Who counts the requests of one port."""

    port: str
    metrics: Metrics
    clock: Clock


def problems(observer: Observer) -> Middleware:
    """Outermost: turns every error into a problem body and counts the outcome."""

    @web.middleware
    async def handle(request: web.Request, handler: Handler) -> web.StreamResponse:
        started = observer.clock.monotonic()
        response = await _answer(request, handler)
        route = route_of(request)
        path = route.path if route else "-"
        observer.metrics.requests.labels(observer.port, path, str(response.status)).inc()
        observer.metrics.request_seconds.labels(observer.port, path).observe(
            observer.clock.monotonic() - started
        )
        reason = response.headers.get("Cadre-Reason")
        if reason:
            observer.metrics.refusals.labels(observer.port, reason).inc()
        return response

    return handle


async def _answer(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except CadreError as error:
        return refusal_response(request, error)
    except web.HTTPException as error:
        reason, detail, fix = _HTTP_REASONS.get(
            error.status, ("BadRequest", error.reason, "correct the request")
        )
        body = Refusal(title=error.reason, status=error.status, detail=detail, reason=reason, fix=fix)
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return _response(request, body, allow)
    except ConnectionError:
        raise
    except Exception:
        _LOG.exception("request failed", extra={"route": getattr(route_of(request), "path", "-")})
        body = Refusal(
            title="The controller failed",
            status=500,
            detail="an error that should not happen; it is in the controller's log",
            reason="InternalError",
            fix="retry; if it stays, report it with the log line",
        )
        return _response(request, body, {})


def refusal_of(error: CadreError) -> Refusal:
    """The problem body of an error of ours."""
    listed = getattr(error, "problems", ())
    return Refusal(
        title=error.title,
        status=error.status,
        detail=error.message,
        reason=error.reason,
        fix=error.fix or _default_fix(error.status),
        problems=tuple(field_problem(problem) for problem in listed),
    )


def refusal_response(request: web.Request, error: CadreError) -> web.Response:
    """The response for an error of ours; on 401 the connection closes, so that no unread body is read."""
    headers: dict[str, str] = {}
    retry_after = getattr(error, "retry_after", None)
    if isinstance(retry_after, int | float):
        headers["Retry-After"] = str(max(1, round(retry_after)))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    if error.status >= 500:
        _LOG.warning("request refused", extra={"reason": error.reason, "status": error.status})
    return _response(request, refusal_of(error), headers)


def field_problem(problem: Problem | FieldProblem) -> FieldProblem:
    """A problem of the chart in the wire's form."""
    if isinstance(problem, FieldProblem):
        return problem
    return FieldProblem(
        file=problem.file,
        line=problem.line,
        resource=problem.resource,
        field=problem.field,
        reason=problem.reason,
        message=problem.message,
        fix=problem.fix,
    )


def _default_fix(status: int) -> str:
    if status == 404:
        return "check the id; it may belong to another tenant"
    if status == 409:
        return "read the current state and decide again"
    if status >= 500 or status == 429:
        return "retry after the stated time"
    return "correct the request or ask an administrator"


def _response(request: web.Request, body: Refusal, headers: dict[str, str]) -> web.Response:
    document = {**body.model_dump(mode="json", by_alias=True), "instance": request.path}
    response = web.Response(
        body=json.dumps(document, ensure_ascii=False).encode(),
        status=body.status,
        headers={**headers, "Cadre-Reason": body.reason},
        content_type=_PROBLEM_JSON,
    )
    if body.status == 401 or (body.status >= 400 and request.body_exists and not request.content.is_eof()):
        response.force_close()
    return response
