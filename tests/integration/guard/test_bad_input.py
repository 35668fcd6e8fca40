"""What a broken or hostile program does to the model endpoint: nothing leaves, the refusal is in the words of
the API that was asked, and the audit hears of it.
"""

import asyncio
import gzip
import json
import os
import resource
import signal
import zlib
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from aiohttp import web

from cadre_guard.analysis import process
from tests.integration.guard.controller_stub import Json
from tests.integration.guard.ports import PREFIX, SECRET, Ports

MAIL = "hanna.keller@acme.example"
BODIES: dict[str, Json] = {
    "/v1/chat/completions": {"model": "any", "messages": [{"role": "user", "content": MAIL}]},
    "/v1/completions": {"model": "any", "prompt": MAIL},
    "/v1/responses": {"model": "any", "input": MAIL},
    "/v1/messages": {"model": "any", "max_tokens": 9, "messages": [{"role": "user", "content": MAIL}]},
    "/api/chat": {"model": "any", "messages": [{"role": "user", "content": MAIL}]},
    "/v1beta/models/any:generateContent": {"contents": [{"role": "user", "parts": [{"text": MAIL}]}]},
}
UNREADABLE: list[tuple[bytes, dict[str, str], int, str]] = [
    (b"{", {}, 400, "BadBody"),
    (b'{"messages": ' + b"[" * 100_000, {}, 400, "BadBody"),
    (b'{"messages": NaN}', {}, 400, "BadBody"),
    (b'{"prompt": "\xc3\x28"}', {}, 400, "BadEncoding"),
    (b"\x1f\x8b\x08 no gzip at all", {"Content-Encoding": "gzip"}, 400, "BadEncoding"),
    (gzip.compress(b"{}" * 99)[:-9], {"Content-Encoding": "gzip"}, 400, "BadEncoding"),
    (b"{}", {"Content-Encoding": "deflate"}, 400, "BadEncoding"),
    *((b"{}", {"Content-Encoding": name}, 415, "UnsupportedEncoding") for name in ("br", "zstd", "compress")),
    (gzip.compress(b"{}"), {"Content-Encoding": "gzip, br"}, 415, "UnsupportedEncoding"),
    (b"{}", {"Content-Type": "text/plain"}, 415, "UnsupportedMediaType"),
    (
        b"--b\r\n\r\nx\r\n--b--",
        {"Content-Type": "multipart/form-data; boundary=b"},
        415,
        "UnsupportedMediaType",
    ),
    (b"{}", {"Connection": "Upgrade", "Upgrade": "websocket"}, 400, "UpgradeRefused"),
]
MEGABYTE = 1_000_000


def _reason(told: Any) -> str:
    """The reason of a refusal in whatever form."""
    error = told["error"]
    if isinstance(error, str):
        return error.partition(":")[0]
    code = error.get("code")
    return code if isinstance(code, str) else error["message"].partition(":")[0]


async def _post(ports: Ports, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, Any]:
    sent = {"Authorization": f"Bearer {SECRET}", "agent-session-id": "s1", "Content-Type": "application/json"}
    url = ports.model.make_url(f"/{PREFIX}{path}")
    async with ports.http.post(url, data=body, headers={**sent, **headers}) as answer:
        return answer.status, json.loads(await answer.read())


async def _blocked(ports: Ports) -> list[str]:
    """Reasons of the refusals that the audit has heard of."""
    await ports.events.flush()
    return [str(event["result"]) for event in ports.controller.events if event["action"] == "guard.block"]


async def test_each_api_refuses_in_its_own_words(ports: Ports) -> None:
    for path in BODIES:
        for body, headers, status, reason in UNREADABLE:
            found, told = await _post(ports, path, body, headers)
            assert (found, _reason(told)) == (status, reason), (path, body[:20])

    assert ports.controller.model_requests == []
    assert await _blocked(ports) == [reason for _ in BODIES for *_, reason in UNREADABLE]


def _head(*lines: str, path: str = f"/{PREFIX}/v1/chat/completions") -> bytes:
    first = (
        f"POST {path} HTTP/1.1",
        "Host: guard",
        f"Authorization: Bearer {SECRET}",
        "agent-session-id: s1",
    )
    return "\r\n".join([*first, "Content-Type: application/json", *lines, "", ""]).encode()


CHAT = json.dumps(BODIES["/v1/chat/completions"]).encode()
LENGTH = f"Content-Length: {len(CHAT)}"
SMUGGLED = _head(LENGTH) + CHAT
CHUNKED = b"%x\r\n%s\r\n0\r\n\r\n" % (len(CHAT), CHAT)
STRANGE = {
    "a whole URL": _head(LENGTH, path="http://evil.example/v1/chat/completions") + CHAT,
    "a tunnel": b"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\n\r\n",
    "HTTP/2 by prior knowledge": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\x04\0\0\0\0\0",
    "length and chunks": _head("Content-Length: 4", "Transfer-Encoding: chunked") + CHUNKED + SMUGGLED,
    "two lengths": _head("Content-Length: 0", LENGTH) + CHAT,
    "a signed length": _head("Content-Length: +0") + SMUGGLED,
    "chunks under another name": _head("Transfer-Encoding: xchunked") + CHUNKED,
    "chunks that are not last": _head("Transfer-Encoding: chunked, identity") + CHUNKED,
    "a folded header": _head("X-Note: one", " Transfer-Encoding: chunked", LENGTH) + CHAT,
    "a space before the colon": _head("Transfer-Encoding : chunked", LENGTH) + CHAT,
    "a header with a null": _head("X-Note: a\0b", LENGTH) + CHAT,
    "a chunk without a size": _head("Transfer-Encoding: chunked") + b"zz\r\n" + SMUGGLED,
    "a websocket": _head("Connection: Upgrade", "Upgrade: websocket").replace(b"POST", b"GET", 1),
    "a compression nobody has": _head("Content-Encoding: zstd, br", LENGTH) + CHAT,
}


async def _speak(ports: Ports, data: bytes, *, and_end: bool = False) -> bytes:
    """All that comes back until the guard hangs up."""
    assert ports.model.port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", ports.model.port)
    try:
        writer.write(data)
        if and_end:
            writer.write_eof()
        return await asyncio.wait_for(reader.read(), 60)
    except ConnectionError:
        return b""
    finally:
        writer.close()
        await asyncio.gather(writer.wait_closed(), return_exceptions=True)


async def test_framing_that_two_readers_could_read_differently_is_no_request(ports: Ports) -> None:
    for what, data in STRANGE.items():
        answer = await _speak(ports, data, and_end=True)
        assert answer == b"" or answer.startswith((b"HTTP/1.1 4", b"HTTP/1.0 4")), (what, answer[:80])
        assert answer.count(b"HTTP/1.1 ") <= 1, f"{what}: what follows passed for another request"
        assert ports.controller.model_requests == [], what


def _told(answer: bytes) -> tuple[str, Any]:
    """Status and JSON body of one raw answer."""
    head, _, body = answer.partition(b"\r\n\r\n")
    assert b"application/json" in head, answer
    return head.split()[1].decode(), json.loads(body)


@pytest.mark.parametrize("path", BODIES)
async def test_broken_framing_is_refused_in_the_words_of_the_api(
    ports: Ports, path: str, caplog: pytest.LogCaptureFixture
) -> None:
    at = f"/{PREFIX}{path}"
    body = json.dumps(BODIES[path]).encode()
    length = f"Content-Length: {len(body)}"
    chunked = "Transfer-Encoding: chunked"
    cases = {
        "length and chunks": (_head(length, chunked, path=at) + body, "BadFraming"),
        "two lengths": (_head("Content-Length: 0", length, path=at) + body, "BadFraming"),
        "a bad size of a chunk": (_head(chunked, path=at) + b"zz\r\n" + body, "BadEncoding"),
        "a folded header": (_head("X-Note: one", f" {MAIL}", length, path=at) + body, "BadFraming"),
        "a long line": (_head(f"X-Note: {MAIL * 1000}", length, path=at) + body, "HeadTooLarge"),
        "a whole URL": (_head(length, path=f"http://evil.example{at}") + body, "ProxyRequest"),
    }
    for what, (data, reason) in cases.items():
        status, told = _told(await _speak(ports, data))
        assert (status, _reason(told)) in (("400", reason), ("400", "BadFraming")), what
    assert len(await _blocked(ports)) == len(cases)
    assert {event["sessionId"] for event in ports.controller.events} == {"session-1"}
    assert ports.controller.model_requests == []
    assert MAIL not in caplog.text
    assert _reason(_told(await _speak(ports, _head(length, path=f"{at}/else") + body))[1]) == "UnknownPath"
    put = _head(length, path=at).replace(b"POST", b"PUT", 1) + body
    assert _reason(_told(await _speak(ports, put))[1]) == "WrongMethod"


async def test_a_head_in_single_bytes_is_refused_like_a_whole_one(ports: Ports) -> None:
    assert ports.model.port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", ports.model.port)
    try:
        for byte in _head("Content-Length: 1, 2", path=f"/{PREFIX}/v1/messages"):
            writer.write(bytes([byte]))
            await writer.drain()
        status, told = _told(await asyncio.wait_for(reader.read(), 60))
    finally:
        writer.close()
        await writer.wait_closed()
    assert (status, told["type"], _reason(told)) == ("400", "error", "BadFraming")


async def test_what_is_no_request_at_all_is_refused_and_noted(ports: Ports) -> None:
    cases = {
        "HTTP/2 by prior knowledge": ("400", "Http2Refused"),
        "a tunnel": ("403", "Unauthorized"),
        "TLS": ("400", "BadFraming"),
    }
    strange = STRANGE | {"TLS": b"\x16\x03\x01\x02\0\x01\0"}
    for what, expected in cases.items():
        status, told = _told(await _speak(ports, strange[what]))
        assert (status, _reason(told)) == expected, what
    assert await _blocked(ports) == ["Http2Refused", "BadFraming"]


async def test_the_tool_endpoint_refuses_in_json_rpc(ports: Ports) -> None:
    assert ports.tools.port is not None
    reader, writer = await asyncio.open_connection("127.0.0.1", ports.tools.port)
    try:
        writer.write(_head("Content-Length: x", path=f"/{PREFIX}/mcp"))
        _, told = _told(await asyncio.wait_for(reader.read(), 60))
    finally:
        writer.close()
        await writer.wait_closed()
    assert told["error"]["message"].startswith("BadFraming")
    assert (told["jsonrpc"], told["id"]) == ("2.0", None)


async def _pieces(sent: list[int]) -> AsyncIterator[bytes]:
    yield b'{"messages": "'
    while True:
        sent.append(MEGABYTE)
        yield b"x" * MEGABYTE


async def test_a_body_without_end_is_cut_off(ports: Ports) -> None:
    sent: list[int] = []
    headers = {"Authorization": f"Bearer {SECRET}", "agent-session-id": "s1"}
    url = ports.model.make_url(f"/{PREFIX}/v1/messages")
    async with ports.http.post(url, data=_pieces(sent), headers=headers) as answer:
        assert (answer.status, _reason(await answer.json())) == (413, "BodyTooLarge")

    assert sum(sent) < 100 * MEGABYTE
    assert await _blocked(ports) == ["BodyTooLarge"]


def _bomb(megabytes: int) -> Iterator[bytes]:
    packer = zlib.compressobj(1, wbits=31)
    yield packer.compress(b'{"messages": "')
    for _ in range(megabytes):
        yield packer.compress(b"x" * MEGABYTE)
    yield packer.flush()


async def test_a_small_body_that_unpacks_to_much_is_cut_off(ports: Ports) -> None:
    body = b"".join(_bomb(150))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

    told = await _post(ports, "/v1/messages", body, {"Content-Encoding": "gzip"})

    assert (told[0], _reason(told[1])) == (413, "BodyTooLarge")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "KiB"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat"])
async def test_a_detector_that_cannot_start_lets_nothing_through(
    ports: Ports, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process.sys, "executable", "/bin/false")
    for pid in ports.masker.analysis.pids():
        os.kill(pid, signal.SIGKILL)

    status, told = await _post(ports, path, json.dumps({**BODIES[path], "stream": False}).encode(), {})

    assert (status, _reason(told)) == (403, "DetectorDied")
    assert ports.controller.model_requests == []
    assert await _blocked(ports) == ["DetectorDied"]


async def test_a_detector_that_hangs_lets_nothing_through(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(process, "_BASE_SECONDS", 0.05)
    for pid in ports.masker.analysis.pids():
        os.kill(pid, signal.SIGSTOP)

    status, told = await ports.chat(BODIES["/v1/chat/completions"])

    assert (status, _reason(told)) == (403, "DetectorTimeout")
    assert ports.controller.model_requests == []


async def _garbage(request: web.Request, body: Json) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    await response.write(b"data: {\xff\xfe not json\n\ndata: [1]\n\n\n{]\n")
    return response


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat"])
async def test_an_answer_that_cannot_be_read_ends_as_an_error_of_its_api(ports: Ports, path: str) -> None:
    ports.controller.models = [_garbage]
    ports.controller.apis = ["messages", "ollama/chat"]
    body = json.dumps({**BODIES[path], "stream": True}).encode()
    headers = {"Authorization": f"Bearer {SECRET}", "agent-session-id": "s1"}
    async with ports.http.post(
        ports.model.make_url(f"/{PREFIX}{path}"), data=body, headers=headers
    ) as answer:
        lines = [line.removeprefix(b"data: ") for line in (await answer.read()).splitlines()]

    told = [json.loads(line) for line in lines if line.startswith(b"{")]
    assert answer.status in (200, 403) and "error" in told[-1]
    assert ports.turn.failure is not None and ports.turn.failure.reason == _reason(told[-1])
