"""One yes for several calls, from the command line to the tool server; approvers told outside by a signed
webhook."""

import asyncio
import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest
from aiohttp import web

from cadre_local.cli.program import run
from cadre_local.errors import Exit
from tests.integration.controller.stand import Held, Stand, open_stand, until
from tests.integration.controller.test_tool_gateway import IBAN, evaluation
from tests.support.scripted import Scripted


async def cadre(stand: Stand, *arguments: str) -> int:
    """The command line as bruno, who decides here."""
    server = ("--server", f"http://127.0.0.1:{stand.serving.public_port}")
    return await asyncio.to_thread(run, [*server, "--as", "bruno", *arguments])


async def book(held: Held, amount: int) -> dict[str, object]:
    """The decision about a booking that a rule asks a person for."""
    return evaluation((await held.tool("desk_book", {"amount": amount}, f"t{amount}")).json)


async def test_always_is_for_so_many_calls_until_revoked(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CADRE_HOME", str(stand.root))
    held = await stand.held()
    asked = str((await book(held, 2000))["approvalId"])
    assert await cadre(stand, "approve", asked, "--yes", "--always", "4") == Exit.REFUSED
    assert await cadre(stand, "approve", asked, "--yes", "--always", "2", "--for", "soon") == Exit.USAGE
    assert await cadre(stand, "approve", asked, "--yes", "--always", "2", "--for", "999h") == Exit.USAGE
    assert await cadre(stand, "approve", asked, "--yes", "--always", "2", "--for", "1h", "--any-session") == 0
    assert [(await book(held, amount))["effect"] for amount in (2000, 2001)] == ["Allow", "Allow"]
    assert len(stand.desk_calls()) == 2
    capsys.readouterr()
    assert await cadre(stand, "get", "permits", "-o", "name") == 0
    (permit,) = capsys.readouterr().out.split()
    assert await cadre(stand, "get", "permits") == 0
    assert permit in capsys.readouterr().out
    assert (await (await stand.person("clara")).get("/api/v1/permits"))["items"] == []
    stranger = await (await stand.person("clara")).call("DELETE", f"/api/v1/permits/{permit}", {})
    assert stranger.status == 404
    assert await cadre(stand, "revoke", permit) == 0
    assert (await book(held, 2002))["effect"] == "RequireApproval"


async def test_an_approver_changes_the_arguments_and_the_agent_is_told(
    stand: Stand, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CADRE_HOME", str(stand.root))
    held = await stand.held(IBAN)
    token = next(word for word in str(held.lease["prompt"]).split() if word.startswith("IBANx"))
    asked = str((await book(held, 2000))["approvalId"])
    file = tmp_path / "arguments.json"
    edit = ("approve", asked, "--yes", "--arguments", str(file))
    for text, code in (("{", Exit.USAGE), ("[]", Exit.USAGE), ('{"amount": "many"}', Exit.REFUSED)):
        file.write_text(text)
        assert await cadre(stand, *edit) == code
    file.write_text(json.dumps({"amount": 1500, "iban": IBAN}))
    assert await cadre(stand, *edit, "--always", "1") == Exit.REFUSED
    assert await cadre(stand, *edit) == 0
    done = await held.tool("desk_book", {"amount": 2000}, "t2000")
    assert evaluation(done.json)["effect"] == "Allow"
    assert "with other arguments" in done.text and token in done.text and IBAN not in done.text
    assert [call["arguments"] for call in stand.desk_calls()] == [{"amount": 1500, "iban": IBAN}]
    again = await held.tool("desk_book", {"amount": 2000}, "t2000")
    assert again["replayed"] is True and len(stand.desk_calls()) == 1
    view = await (await stand.person("bruno")).get(f"/api/v1/approvals/{asked}")
    assert view["edited"]["amount"] == 1500 and view["arguments"] == {"amount": 2000}  # type: ignore[index]
    assert str(view["editedHash"]) not in ("", view["argumentsHash"])
    assert (await book(held, 1500))["effect"] == "RequireApproval"


NEW_RULE = """    - name: nothing-small
      effect: Deny
      actions: [CallTool]
      resources: [{toolServerRef: {name: desk}, tools: [book]}]
      when: args.amount < 1600.0
    - name: never-666"""


async def test_what_was_changed_is_judged_again_when_it_is_called(stand: Stand) -> None:
    held = await stand.held()
    asked = str((await book(held, 2000))["approvalId"])
    bruno, path = await stand.person("bruno"), f"/api/v1/approvals/{asked}/decision"
    refused = await bruno.post(path, {"decision": "Denied", "arguments": {"amount": 1}})
    assert (refused.status, refused["reason"]) == (422, "EditRefused")
    decision = {"decision": "Approved", "arguments": {"amount": 1500}}
    assert (await bruno.post(path, decision)).status == 200
    document = {"file": "chart.yaml", "text": stand.chart_text().replace("    - name: never-666", NEW_RULE)}
    applied = await (await stand.person()).post("/api/v1/apply", {"documents": [document]})
    assert applied.status == 200, applied.text
    denied = await book(held, 2000)
    assert (denied["effect"], denied["reason"]) == ("Deny", "DeniedByRule")
    another = str((await book(held, 2001))["approvalId"])
    forbidden = await bruno.post(f"/api/v1/approvals/{another}/decision", decision)
    assert (forbidden.status, forbidden["reason"]) == (403, "DeniedByRule")
    assert stand.desk_calls() == []


async def test_approvers_are_told_outside_and_can_tell_who_wrote(
    tmp_path: Path, database: str, model: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[dict[str, str], bytes]] = []

    async def receive(request: web.Request) -> web.Response:
        seen.append((dict(request.headers), await request.read()))
        return web.Response(status=503 if len(seen) == 1 else 204)

    app = web.Application()
    app.router.add_post("/hook", receive)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    (tmp_path / "hook.key").write_text("the hook's key\n")
    more = {"webhook_url": f"http://127.0.0.1:{port}/hook", "webhook_secret_file": tmp_path / "hook.key"}
    async with open_stand(tmp_path, database, model.url, **more) as stand:
        asked = str((await book(await stand.held(), 2000))["approvalId"])
        await until(lambda: _done(bool(seen)), 60)
        headers, body = seen[0]
        monkeypatch.setenv("CADRE_HOME", str(stand.root))
        await links_decide_once_for_whom_they_name(stand, asked, json.loads(body)["links"])
    await runner.cleanup()
    assert asked.encode() in body and b"2000" not in body
    content = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    mac = hmac.new(b"the hook's key", content, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"


async def links_decide_once_for_whom_they_name(stand: Stand, asked: str, links: dict[str, str]) -> None:
    (code,) = links.values()
    bruno, anna = await stand.person("bruno"), await stand.person("anna")
    path = f"/api/v1/approval-links/{code}"
    assert (await stand.public().get(path)).status == 401
    assert (await anna.get(path)).status == (await bruno.get(path + "x")).status == 404
    assert (await anna.post(path, {"decision": "Approved"})).status == 404
    shown = await bruno.get(path)
    assert (shown["id"], shown["state"]) == (asked, "Pending")
    assert await cadre(stand, "approve", code, "--yes") == 0
    assert (await bruno.get(f"/api/v1/approvals/{asked}"))["state"] == "Approved"
    assert (await bruno.get(path)).status == 404
    assert await cadre(stand, "approve", code, "--yes") == Exit.REFUSED


async def _done(value: bool) -> bool:
    return value


GUARD_TOOLS = "    - {name: mesh, builtin: Mesh}\n    - {name: guard, builtin: Guard}\n    - {name: desk,"
GUARD_RULE = """    - name: look-first
      effect: RequireApproval
      actions: [CallTool]
      resources: [{builtin: Guard}]
      approval: {by: ReportingLine, role: Head, timeout: 1h, onTimeout: Deny}
    - name: never-666"""


async def _ask_about_guard_tools(stand: Stand) -> None:
    """Put a rule in force that asks a person for each call of the guard's own tools."""
    text = stand.chart_text().replace("    - name: never-666", GUARD_RULE)
    text = text.replace("    - {name: mesh, builtin: Mesh}\n    - {name: desk,", GUARD_TOOLS)
    admin = await stand.person()
    applied = await admin.post("/api/v1/apply", {"documents": [{"file": "chart.yaml", "text": text}]})
    assert applied.status == 200, applied.text


async def _approve(stand: Stand, approval: object) -> None:
    path = f"/api/v1/approvals/{approval}/decision"
    assert (await (await stand.person("bruno")).post(path, {"decision": "Approved"})).status == 200


async def test_one_yes_is_for_one_call_of_the_guards_own_tool(stand: Stand) -> None:
    await _ask_about_guard_tools(stand)
    held = await stand.held()

    async def decided(call_id: str, held: Held = held) -> dict[str, object]:
        return evaluation((await held.tool("guard_detect", {"text": "long"}, call_id, do="decide")).json)

    first, beside = await decided("g1"), await decided("g2")
    assert first["effect"] == "RequireApproval" and beside["approvalId"] == first["approvalId"]
    await _approve(stand, first["approvalId"])
    assert [(await decided("g1"))["effect"] for _ in range(3)] == ["Allow"] * 3
    second = await decided("g2")
    assert second["effect"] == "RequireApproval" and second["approvalId"] != first["approvalId"]
    await _approve(stand, second["approvalId"])
    assert [(await decided(call_id))["effect"] for call_id in ("g2", "g1")] == ["Allow", "Allow"]
    body = {"fence": held.lease["fence"], "reason": "LeaseExpired", "retryable": True}
    assert (await held.guard.post(f"/guard/v1/leases/{held.task}/fail", body)).status == 204
    again = await stand.claim()
    for call_id, approval in (("n1", first), ("n2", second)):
        found = await decided(call_id, again)
        assert (found["effect"], found["approvalId"]) == ("Allow", approval["approvalId"])
    assert (await decided("n3", again))["effect"] == "RequireApproval"


async def test_a_change_of_the_guards_own_tool_reaches_the_guard_masked(stand: Stand) -> None:
    await _ask_about_guard_tools(stand)
    held = await stand.held()
    name, asked = "guard_detect", {"text": "something long"}
    first = (await held.tool(name, asked, "g1", do="decide")).json
    assert first["effect"] == "RequireApproval" and first["edited"] is None
    decision = {"decision": "Approved", "arguments": {"text": f"less, of {IBAN}"}}
    path = f"/api/v1/approvals/{first['approvalId']}/decision"
    assert (await (await stand.person("bruno")).post(path, decision)).status == 200
    second = await held.tool(name, asked, "g1", do="decide")
    assert second.json["effect"] == "Allow" and IBAN not in second.text
    assert "less, of IBANx" in str(second.json["edited"])
