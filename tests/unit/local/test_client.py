"""The HTTP client against a real server: answers, refusals, silence, and streams that break."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest

from cadre_local.client.api import CadreApi
from cadre_local.client.http import ApiError, Endpoint, HttpClient
from cadre_local.client.patience import RECONNECT_FOR, Patience, awaited
from cadre_local.client.sse import ServerEvent, parse_events
from cadre_local.errors import CadreError, Exit
from tests.support.ports import free_port


class Handler(BaseHTTPRequestHandler):
    """A controller that plays what its class attributes say."""

    status = 200
    body = b"{}"
    seen: list[tuple[str, str, dict[str, str], bytes]]
    streams: list[bytes]

    def do_GET(self) -> None:
        self._record(b"")
        if self.headers.get("Accept") == "text/event-stream":
            self.send_response(200)
            self.end_headers()
            self.wfile.write(self.streams.pop(0))
            return
        self._answer()

    def do_POST(self) -> None:
        self._record(self.rfile.read(int(self.headers.get("Content-Length", 0))))
        self._answer()

    def _record(self, body: bytes) -> None:
        self.seen.append((self.command, self.path, dict(self.headers), body))

    def _answer(self) -> None:
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        return


@contextmanager
def serving(**attributes: object) -> Iterator[tuple[HttpClient, type[Handler]]]:
    handler = type("Playing", (Handler,), {"seen": [], "streams": [], **attributes})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield HttpClient(Endpoint(f"http://127.0.0.1:{server.server_port}", timeout=5), "T"), handler
        finally:
            server.shutdown()
            thread.join()


def problem(status: int, **fields: object) -> bytes:
    return json.dumps(
        {"title": "No", "status": status, "reason": "SomeReason", "detail": "why", **fields}
    ).encode()


@pytest.mark.parametrize(
    ("status", "code"), [(403, Exit.REFUSED), (409, Exit.CONFLICT), (503, Exit.UNREACHABLE)]
)
def test_a_refusal_keeps_reason_and_fix(status: int, code: Exit) -> None:
    with (
        serving(status=status, body=problem(status, fix="do this")) as (client, _),
        pytest.raises(ApiError) as caught,
    ):
        client.json("GET", "/x")
    assert caught.value.line() == "SomeReason: why → do this"
    assert caught.value.code is code


def test_the_fix_of_the_first_problem_stands_in() -> None:
    body = problem(422, problems=[{"reason": "R", "message": "m", "fix": "f1", "field": "a"}])
    with serving(status=422, body=body) as (client, _), pytest.raises(ApiError) as caught:
        client.json("GET", "/x")
    assert caught.value.fix == "f1"
    assert caught.value.problems[0].field == "a"


@pytest.mark.parametrize("body", [b"<html>", b"[1]", b'"x"'])
def test_something_that_is_not_cadre_is_recognised(body: bytes) -> None:
    with serving(body=body) as (client, _), pytest.raises(CadreError) as caught:
        client.json("GET", "/x")
    assert caught.value.reason == "NotCadre"


def test_an_error_without_a_problem_document() -> None:
    with serving(status=404, body=b"gone") as (client, _), pytest.raises(ApiError) as caught:
        client.json("GET", "/x")
    assert caught.value.reason == "Http404"


def test_nobody_listens() -> None:
    with pytest.raises(CadreError) as caught:
        HttpClient(Endpoint(f"http://127.0.0.1:{free_port()}")).json("GET", "/")
    assert caught.value.code is Exit.UNREACHABLE
    assert "cadre up" in caught.value.fix


@pytest.mark.parametrize("url", ["ftp://x", "localhost:7440", "http://"])
def test_a_bad_server_url_is_a_usage_error(url: str) -> None:
    with pytest.raises(CadreError) as caught:
        HttpClient(Endpoint(url)).json("GET", "/")
    assert caught.value.code is Exit.USAGE


def test_logging_in_sends_the_secret_once_and_then_the_token() -> None:
    with serving(body=b'{"accessToken": "abc", "person": "acme/x", "items": []}') as (client, handler):
        api = CadreApi(client)
        assert api.log_in("secret", "x", "acme") == "acme/x"
        api.agents()
    (_, _, first, body), (_, _, second, _) = handler.seen
    assert "Authorization" not in first
    assert json.loads(body) == {"grant": "desktop", "secret": "secret", "person": "x", "tenant": "acme"}
    assert second["Authorization"] == "Bearer abc"


def event(seq: int, kind: str = "Created") -> bytes:
    data = {"seq": seq, "at": "2026-01-01T00:00:00Z", "taskId": "t", "kind": kind}
    return f"id: {seq}\nevent: {kind}\ndata: {json.dumps(data)}\n\n".encode()


def test_watching_continues_after_a_broken_stream_where_it_was() -> None:
    whole = b": hello\n\n" + event(1) + event(2)[:30]
    with serving(streams=[whole, event(2) + event(3, "Succeeded")]) as (client, handler):
        first = list(CadreApi(client).watch("t"))
        second = list(CadreApi(client).watch("t"))
    assert [item.seq for item in first] == [1]
    assert [item.seq for item in second] == [2, 3]
    assert handler.seen[0][1] == "/api/v1/tasks/t/events?tree=true"


class Recovering(Handler):
    """Its database is away for as many requests as there are in `away`."""

    away: list[int]

    def do_GET(self) -> None:
        """Refuse, or answer as ever."""
        if self.away:
            self.send_response(self.away.pop())
            self.end_headers()
            self.wfile.write(b'{"title": "Unavailable", "status": 503, "reason": "Unavailable"}')
            return
        Handler.do_GET(self)


def test_watching_and_reading_outlive_a_restart_of_the_database() -> None:
    played = {"do_GET": Recovering.do_GET, "away": [503, 503], "streams": [event(1)]}
    with serving(**played) as (client, handler):
        assert [item.seq for item in CadreApi(client).watch("t")] == [1]
        handler.away.append(502)  # type: ignore[attr-defined]
        assert awaited(lambda: client.json("GET", "/x")) == {}


def test_patience_is_counted_from_the_last_word_and_not_shown_to_refusals(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = [0.0]
    monkeypatch.setattr(
        "cadre_local.client.patience.time", SimpleNamespace(monotonic=lambda: clock[0], sleep=id)
    )
    away, kept = CadreError("Unreachable", "no answer", "", Exit.UNREACHABLE), Patience()
    clock[0] = 10_000.0
    assert kept.heard(": still there") == ": still there"
    clock[0] += RECONNECT_FOR
    kept.bear(away)
    clock[0] += 1
    with pytest.raises(CadreError, match="no answer"):
        kept.bear(away)
    with pytest.raises(CadreError, match="Forbidden"):
        Patience().bear(CadreError("Forbidden", "Forbidden"))


def test_watching_ends_when_the_caller_says(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()

    class Silent(Handler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(event(1))
            self.wfile.flush()
            release.wait(10)

    with serving(do_GET=Silent.do_GET) as (client, _):
        assert [item.seq for item in CadreApi(client).watch("t", time.monotonic() + 0.2)] == [1]
        release.set()


def test_events_are_parsed_as_the_standard_says() -> None:
    lines = [": c", "id: 7", "event: A", "data: one", "data:two", "", "data", "", "", "data: cut"]
    assert list(parse_events(lines)) == [ServerEvent("7", "A", "one\ntwo"), ServerEvent("7", "message", "")]
