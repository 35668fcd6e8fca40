"""Texts that a machine's analyzer reads: masked as by the guard itself, tenants apart, or nothing leaves."""

import asyncio
import io
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import aiohttp
import jwt
import pytest
import pytest_asyncio
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cadre_detect import DetectConfig, DetectionError, Detector, Recognizer, Term
from cadre_guard.analysis.wire import (
    CONFIGURATION_PATH,
    SCAN_PATH,
    packed_configuration,
    packed_questions,
)
from cadre_guard.controller.trust import server_context
from tests.integration.guard.analyzer import RunningAnalyzer, analyzer_process
from tests.integration.guard.conftest import command, descendants
from tests.integration.guard.controller_stub import Controller, Json, guard_process, says
from tests.integration.guard.ports import PREFIX, SECRET, Ports, opened
from tests.support.certs import Authority
from tests.support.ports import free_port

TEXT = "Mail hanna@example.com or pay DE89 3704 0044 0532 0130 00, from 10.20.30.40"
CHAT = {"model": "m", "messages": [{"role": "user", "content": TEXT}]}
CONFIG = DetectConfig(language_model=False, terms=(Term("Blue Harbour", "PROJECT"),))
HEADERS = {"Authorization": f"Bearer {SECRET}", "agent-session-id": "s1"}
NAME, PACKED = packed_configuration(CONFIG)
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def analyzer(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningAnalyzer]:
    controller = Controller()
    await controller.start()
    async with analyzer_process(controller, tmp_path_factory.mktemp("analyzer")) as made:
        yield made
    await controller.stop()


@pytest_asyncio.fixture(loop_scope="module")
async def node(analyzer: RunningAnalyzer, tmp_path: Path) -> AsyncIterator[Ports]:
    analyzer.controller.reset()
    async with opened(analyzer.controller, tmp_path, analyzer.scanner(), analyzer.trust) as made:
        yield made


@dataclass
class Caller:
    """Asks the analyzer directly, with any token."""

    analyzer: RunningAnalyzer
    http: aiohttp.ClientSession

    async def ask(
        self, method: str, path: str, body: bytes, token: str | None = None, **headers: str
    ) -> tuple[int, dict[str, object]]:
        """Status and body."""
        sent = {"Authorization": f"Bearer {token}", **headers} if token else headers
        url, data = self.analyzer.url + path, io.BytesIO(body)
        async with self.http.request(method, url, data=data, headers=sent) as answer:
            text = await answer.text()
        return answer.status, json.loads(text) if text else {}

    async def introduce(self, body: bytes, token: str, name: str = "") -> tuple[int, dict[str, object]]:
        """PUT a configuration."""
        return await self.ask("PUT", CONFIGURATION_PATH + (name or sha256(body).hexdigest()), body, token)

    async def scan(self, text: str, token: str, name: str = NAME) -> tuple[int, dict[str, object]]:
        """POST a text."""
        return await self.ask("POST", SCAN_PATH, packed_questions(name, [(text, True)]), token)


@pytest_asyncio.fixture(loop_scope="module")
async def caller(analyzer: RunningAnalyzer) -> AsyncIterator[Caller]:
    connector = aiohttp.TCPConnector(ssl=analyzer.trust)
    async with aiohttp.ClientSession(connector=connector) as http:
        yield Caller(analyzer, http)


async def test_what_is_found_is_masked_before_it_leaves(node: Ports) -> None:
    node.controller.models.append(plain)

    assert (await node.chat(CHAT))[0] == 200

    sent = json.dumps([body for _, body in node.controller.model_requests])
    assert not any(value in sent for value in ("hanna@", "3704", "10.20.30.40"))
    assert all(kind in sent for kind in ("EMAIL", "IBAN", "IP"))


async def test_findings_are_those_of_a_guard_that_reads_itself(node: Ports) -> None:
    texts = [TEXT, "Blue Harbour", "call Hanna Keller on +49 30 901820", "", "AKIAIOSFODNN7EXAMPLE"]
    questions = [(text, prose) for text in texts for prose in (True, False)]

    found = await node.masker.analysis.scan(CONFIG, questions)

    own = Detector(CONFIG)
    assert {key: list(spans) for key, spans in found.items()} == {
        (text, prose): own.scan(text, prose=prose) for text, prose in questions
    }


async def test_agents_of_a_tenant_share_what_was_read(
    analyzer: RunningAnalyzer, node: Ports, tmp_path: Path
) -> None:
    node.controller.models.append(plain)
    (tmp_path / "other").mkdir()
    text = {"messages": [{"role": "user", "content": "share this: ada@example.org"}]}
    await node.chat({"model": "m", **text})
    scanned, hits = await analyzer.metric("texts_scanned_total"), await analyzer.metric("cache_hits")

    async with opened(node.controller, tmp_path / "other", analyzer.scanner(), analyzer.trust) as other:
        assert (await other.chat({"model": "m", **text}))[0] == 200

    assert await analyzer.metric("texts_scanned_total") == scanned
    assert await analyzer.metric("cache_hits") > hits


async def test_tenants_share_neither_spans_nor_configurations(caller: Caller) -> None:
    red, blue = (caller.analyzer.controller.analyzer_token(name) for name in ("red", "blue"))
    text = "Blue Harbour: reach eve@example.net"
    assert await caller.introduce(PACKED, red) == (204, {})
    first = await caller.scan(text, red)
    assert first[0] == 200
    assert [span[0] for span in spans_of(first)] == ["PROJECT", "EMAIL_ADDRESS"]
    scanned = await caller.analyzer.metric("texts_scanned_total")

    status, told = await caller.scan(text, blue)
    assert (status, told["reason"]) == (404, "UnknownConfiguration")

    await caller.introduce(PACKED, blue)
    assert await caller.scan(text, blue) == first
    assert await caller.analyzer.metric("texts_scanned_total") == scanned + 1
    assert await caller.scan(text, blue) == first
    assert await caller.analyzer.metric("texts_scanned_total") == scanned + 1


async def test_only_a_guard_of_this_controller_is_heard(caller: Caller) -> None:
    controller = caller.analyzer.controller
    past = datetime.now(UTC) - timedelta(hours=1)
    claims = {"sub": "a/b", "tenant": "red", "iss": "cadre-controller", "aud": "cadre-analyzer"}
    times = {"iat": past, "exp": past + timedelta(hours=2)}
    foreign = jwt.encode({**claims, **times}, Ed25519PrivateKey.generate(), algorithm="EdDSA")
    refused = {
        "": "InvalidToken",
        "x" * 5000: "InvalidToken",
        "no.token.atall": "InvalidToken",
        foreign: "InvalidToken",
        controller.analyzer_token(aud="cadre-guard"): "InvalidToken",
        controller.analyzer_token(iss="somebody"): "InvalidToken",
        controller.analyzer_token(tenant=""): "InvalidToken",
        controller.analyzer_token(iat=int(past.timestamp()), exp=int(past.timestamp()) + 60): "TokenExpired",
    }
    for token, reason in refused.items():
        status, told = await caller.scan(TEXT, token)
        assert (status, told["reason"]) == (401, reason)


async def test_a_request_that_cannot_be_honoured_is_refused(caller: Caller) -> None:
    token = caller.analyzer.controller.analyzer_token()
    unknown = json.dumps({**json.loads(PACKED), "phase_of_the_moon": True}).encode()
    wrong = packed_configuration(DetectConfig(recognizers=(Recognizer("r", "(", "X"),)))[1]
    unreadable = packed_configuration(DetectConfig(languages=("xx",)))[1]
    outcomes = [
        await caller.introduce(PACKED, token, name="0" * 64),
        await caller.introduce(unknown, token),
        await caller.introduce(b'{"ner": "perhaps"}', token),
        await caller.introduce(wrong, token),
        await caller.introduce(unreadable, token),
        await caller.ask("POST", SCAN_PATH, b"\xff", token),
        await caller.ask("POST", SCAN_PATH, b'{"configuration": "x", "texts": [1]}', token),
        await caller.ask("POST", SCAN_PATH, b"{}", token, **{"Content-Encoding": "gzip"}),
        await caller.introduce(b" " * (5 * 1024 * 1024), token),
    ]
    assert [(status, told["reason"]) for status, told in outcomes] == [
        (400, "WrongName"),
        (400, "ConfigurationUnreadable"),
        (400, "ConfigurationUnreadable"),
        (422, "RecognizerInvalid"),
        (422, "LanguageModelMissing"),
        (400, "BadBody"),
        (400, "BadBody"),
        (411, "LengthNeeded"),
        (413, "BodyTooLarge"),
    ]


async def test_a_configuration_that_is_unknown_is_sent_again(node: Ports) -> None:
    found = await node.masker.analysis.scan(CONFIG, [("at Blue Harbour", True), ("nothing", False)])

    assert [[f.entity_type for f in each] for each in found.values()] == [["PROJECT"], []]


async def test_rules_that_cannot_work_are_refused_by_their_own_name(node: Ports) -> None:
    with pytest.raises(DetectionError) as caught:
        await node.masker.analysis.prepare(DetectConfig(recognizers=(Recognizer("r", "(", "X"),)))

    assert caught.value.reason == "RecognizerInvalid"


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat"])
async def test_without_the_analyzer_nothing_leaves(
    node: Ports, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(node.masker.analysis, "_url", f"https://localhost:{free_port()}")
    monkeypatch.setattr(node.masker.analysis, "_seconds", 0.3)

    url, body = node.model.make_url(f"/{PREFIX}{path}"), {**CHAT, "max_tokens": 9, "stream": False}
    async with node.http.post(url, json=body, headers=HEADERS) as answer:
        told = await answer.json()
        assert (answer.status, "error" in told, "AnalyzerAway" in json.dumps(told)) == (403, True, True)

    await node.events.flush()
    assert node.controller.model_requests == []
    assert [event["result"] for event in node.controller.events] == ["AnalyzerAway"]


async def test_a_stranger_in_its_place_hears_nothing(
    node: Ports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    certificate, key = Authority.create(tmp_path / "stranger").server("localhost")
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(1000))
        writer.close()

    server = await asyncio.start_server(
        listen, "localhost", 0, ssl=server_context(certificate, key), family=socket.AF_INET
    )
    async with server:
        port = server.sockets[0].getsockname()[1]
        monkeypatch.setattr(node.masker.analysis, "_url", f"https://localhost:{port}")
        monkeypatch.setattr(node.masker.analysis, "_seconds", 0.3)
        status, _told = await node.chat(CHAT)

    assert (status, heard) == (403, [])


async def test_a_whole_guard_reads_nothing_itself(
    analyzer: RunningAnalyzer, goose: Path, tmp_path: Path
) -> None:
    controller = analyzer.controller
    controller.reset()
    controller.bundle = {"guard": {"languageModel": False}}
    controller.models.append(says("ok"))
    controller.submit("Please write to hanna@example.com")
    async with guard_process(
        controller,
        goose,
        tmp_path,
        CADRE_SANDBOX="Off",
        CADRE_ANALYZER="Node",
        CADRE_ANALYZER_URL=analyzer.url,
        CADRE_CA_FILE=str(analyzer.authority.file),
    ) as process:
        assert (await controller.outcome())[0] == "complete"
        scanners = [pid for pid in descendants(process.pid) if "cadre_guard.analysis.worker" in command(pid)]
        libraries = Path(f"/proc/{process.pid}/maps").read_text()

    assert scanners == []
    assert not any(name in libraries for name in ("/spacy/", "/thinc/", "/numpy/"))
    sent = json.dumps([body for _, body in controller.model_requests])
    assert "hanna@" not in sent
    assert "EMAIL" in sent


async def plain(_request: web.Request, _body: Json) -> web.StreamResponse:
    """A model that answers at once."""
    message = {"role": "assistant", "content": "ok"}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return web.json_response({"id": "c", "object": "chat.completion", "choices": [choice]})


def spans_of(answer: tuple[int, dict[str, object]]) -> list[list[object]]:
    """Of its one text."""
    found = answer[1]["spans"]
    assert isinstance(found, list)
    spans: list[list[object]] = found[0]
    return spans
