"""The scripted model misbehaves exactly as asked, so that tests of misbehaviour prove something."""

import json
from pathlib import Path

import aiohttp
import pytest

from tests.unit.scripted.conftest import Play

ASK = {"model": "m", "messages": [{"role": "user", "content": "hello"}], "stream": True}


async def post(url: str, body: object = None, path: str = "/v1/chat/completions") -> tuple[int, bytes, str]:
    """Status, body as far as it came, and how it ended."""
    timeout = aiohttp.ClientTimeout(total=10, sock_read=0.7)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        try:
            async with session.post(url + path, json=ASK if body is None else body) as answer:
                got = b""
                try:
                    async for part in answer.content.iter_any():
                        got += part
                except aiohttp.ClientPayloadError:
                    return answer.status, got, "cut"
                except TimeoutError:
                    return answer.status, got, "hangs"
                return answer.status, got, "complete"
        except TimeoutError:
            return 0, b"", "silent"


def rule(fault: str, text: str = "one two three") -> str:
    return f"  - {{name: a, reply: {{text: {text}, chunk: {{characters: 2}}, fault: {fault}}}}}\n"


@pytest.mark.parametrize(
    ("fault", "status", "ending"),
    [
        ("{status: 503}", 503, "complete"),
        ("{garbage: '<html>oops'}", 200, "complete"),
        ("{empty: true}", 200, "complete"),
        ("{errorEvent: overloaded}", 200, "complete"),
        ("{cutAfter: 3}", 200, "cut"),
        ("{hangAfter: 2}", 200, "hangs"),
        ("{hangAfter: 0}", 200, "hangs"),
        ("{silent: true}", 0, "silent"),
    ],
)
async def test_fault(play: Play, fault: str, status: int, ending: str) -> None:
    got = await post(play(rule(fault)).url)
    assert (got[0], got[2]) == (status, ending)
    if "After: 0" in fault or "empty" in fault:
        assert got[1] == b""
    if "After: 3" in fault:
        assert got[1].count(b"data:") == 3


@pytest.mark.parametrize(("fault", "ending"), [("{cutAfter: 0}", "cut"), ("{hangAfter: 0}", "hangs")])
async def test_fault_of_a_whole_answer(play: Play, fault: str, ending: str) -> None:
    got = await post(play(rule(fault)).url, ASK | {"stream": False})
    assert (got[0], got[2]) == (200, ending)
    with pytest.raises(ValueError, match="Expecting"):
        json.loads(got[1])


async def test_bytes_are_cut_anywhere(play: Play) -> None:
    whole = await post(play("  - {name: a, reply: {text: Größe, usage: {input: 1, output: 1}}}\n").url)
    pieces = await post(
        play("  - {name: a, reply: {text: Größe, usage: {input: 1, output: 1}, chunk: {bytes: 1}}}\n").url
    )
    assert whole[1].count(b"\n\n") == pieces[1].count(b"\n\n")
    assert "Größe".encode() in pieces[1]


async def test_times_lets_a_provider_recover_and_reset_starts_anew(play: Play) -> None:
    rules = "  - {name: down, times: 2, reply: {fault: {status: 503}}}\n  - {name: up, reply: {text: hi}}\n"
    server = play(rules)
    assert [(await post(server.url))[0] for _ in range(3)] == [503, 503, 200]
    assert [request["rule"] for request in server.requests()] == ["down", "down", "up"]
    server.reset()
    assert server.requests() == []
    assert (await post(server.url))[0] == 503


async def test_no_rule_matched_names_the_last_message(play: Play) -> None:
    status, body, _ = await post(play("  - {name: a, when: {user: other}, reply: {text: x}}\n").url)
    error = json.loads(body)["error"]
    assert (status, error["code"]) == (500, "NoRuleMatched")
    assert "user: 'hello'" in error["message"]


async def test_a_number_that_is_none_is_reported(play: Play) -> None:
    rules = """
  - name: a
    when: {capture: {word: '(hello)'}}
    reply: {toolCalls: [{name: t, arguments: {n: "{{word|number}}"}}]}
"""
    status, body, _ = await post(play(rules).url)
    assert status == 500
    assert "is not a number" in json.loads(body)["error"]["message"]


@pytest.mark.parametrize("path", ["/v1/chat/completions", "/v1/messages", "/api/chat"])
async def test_bad_request(play: Play, path: str) -> None:
    url = play("  - {name: a, reply: {text: x}}\n").url
    assert (await post(url, {"messages": 5}, path))[0] == 400
    assert (await post(url, [1], path))[0] == 400
    assert (await post(url, {"messages": [{"role": "user", "content": 7}]}, path))[0] == 400


async def test_the_record_keeps_bodies_and_no_credentials(play: Play, tmp_path: Path) -> None:
    record = tmp_path / "requests.jsonl"
    server = play("  - {name: a, reply: {text: x}}\n", record)
    async with aiohttp.ClientSession(
        headers={"Authorization": "Bearer topsecret", "X-Api-Key": "k3y"}
    ) as session:
        await (await session.post(f"{server.url}/v1/chat/completions", json=ASK)).release()
        await (await session.post(f"{server.url}/v1/chat/completions", data=b"\xff{")).release()
    lines = [json.loads(line) for line in record.read_text().splitlines()]
    assert lines == server.requests()
    assert lines[0]["headers"]["authorization"] == lines[0]["headers"]["x-api-key"] == "present"
    assert lines[0]["headers"]["cookie"] == "absent"
    assert lines[0]["body"] == ASK == json.loads(lines[0]["raw"])
    assert (lines[1]["status"], lines[1]["body"]) == (400, None)
    assert "topsecret" not in record.read_text()
