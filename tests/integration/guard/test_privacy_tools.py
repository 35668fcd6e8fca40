"""The guard's own tools: beside the agent's others, decided by policy, done without a text leaving."""

import asyncio
import json

from cadre_detect.tokens import TOKEN_RE
from cadre_guard.turn.record import ToolRequest
from tests.integration.guard.controller_stub import Json
from tests.integration.guard.ports import PREFIX, SECRET, Ports

MAIL = "hanna.keller@acme.example"
TEXT = f"Write to {MAIL} today."
KEY = "AKIA" + "Q7RZ2XW5L9K3M8PD"


async def _call(ports: Ports, tool: str, **arguments: object) -> Json:
    """What the agent gets when its model called the tool."""
    name = f"privacy_guard_{tool}"
    call_id = f"call_{len(ports.turn.record.tools)}"
    ports.turn.record.tools[call_id] = ToolRequest(call_id, f"gw__{name}", {})
    meta = {"agent-session-id": "s1", "agent-tool-call-request-id": call_id}
    answer = await ports.rpc("tools/call", {"name": name, "arguments": arguments, "_meta": meta})
    result = answer["result"]
    assert isinstance(result, dict)
    return result


async def _http(ports: Ports, path: str, body: object = None, session: str = "s1") -> tuple[int, Json]:
    headers = {"Authorization": f"Bearer {SECRET}", "agent-session-id": session}
    url = ports.tools.make_url(f"/{PREFIX}/{path}")
    async with ports.http.request(
        "GET" if body is None else "POST", url, json=body, headers=headers
    ) as answer:
        return answer.status, await answer.json()


def _never_left(ports: Ports) -> None:
    assert MAIL not in json.dumps([ports.controller.decisions, ports.controller.calls])


async def test_the_agent_has_them_beside_its_tools(ports: Ports) -> None:
    listed = await ports.rpc("tools/list")

    names = [tool["name"] for tool in listed["result"]["tools"]]  # type: ignore[index]
    assert names == ["mail_send", "privacy_guard_detect", "privacy_guard_process"]


async def test_detect_and_process_answer_without_the_controller_seeing_the_text(ports: Ports) -> None:
    found = await _call(ports, "detect", text=TEXT)
    masked = await _call(ports, "process", text=TEXT)
    counted = await _call(ports, "process", text=TEXT, policy="Detect")

    (entity,) = found["structuredContent"]["entities"]  # type: ignore[index]
    assert (entity["type"], TEXT[entity["start"] : entity["end"]]) == ("EMAIL_ADDRESS", MAIL)
    assert entity["score"] > 0
    answer = masked["structuredContent"]
    assert isinstance(answer, dict)
    assert answer["counts"] == {"EMAIL_ADDRESS": 1} and TOKEN_RE.search(answer["masked"])
    assert ports.turn.pairs.values[TOKEN_RE.search(answer["masked"])[0]] == MAIL  # type: ignore[index]
    assert counted["structuredContent"] == {"masked": TEXT, "counts": {"EMAIL_ADDRESS": 1}}
    assert [decision["name"] for decision in ports.controller.decisions] == [
        "privacy_guard_detect",
        "privacy_guard_process",
        "privacy_guard_process",
    ]
    assert ports.controller.calls == []
    _never_left(ports)


async def test_policy_decides_about_them(ports: Ports) -> None:
    ports.controller.decide = lambda request: {"effect": "Deny", "reason": "Rule", "message": "not here"}

    denied = await _call(ports, "process", text=TEXT)
    status, told = await _http(ports, "v1/privacy/process", {"text": TEXT})

    assert denied["isError"] and "not here" in json.dumps(denied)
    assert (status, told["reason"]) == (403, "Refused")
    _never_left(ports)


async def test_what_policy_blocks_is_not_processed(ports: Ports) -> None:
    blocking = ports.turn.bundle.model_copy(
        update={"guard": ports.turn.bundle.guard.model_copy(update={"mode": "Block"})}
    )
    await ports.masker.use(blocking)

    refused = await _call(ports, "process", text=f"key {KEY}, mail {MAIL}")

    assert refused["isError"] and "EntityBlocked" in json.dumps(refused) and KEY not in json.dumps(refused)
    assert ports.controller.decisions == []


async def test_a_call_that_the_model_did_not_make_is_none(ports: Ports) -> None:
    params = {"name": "privacy_guard_detect", "arguments": {"text": TEXT}}
    answer = await ports.rpc("tools/call", {**params, "_meta": {"agent-session-id": "s1"}})

    assert answer["result"]["isError"]  # type: ignore[index]


async def test_programs_have_the_same_over_http(ports: Ports) -> None:
    status, described = await _http(ports, "openapi.json")
    assert status == 200 and described["openapi"] == "3.1.0"
    assert list(described["paths"]) == ["/v1/privacy/detect", "/v1/privacy/process"]  # type: ignore[call-overload]

    status, masked = await _http(ports, "v1/privacy/process", {"text": TEXT})

    assert status == 200 and masked["counts"] == {"EMAIL_ADDRESS": 1}
    assert MAIL not in str(masked["masked"])
    assert (await _http(ports, "v1/privacy/detect", {"text": TEXT}))[0] == 200
    assert (await _http(ports, "v1/privacy/restore", {"text": TEXT}))[1]["reason"] == "UnknownTool"
    assert (await _http(ports, "v1/privacy/detect", {"text": TEXT}, session="s9"))[1]["reason"] == "NoTurn"
    assert (await _http(ports, "v1/privacy/detect", [1]))[1]["reason"] == "BadBody"
    _never_left(ports)


async def test_what_an_approver_wrote_instead_is_what_is_done(ports: Ports) -> None:
    other = "other@acme.example"
    edited = {"text": f"Only {ports.controller.token('EMAIL_ADDRESS', other)}, please."}
    answers = [{"effect": "RequireApproval", "approvalId": "apr-1"}]

    def decide(request: Json) -> Json:
        written = {"effect": "Allow", "message": f"called with {json.dumps(edited)}", "edited": edited}
        return answers.pop() if answers else written

    ports.controller.decide = decide
    loop = asyncio.get_running_loop()
    ports.controller.approvals["apr-1"] = loop.create_future()
    loop.call_soon(ports.controller.approvals["apr-1"].set_result, "Approved")

    found = await _call(ports, "detect", text=TEXT)

    (entity,) = found["structuredContent"]["entities"]  # type: ignore[index]
    restored = f"Only {other}, please."
    assert restored[entity["start"] : entity["end"]] == other
    assert found["structuredContent"]["calledWith"] == {"text": restored}  # type: ignore[index]
    assert "called with" in found["content"][0]["text"] and MAIL not in json.dumps(found)  # type: ignore[index]
    status, masked = await _http(ports, "v1/privacy/process", {"text": TEXT})
    assert (status, masked["calledWith"]) == (200, {"text": restored})
    assert masked["masked"] == edited["text"]
    _never_left(ports)


async def test_a_person_who_says_no_is_obeyed(ports: Ports) -> None:
    ports.controller.decide = lambda request: {"effect": "RequireApproval", "approvalId": "apr-2"}
    ports.controller.approvals["apr-2"] = asyncio.get_running_loop().create_future()
    ports.controller.approvals["apr-2"].set_result("Denied")

    refused = await _call(ports, "detect", text=TEXT)

    assert refused["isError"] and "said no" in json.dumps(refused)
