"""State over HTTP and by the command line: ETags, conditional writes, restored values, guards, watching."""

import asyncio
import json

import pytest
from click.testing import CliRunner, Result

from cadre_local.cli.program import cli
from tests.integration.controller.stand import FIN, Peer, Reply, Stand

SCOPE = f"agent:{FIN}"
IBAN = "DE89370400440532013000"


async def put(peer: Peer, key: str, value: str | None, **headers: str) -> Reply:
    body = {"scope": SCOPE, "key": key, "value": value}
    return await peer.call("PUT", "/api/v1/state/entry", body, **headers)


async def test_versions_are_etags(stand: Stand) -> None:
    bruno = await stand.person("bruno")
    made = await put(bruno, "a", "1", If_None_Match="*")
    assert (made.status, made.headers["Etag"]) == (200, '"1"')
    assert (await put(bruno, "a", "2", If_Match='"1"')).headers["Etag"] == '"2"'
    for headers in ({"If_Match": '"1"'}, {"If_None_Match": "*"}):
        stale = await put(bruno, "a", "x", **headers)
        assert (stale.status, stale["reason"]) == (412, "PreconditionFailed")
    body = {"scope": SCOPE, "key": "a", "value": "x", "version": 1}
    stale = await bruno.call("PUT", "/api/v1/state/entry", body)
    assert (stale.status, stale["reason"]) == (409, "VersionConflict")
    for headers in ({"If_Match": "W/x"}, {"If_None_Match": '"1"'}):
        assert (await put(bruno, "a", "x", **headers)).status == 400
    path = f"/api/v1/state/entry?scope={SCOPE}&key=a"
    assert (await bruno.get(path))["value"] == "2"
    assert (await bruno.get(path, If_None_Match='"2"')).status == 304
    history = await bruno.get(f"/api/v1/state/history?scope={SCOPE}&key=a")
    assert [view["version"] for view in history["items"]] == [2, 1]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("query", "field"),
    [("scope=planet&key=a", "scope"), (f"scope={SCOPE}&key=/a", "key"), ("key=a", "scope")],
)
async def test_bad_names_are_told(stand: Stand, query: str, field: str) -> None:
    reply = await (await stand.person("bruno")).get(f"/api/v1/state/entry?{query}")
    assert reply.status == 400 and field in str(reply["detail"])


async def test_a_guard_sees_tokens_and_a_person_the_value(stand: Stand) -> None:
    bruno, guard = await stand.person("bruno"), await stand.agent()
    await put(bruno, "account", f"use {IBAN}")
    seen = await guard.get(f"/guard/v1/state/entry?scope={SCOPE}&key=account")
    assert IBAN not in seen.text
    back = {"scope": SCOPE, "key": "note", "value": seen["value"]}
    assert (await guard.call("PUT", "/guard/v1/state/entry", back)).status == 200
    anna = await stand.person("anna")
    assert (await anna.get(f"/api/v1/state?scope={SCOPE}&prefix=note")).text.count(IBAN) == 1
    assert (await guard.get(f"/guard/v1/state/history?scope={SCOPE}&key=note")).status == 200
    assert (await guard.get(f"/guard/v1/state?scope={SCOPE}")).text.count("version") == 2
    clara = await stand.person("clara")
    refused = await clara.get(f"/api/v1/state?scope={SCOPE}")
    assert (refused.status, refused["reason"]) == (403, "StateDenied")


async def test_a_write_wakes_whoever_watches(stand: Stand) -> None:
    bruno, guard = await stand.person("bruno"), await stand.agent()
    watches = [
        asyncio.create_task(bruno.get(f"/api/v1/state/watch?scope={SCOPE}&after=0&wait=60")),
        asyncio.create_task(guard.get(f"/guard/v1/state/watch?scope={SCOPE}&after=0&wait=60")),
    ]
    await put(bruno, "a", "1")
    for reply in await asyncio.gather(*watches):
        assert [view["key"] for view in reply["items"]] == ["a"]  # type: ignore[attr-defined]


async def test_the_command_line(stand: Stand) -> None:
    bruno = await stand.person("bruno")

    async def cadre(*words: str, text: str | None = None) -> Result:
        env = {"CADRE_SERVER": bruno.base, "CADRE_TOKEN": bruno.token, "CADRE_HOME": str(stand.root)}
        runner = CliRunner()
        return await asyncio.to_thread(runner.invoke, cli, ["state", *words], input=text, env=env)

    assert "a set, version 1" in (await cadre("set", SCOPE, "a", "1", "--version", "0")).output
    assert "a set, version 2" in (await cadre("set", SCOPE, "a", "-", text="two")).output
    watching = asyncio.create_task(cadre("watch", SCOPE, "--count", "1"))
    while not watching.done():
        await put(bruno, "b", "3")
        await asyncio.sleep(0.2)
    assert "b  v" in (await watching).output
    assert (await cadre("get", SCOPE, "a")).output == "two\n"
    assert "a  v1  1" in (await cadre("get", SCOPE, "a", "--history")).output
    assert "a removed, version 3" in (await cadre("remove", SCOPE, "a")).output
    listed = json.loads((await cadre("list", SCOPE, "-o", "json")).output)
    assert [item["key"] for item in listed["items"]] == ["b"]
    assert "b  v" in (await cadre("list", SCOPE)).output
    gone = await cadre("get", SCOPE, "a")
    assert gone.exit_code != 0
