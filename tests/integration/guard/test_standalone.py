"""The guard in front of any client of a model API: the real process, the official clients, one YAML."""

import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anthropic
import ollama
import openai
import pytest

from cadre_detect.tokens import TOKEN_RE
from tests.support.encodings import leaks
from tests.support.scripted import Scripted, scripted_in_thread
from tests.support.standalone import SCENARIO, Standalone, standalone, write_guard_file

MAIL = "hanna.keller@acme.example"
IBAN = "DE89370400440532013000"
ASK = f"Write to {MAIL} about {IBAN}"
SAID = f"Sent to {MAIL} about {IBAN}."
NEW = ("jon.whitfield@acme.example", "new.person@acme.example")
FUNCTION: Any = {"name": "mail_send", "parameters": {"type": "object"}}


@dataclass
class Guarded:
    """A model, and two guards in front of it: one that lets the model say what it likes, and one that masks
    that too.
    """

    model: Scripted
    guard: Standalone
    strict: Standalone

    def post(self, path: str, body: object, **headers: str) -> tuple[int, Any]:
        """POST JSON (or bytes as they are) to the first guard."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"Content-Type": "application/json", **headers}
        request = urllib.request.Request(self.guard.url + path, data=data, headers=sent)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())


@pytest.fixture(scope="module")
def processes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Guarded]:
    folder = tmp_path_factory.mktemp("standalone")
    (folder / "strict").mkdir()
    scenario = folder / "scenario.yaml"
    scenario.write_text(SCENARIO)
    with scripted_in_thread(scenario) as model:
        rules = {"languageModel": False}
        loose = write_guard_file(folder, model.url, guard=rules, keyFile="token.key")
        strict = write_guard_file(folder / "strict", model.url, guard=rules, responses="Mask")
        with standalone(loose) as one, standalone(strict) as other:
            yield Guarded(model, one, other)


@pytest.fixture
def guarded(processes: Guarded) -> Iterator[Guarded]:
    """Nothing of a test reaches the model in the clear."""
    processes.model.reset()
    yield processes
    assert leaks([MAIL, IBAN], processes.model.raw()) == {}


def _openai(url: str) -> openai.OpenAI:
    return openai.OpenAI(base_url=url + "/v1", api_key="of-the-client", max_retries=0)


def _anthropic(url: str) -> anthropic.Anthropic:
    return anthropic.Anthropic(base_url=url, api_key="of-the-client", max_retries=0)


def _chat(url: str, ask: str, stream: bool) -> tuple[str, Any]:
    messages: Any = [{"role": "user", "content": ask}]
    tools: Any = [{"type": "function", "function": FUNCTION}]
    with _openai(url) as client:
        if not stream:
            message = (
                client.chat.completions.create(model="m", messages=messages, tools=tools).choices[0].message
            )
        else:
            with client.chat.completions.stream(model="m", messages=messages, tools=tools) as events:
                message = events.get_final_completion().choices[0].message
    return message.content or "", json.loads(message.tool_calls[0].function.arguments)  # type: ignore[index, union-attr]


def _responses(url: str, ask: str, stream: bool) -> tuple[str, Any]:
    tools: Any = [{"type": "function", "strict": False, **FUNCTION}]
    with _openai(url) as client:
        if not stream:
            answer: Any = client.responses.create(model="m", input=ask, tools=tools)
        else:
            with client.responses.stream(model="m", input=ask, tools=tools) as events:
                answer = events.get_final_response()
    call = next(item for item in answer.output if item.type == "function_call")
    return answer.output_text, json.loads(call.arguments)


def _messages(url: str, ask: str, stream: bool) -> tuple[str, Any]:
    asked: Any = {"model": "m", "max_tokens": 64, "messages": [{"role": "user", "content": ask}]}
    asked["tools"] = [{"name": "mail_send", "input_schema": {"type": "object"}}]
    with _anthropic(url) as client:
        if not stream:
            message: Any = client.messages.create(**asked)
        else:
            with client.messages.stream(**asked) as events:
                message = events.get_final_message()
    return message.content[0].text, message.content[1].input


def _ollama(url: str, ask: str, stream: bool) -> tuple[str, Any]:
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": ask}]}
    asked["tools"] = [{"type": "function", "function": FUNCTION}]
    client = ollama.Client(host=url)
    found: Any = client.chat(**asked, stream=stream)
    parts = list(found) if stream else [found]
    client._client.close()
    calls = [call for part in parts for call in part.message.tool_calls or ()]
    return "".join(part.message.content or "" for part in parts), dict(calls[0].function.arguments)


def _gemini(url: str, ask: str, stream: bool) -> tuple[str, Any]:
    method = "streamGenerateContent?alt=sse" if stream else "generateContent"
    body = {
        "contents": [{"role": "user", "parts": [{"text": ask}]}],
        "tools": [{"functionDeclarations": [FUNCTION]}],
    }
    headers = {"Content-Type": "application/json", "x-goog-api-key": "of-the-client"}
    request = urllib.request.Request(f"{url}/v1beta/models/m:{method}", json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        lines = answer.read().decode().splitlines()
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith(("{", "data: "))]
    parts = [part for event in events for part in event["candidates"][0]["content"]["parts"]]
    calls = [part["functionCall"]["args"] for part in parts if "functionCall" in part]
    return "".join(part.get("text", "") for part in parts), calls[0]


CLIENTS = [_chat, _responses, _messages, _ollama, _gemini]
Client = Callable[[str, str, bool], tuple[str, Any]]


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_sees_its_values_and_the_model_only_tokens(guarded: Guarded, client: Client) -> None:
    for stream in (False, True):
        assert client(guarded.guard.url, ASK, stream) == (SAID, {"to": MAIL})
        assert client(guarded.strict.url, ASK, stream) == (SAID, {"to": MAIL})


@pytest.mark.parametrize("client", CLIENTS)
def test_what_a_model_says_on_its_own_is_masked_where_asked_for(guarded: Guarded, client: Client) -> None:
    ask = f"invent somebody for {MAIL}"
    for stream in (False, True):
        text, arguments = client(guarded.guard.url, ask, stream)
        assert NEW[0] in text and arguments == {"to": NEW[1], "cc": MAIL}

        text, arguments = client(guarded.strict.url, ask, stream)
        assert leaks([*NEW, "Whitfield"], f"{text} {arguments}".encode()) == {}
        assert MAIL in text and arguments["cc"] == MAIL, "the client's own values come back"
        assert TOKEN_RE.fullmatch(arguments["to"])


def test_a_request_with_nothing_to_mask_leaves_to_the_byte(guarded: Guarded) -> None:
    body = b'{ "model":"m",  "messages": [{"role": "user", "content": "\\u00e9 \xc3\xa9"}] , "top_p": 1.0e0 }'
    assert guarded.post("/v1/chat/completions", body)[0] == 200
    assert guarded.model.raw() == body


def test_completions_and_embeddings(guarded: Guarded) -> None:
    with _openai(guarded.guard.url) as client:
        assert client.completions.create(model="m", prompt=ASK).choices[0].text == SAID
        pieces = client.completions.create(model="m", prompt=ASK, stream=True)
        assert "".join(choice.text for piece in pieces for choice in piece.choices) == SAID
        assert len(client.embeddings.create(model="m", input=[ASK], encoding_format="float").data) == 1
        assert [model.id for model in client.models.list()] == ["scripted"]


def test_an_upstreams_refusal_is_the_clients_exception(guarded: Guarded) -> None:
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": f"break down, {MAIL}"}]}
    with _openai(guarded.guard.url) as client, pytest.raises(openai.RateLimitError, match="too many of jon"):
        client.chat.completions.create(**asked)
    with _openai(guarded.strict.url) as client, pytest.raises(openai.RateLimitError) as told:
        client.chat.completions.create(**asked)
    assert NEW[0] not in str(told.value)


@pytest.mark.parametrize(("ask", "whole"), [("garble", "ModelGarbage"), ("cut short", "UpstreamBrokeOff")])
def test_a_broken_answer_is_an_error_of_the_api(guarded: Guarded, ask: str, whole: str) -> None:
    asked: Any = {"model": "m", "messages": [{"role": "user", "content": ask}]}
    with _openai(guarded.guard.url) as client:
        with pytest.raises(openai.InternalServerError) as told:
            client.chat.completions.create(**asked)
        assert (told.value.status_code, told.value.code) == (502, whole)
        with pytest.raises(openai.APIError) as broken:
            list(client.chat.completions.create(**asked, stream=True))
        assert broken.value.code == "UpstreamBrokeOff"
    with _anthropic(guarded.guard.url) as other, pytest.raises(anthropic.APIStatusError, match="BrokeOff"):
        list(other.messages.create(**asked, max_tokens=9, stream=True))


def test_pictures_are_refused(guarded: Guarded) -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    body = {"model": "m", "messages": [{"role": "user", "content": [picture]}]}
    status, told = guarded.post("/v1/chat/completions", body)
    assert (status, told["error"]["code"]) == (403, "UnscannableContent")
    assert guarded.model.requests() == []


def test_the_guards_own_key_is_sent_and_a_dead_upstream_is_said(
    guarded: Guarded, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_THE_TEST", "k-1")
    url, dead = guarded.model.url, "http://127.0.0.1:1/v1"
    families = {"ollama": {"baseURL": url, "apiKeyEnv": "KEY_OF_THE_TEST"}, "openai": {"baseURL": dead}}
    file = write_guard_file(tmp_path, url, guard={"languageModel": False}, upstreams=families)
    with standalone(file) as guard:
        other = ollama.Client(host=guard.url)
        assert other.chat("m", [{"role": "user", "content": "x"}]).message.content
        other._client.close()
        with _openai(guard.url) as client:
            with pytest.raises(openai.InternalServerError) as told:
                client.completions.create(model="m", prompt="x")
            assert told.value.code == "UpstreamUnavailable"
            with pytest.raises(openai.InternalServerError):
                client.models.list()
    (request,) = guarded.model.requests()
    headers: Any = request["headers"]
    assert headers["authorization"] == "present"


def test_credentials_stop_a_request(guarded: Guarded) -> None:
    secret = "use ghp_" + "aB3dE5gH7j" * 3 + "Kl4Mn6"
    with (
        _openai(guarded.guard.url) as client,
        pytest.raises(openai.PermissionDeniedError, match="ACCESS_TOKEN"),
    ):
        client.chat.completions.create(model="m", messages=[{"role": "user", "content": secret}])
    with _anthropic(guarded.guard.url) as other, pytest.raises(anthropic.PermissionDeniedError):
        other.messages.create(model="m", max_tokens=9, messages=[{"role": "user", "content": secret}])
    assert guarded.model.requests() == []


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason"),
    [
        (b"{", {}, 400, "BadBody"),
        (b"[" * 100_000, {}, 400, "BadBody"),
        (b'{"messages": "\xff"}', {}, 400, "BadEncoding"),
        (b"{}", {"Content-Type": "text/plain"}, 415, "UnsupportedMediaType"),
        (b"{}", {"Content-Encoding": "compress"}, 415, "UnsupportedEncoding"),
        (b"{}", {"Upgrade": "websocket"}, 400, "UpgradeRefused"),
    ],
)
def test_a_bad_request_is_refused_in_the_words_of_its_api(
    guarded: Guarded, body: bytes, headers: dict[str, str], status: int, reason: str
) -> None:
    found, told = guarded.post("/v1/chat/completions", body, **headers)
    assert (found, told["error"]["code"]) == (status, reason)
    found, told = guarded.post("/v1/messages", body, **headers)
    assert found == status and told["error"]["message"].startswith(reason)
    found, told = guarded.post("/api/chat", body, **headers)
    assert found == status and told["error"].startswith(reason)

    assert guarded.model.requests() == []
    _until(lambda: any(line["reason"] == reason for line in guarded.guard.logged("refused")))


def test_unknown_paths_reach_nobody(guarded: Guarded) -> None:
    request = urllib.request.Request(guarded.guard.url + "/v1/files", data=ASK.encode())
    with pytest.raises(urllib.error.HTTPError, match="404") as refused:
        urllib.request.urlopen(request, timeout=60)
    refused.value.close()
    assert guarded.model.requests() == []


def test_detect_process_restore_over_http(guarded: Guarded) -> None:
    start = ASK.index(MAIL)
    status, found = guarded.post("/v1/privacy/detect", {"text": ASK})
    assert status == 200
    assert {"type": "EMAIL_ADDRESS", "start": start, "end": start + len(MAIL), "score": 1.0} in found[
        "entities"
    ]

    _, masked = guarded.post("/v1/privacy/process", {"text": ASK})
    assert leaks([MAIL, IBAN], masked["masked"].encode()) == {}
    assert masked["counts"] == {"EMAIL_ADDRESS": 1, "IBAN_CODE": 1}
    reference = {"text": masked["masked"], "mapRef": masked["mapRef"]}
    assert guarded.post("/v1/privacy/restore", reference) == (200, {"text": ASK})
    _, again = guarded.post("/v1/privacy/process", {"text": ASK})
    assert again["masked"] != masked["masked"], "two maps cannot be compared"

    detected = {"masked": ASK, "counts": {"EMAIL_ADDRESS": 1, "IBAN_CODE": 1}}
    assert guarded.post("/v1/privacy/process", {"text": ASK, "policy": "Detect"}) == (200, detected)


@pytest.mark.parametrize(
    ("tool", "body", "status", "reason"),
    [
        ("detect", {}, 400, "BadInput"),
        ("process", {"text": ASK, "policy": "Off"}, 400, "BadInput"),
        ("restore", {"text": "x", "mapRef": "map_guessed"}, 404, "UnknownMap"),
        ("forget", {"text": "x"}, 404, "UnknownTool"),
        ("detect", b"{", 400, "BadBody"),
    ],
)
def test_a_tool_says_what_is_wrong(
    guarded: Guarded, tool: str, body: object, status: int, reason: str
) -> None:
    found, told = guarded.post(f"/v1/privacy/{tool}", body)
    assert (found, told["reason"]) == (status, reason)


def test_the_same_tools_over_mcp(guarded: Guarded) -> None:
    def rpc(method: str, **params: object) -> Any:
        message = {"jsonrpc": "2.0", "id": 7, "method": method, "params": params}
        status, answer = guarded.post("/mcp", message)
        assert status == 200 and answer["id"] == 7
        return answer.get("result", answer.get("error"))

    assert rpc("initialize", protocolVersion="2025-03-26")["protocolVersion"] == "2025-03-26"
    assert rpc("initialize", protocolVersion="1999-01-01")["protocolVersion"] == "2025-06-18"
    assert rpc("ping") == {}
    names = [tool["name"] for tool in rpc("tools/list")["tools"]]
    assert names == ["privacy_guard.detect", "privacy_guard.process", "privacy_guard.restore"]
    result = rpc("tools/call", name="privacy_guard.process", arguments={"text": ASK})
    assert json.loads(result["content"][0]["text"]) == result["structuredContent"]
    assert MAIL not in result["structuredContent"]["masked"]
    refused = rpc("tools/call", name="privacy_guard.restore", arguments={"text": "x", "mapRef": "none"})
    assert refused["isError"] and refused["content"][0]["text"].startswith("UnknownMap")
    assert rpc("tools/call", name="other", arguments={})["code"] == -32602
    assert rpc("resources/list")["code"] == -32601
    assert guarded.post("/mcp", b"nonsense")[1]["error"]["code"] == -32700
    assert guarded.post("/mcp", {"jsonrpc": "2.0", "method": "notifications/initialized"}) == (202, None)


def test_metrics_and_descriptions_hold_no_values(guarded: Guarded) -> None:
    assert _chat(guarded.guard.url, ASK, False)[0] == SAID
    pages = {}
    for path in ("/metrics", "/openapi.json", "/health"):
        with urllib.request.urlopen(guarded.guard.url + path, timeout=60) as answer:
            pages[path] = answer.read().decode()

    assert 'cadre_guard_entities_total{type="EMAIL_ADDRESS"}' in pages["/metrics"]
    assert 'cadre_guard_request_seconds_count{size="1k"}' in pages["/metrics"]
    assert leaks([MAIL, IBAN], pages["/metrics"].encode()) == {}
    assert "/v1/privacy/process" in json.loads(pages["/openapi.json"])["paths"]
    assert json.loads(pages["/health"]) == {"status": "ok"}


def test_a_guard_that_cannot_start_says_why_in_one_line(tmp_path: Path) -> None:
    file = write_guard_file(tmp_path, "http://127.0.0.1:9", keyFile="bad.key")
    (tmp_path / "bad.key").write_bytes(b"short")
    ended = _check(file)
    assert ended.returncode == 2 and "must hold 32 bytes" in ended.stderr and ended.stderr.count("\n") == 1


def _check(file: Path) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "cadre_guard.standalone", "-f", str(file), "--check"]
    return subprocess.run(command, capture_output=True, text=True, timeout=120)


def _until(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.02)
