"""A small blocking HTTP client: JSON in and out, refusals as errors that name the fix, streams by line."""

import http.client
import json
import ssl
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from pydantic import ValidationError

from cadre_api.protocol.base import FieldProblem, ProblemDetail, type_json
from cadre_local.errors import CadreError, Exit

CONFLICT_STATUSES = frozenset({409, 412})
UNREACHABLE_STATUSES = frozenset({502, 503, 504})


class ApiError(CadreError):
    """The controller refused; carries its problem document."""

    def __init__(self, problem: ProblemDetail, fix: str = "") -> None:
        told = fix or next((item.fix for item in problem.problems if item.fix), "")
        super().__init__(problem.reason, problem.detail or problem.title, told, _exit(problem.status))
        self.status = problem.status
        self.problems: tuple[FieldProblem, ...] = problem.problems


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the controller is and how long to wait for it, in seconds."""

    url: str
    timeout: float = 30.0


Connect = Callable[[float], http.client.HTTPConnection]
"""Opens a connection with a timeout in seconds."""


class HttpClient:
    """Requests to one controller."""

    def __init__(
        self,
        endpoint: Endpoint,
        token: str = "",
        *,
        connect: Connect | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.token = token
        self.renew: Callable[[], str] | None = None
        """Gets another token when the server no longer takes this one."""
        self._connect = connect or (lambda timeout: _connect(endpoint.url, timeout, context))

    def json(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> type_json:
        """One call; raises `ApiError` on a refusal, `Unreachable` when nobody answers."""
        with self._open(method, path, body, headers or {}, self.endpoint.timeout) as response:
            content = response.read()
        return _object(content)

    def text(self, path: str) -> str:
        """The body of a GET as text."""
        with self._open("GET", path, None, {}, self.endpoint.timeout) as response:
            return response.read().decode()

    def lines(
        self, path: str, headers: Mapping[str, str], idle: float, until: float | None = None
    ) -> Iterator[str]:
        """A long answer line by line, at most until the monotonic time `until`.

        `idle` = seconds of silence that count as a broken connection.
        """
        wait = idle if until is None else max(0.05, min(idle, until - time.monotonic()))
        with suppress(_EnoughError), self._open("GET", path, None, headers, wait, until) as response:
            while raw := response.readline():
                yield raw.decode(errors="replace").rstrip("\r\n")
                if until is not None and time.monotonic() >= until:
                    return

    @contextmanager
    def _open(
        self,
        method: str,
        path: str,
        body: object,
        headers: Mapping[str, str],
        timeout: float,
        until: float | None = None,
    ) -> Iterator[http.client.HTTPResponse]:
        connection = self._connect(timeout)
        try:
            with _translated(self.endpoint.url, until):
                payload = None if body is None else json.dumps(body).encode()
                response = self._ask(connection, method, path, payload, headers)
                if response.status == 401 and self.renew is not None and self.token:
                    connection.close()
                    connection, self.token = self._connect(timeout), self.renew()
                    response = self._ask(connection, method, path, payload, headers)
                if response.status >= 400:
                    raise _refusal(response.status, response.reason, response.read())
                yield response
        finally:
            connection.close()

    def _ask(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        payload: bytes | None,
        headers: Mapping[str, str],
    ) -> http.client.HTTPResponse:
        target = _prefix(self.endpoint.url) + path
        connection.request(method, target, payload, self._headers(payload, headers))
        return connection.getresponse()

    def _headers(self, payload: bytes | None, extra: Mapping[str, str]) -> dict[str, str]:
        headers = {"Accept": "application/json", **extra}
        if payload is not None:
            headers["Content-Type"] = "application/json"
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        return headers


def unreachable(url: str, why: str) -> CadreError:
    """Nobody answers at `url`."""
    return CadreError(
        "Unreachable", f"no answer from {url} ({why})", "is Cadre running? cadre up", Exit.UNREACHABLE
    )


class _EnoughError(Exception):
    """The caller's time is over: no fault of the server."""


@contextmanager
def _translated(url: str, until: float | None) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        if until is not None and time.monotonic() >= until:
            raise _EnoughError from error
        raise unreachable(url, "timed out") from error
    except (OSError, http.client.HTTPException) as error:
        raise unreachable(url, getattr(error, "strerror", None) or type(error).__name__) from error


def _connect(url: str, timeout: float, context: ssl.SSLContext | None = None) -> http.client.HTTPConnection:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise CadreError(
            "BadServer", f"{url!r} is no http(s) URL", "pass --server http://127.0.0.1:7440", Exit.USAGE
        )
    if parts.scheme == "https":
        return http.client.HTTPSConnection(parts.hostname, parts.port, timeout=timeout, context=context)
    return http.client.HTTPConnection(parts.hostname, parts.port, timeout=timeout)


def _prefix(url: str) -> str:
    return urlsplit(url).path.rstrip("/")


def _object(content: bytes) -> type_json:
    try:
        value = json.loads(content or b"{}")
    except ValueError as error:
        raise CadreError(
            "NotCadre", "the answer is not JSON", "does --server point at Cadre's public port?"
        ) from error
    if not isinstance(value, dict):
        raise CadreError(
            "NotCadre", "the answer is not a JSON object", "does --server point at Cadre's public port?"
        )
    return value


def _refusal(status: int, title: str, content: bytes) -> ApiError:
    try:
        document = json.loads(content)
        problem = ProblemDetail.model_validate(document)
    except (ValueError, ValidationError):
        return ApiError(
            ProblemDetail(title=title, status=status, reason=f"Http{status}", detail=f"HTTP {status} {title}")
        )
    return ApiError(problem, str(document.get("fix", "")))


def _exit(status: int) -> Exit:
    if status in CONFLICT_STATUSES:
        return Exit.CONFLICT
    return Exit.UNREACHABLE if status in UNREACHABLE_STATUSES else Exit.REFUSED
