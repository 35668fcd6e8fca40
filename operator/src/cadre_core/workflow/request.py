"""What an http step asks for, worked out from its expressions; and what follows from how it went.

A URL is taken apart by one strict pattern, so that nobody behind it can read another host out of it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from cadre_api.v1alpha1 import HttpMethod, HttpRequest
from cadre_core.workflow.expressions import ExpressionError, as_text, evaluate

_URL = re.compile(
    r"(https?)://([a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?)(?::([0-9]{1,5}))?([/?][!\"$-\[\]-~]*)?",
    re.IGNORECASE,
)
_VALUE = re.compile(r"[\t -~\x80-\U0010ffff]{0,4096}")
_REPEATABLE = frozenset({HttpMethod.GET, HttpMethod.PUT, HttpMethod.DELETE})
_PORTS = {"http": 80, "https": 443}
TOO_MANY = 429
_BUSY = frozenset({408, 425, 500, 502, 503, 504})
_PAUSE = 60.0


class BadUrl(ExpressionError):  # noqa: N818 - a refusal, named as its reason
    """It is no URL that can be asked."""

    reason = "BadUrl"


class UndeclaredHost(ExpressionError):  # noqa: N818 - a refusal, named as its reason
    """The workflow does not list the host."""

    reason = "UndeclaredHost"


@dataclass(frozen=True, slots=True)
class Target:
    """Whom a URL means."""

    scheme: str
    host: str
    """Lower case; a name or an IPv4 address."""
    port: int


def target_of(url: str, hosts: Collection[str]) -> Target:
    """Whom a URL means. Raises BadUrl, UndeclaredHost."""
    found = _URL.fullmatch(url)
    if found is None:
        raise BadUrl("a URL is https://host/path in ASCII, without user, fragment and spaces")
    scheme, host = found[1].lower(), found[2].lower()
    port = int(found[3] or _PORTS[scheme])
    named = f"{host}:{port}"
    if named not in hosts and not (host in hosts and port == _PORTS[scheme]):
        raise UndeclaredHost(f"{named if found[3] else host} is none of the workflow's hosts")
    return Target(scheme, host, port)


def is_repeatable(http: HttpRequest) -> bool:
    """Whether it may be sent again when nobody knows whether it was carried out."""
    return http.idempotent or http.method in _REPEATABLE


def request_values(
    http: HttpRequest, hosts: Collection[str], variables: Mapping[str, object]
) -> dict[str, object]:
    """`url`, `headers` and, where there is one, `body`, both as texts. Raises ExpressionError."""
    url = evaluate(http.url, variables)
    if not isinstance(url, str):
        raise BadUrl("url must be a text")
    query = {name: as_text(evaluate(text, variables)) for name, text in sorted((http.query or {}).items())}
    if query:
        url = f"{url}{'&' if '?' in url else '?'}{urlencode(query)}"
    target_of(url, hosts)
    headers = {h.name: _header(h.name, evaluate(h.value, variables)) for h in http.headers if h.value}
    values: dict[str, object] = {"url": url, "headers": headers}
    if http.body is not None:
        body = evaluate(http.body, variables)
        values["body"] = as_text(body)
        if all(name.lower() != "content-type" for name in headers):
            kind = "text/plain; charset=utf-8" if isinstance(body, str) else "application/json"
            values["headers"] = {**headers, "Content-Type": kind}
    return values


def _header(name: str, value: object) -> str:
    text = as_text(value)
    if _VALUE.fullmatch(text) is None:
        raise ExpressionError(f"the value of the header {name} has line breaks or is too long")
    return text


def is_good(status: int) -> bool:
    """Whether a status means that it was carried out."""
    return 200 <= status < 300


def is_worth_another(status: int, *, repeatable: bool) -> bool:
    """Whether a status may be another one soon, and asking again does no harm."""
    return status == TOO_MANY or (repeatable and status in _BUSY)


def pause_after(attempts: int, wanted: float | None, chance: float) -> float:
    """Seconds until the next attempt: doubling, up to a minute, with up to a quarter of jitter (`chance` is
    from 0 to 1); longer where the service says so, up to five minutes."""
    pause = min(2.0 ** (attempts - 1), _PAUSE) * (1 + chance / 4)
    return max(pause, min(wanted or 0.0, 300.0))
