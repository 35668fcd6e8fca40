"""What is wrong with an http step can be told when the chart is read, as far as no expression decides it."""

from collections.abc import Collection, Iterator
from datetime import timedelta

from cadre_api.units import parse_duration
from cadre_api.v1alpha1 import HttpHeader, HttpMethod, HttpRequest
from cadre_core.compile import celtext
from cadre_core.workflow.expressions import ExpressionError, evaluate
from cadre_core.workflow.request import target_of

_LONGEST = timedelta(minutes=5)
_OURS = frozenset(
    {
        "accept-encoding", "connection", "content-length", "expect", "host", "idempotency-key", "keep-alive",
        "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
_CREDENTIALS = frozenset({"authorization", "cookie", "proxy-authorization", "x-api-key", "api-key"})
_BODILESS = frozenset({HttpMethod.GET, HttpMethod.DELETE})
type_problem = tuple[str, str, str, str]


def request_problems(http: HttpRequest | None, hosts: Collection[str]) -> Iterator[type_problem]:
    """Field, reason, message and fix of everything that is wrong with a request."""
    if http is None:
        return
    yield from _url_problems(http.url, hosts)
    if http.body is not None and http.method in _BODILESS:
        yield "http.body", "NotOffered", f"a {http.method.value} has no body", "leave body out, or use POST"
    if not timedelta(0) < parse_duration(http.timeout) <= _LONGEST:
        yield "http.timeout", "BadDuration", "one attempt takes from 1s to 5m", "give a time such as 30s"
    seen: set[str] = set()
    for i, header in enumerate(http.headers):
        yield from _header_problems(f"http.headers[{i}]", header, seen)


def _url_problems(url: str, hosts: Collection[str]) -> Iterator[type_problem]:
    if not hosts:
        yield "http.url", "UndeclaredHost", "the workflow lists no hosts", "add spec.hosts: [api.example.com]"
        return
    try:
        if any(celtext.paths(celtext.tokens(url))):
            return
        known = evaluate(url, {})
    except Exception:  # what is no expression was refused as one already
        return
    try:
        if isinstance(known, str):
            target_of(known, hosts)
    except ExpressionError as error:
        fix = "add it to spec.hosts" if error.reason == "UndeclaredHost" else "write 'https://HOST/PATH'"
        yield "http.url", error.reason, str(error), fix


def _header_problems(path: str, header: HttpHeader, seen: set[str]) -> Iterator[type_problem]:
    name = header.name.lower()
    if name in seen:
        yield f"{path}.name", "Duplicate", f"{header.name} is given twice", "leave one of them out"
    seen.add(name)
    if name in _OURS:
        yield f"{path}.name", "NotOffered", f"{header.name} is set by Cadre", "leave it out"
    if name in _CREDENTIALS and header.value is not None:
        message = f"{header.name} carries a credential, which never stands in a chart"
        yield f"{path}.value", "CredentialInChart", message, "give it as secret: {name, key}"
