"""A stand-alone guard tells a collector what it did, and nothing of what was said."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import openai
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from typing_extensions import override

from tests.support.encodings import leaks
from tests.support.scripted import scripted_in_thread
from tests.support.standalone import SCENARIO, standalone, write_guard_file

MAIL, IBAN = "hanna.keller@acme.example", "DE89370400440532013000"
TRACE = "0af7651916cd43dd8448eb211c80319c"


@contextmanager
def _collector(bodies: list[bytes]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Not a word."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/traces"
    finally:
        server.shutdown()
        thread.join(60)
        server.server_close()


def _spans(bodies: list[bytes]) -> dict[str, Span]:
    requests = [ExportTraceServiceRequest.FromString(body) for body in bodies]
    return {
        span.name: span
        for request in requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    }


def _ask(url: str, text: str) -> None:
    with openai.OpenAI(base_url=url + "/v1", api_key="of-the-client", max_retries=0) as client:
        client.chat.completions.create(
            model="m",
            messages=[{"role": "user", "content": text}],
            extra_headers={"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"},
        )


def test_spans_reach_the_collector_without_a_value(tmp_path: Path) -> None:
    bodies: list[bytes] = []
    (tmp_path / "scenario.yaml").write_text(SCENARIO)
    with _collector(bodies) as url, scripted_in_thread(tmp_path / "scenario.yaml") as model:
        file = write_guard_file(tmp_path, model.url, guard={"languageModel": False}, traces=url)
        with standalone(file) as guard:
            _ask(guard.url, f"Write to {MAIL} about {IBAN}")
            deadline = time.monotonic() + 60
            while "chat/completions" not in _spans(bodies):
                assert time.monotonic() < deadline, "no span came"
                time.sleep(0.05)
            sent_while_running = len(bodies)
            with pytest.raises(openai.PermissionDeniedError):
                _ask(guard.url, "the key is AKIA" + "Q7RZ2XW5L9K3M8PD")

    first = _spans(bodies[:sent_while_running])
    assert set(first) == {"mask", "upstream", "chat/completions"}
    whole = first["chat/completions"]
    assert whole.trace_id.hex() == TRACE
    assert first["mask"].parent_span_id == first["upstream"].parent_span_id == whole.span_id
    found = {item.key: item.value.int_value for item in first["mask"].attributes}
    assert found == {"cadre.found.EMAIL_ADDRESS": 1, "cadre.found.IBAN_CODE": 1}
    last = _spans(bodies)["chat/completions"]
    assert (last.status.code, last.status.message) == (2, "CredentialsBlocked")
    assert leaks([MAIL, IBAN, "AKIA" + "Q7RZ2XW5L9K3M8PD"], b"".join(bodies)) == {}
