"""Both ports: nothing without a token, every refusal with reason and fix, and one table behind it all."""

import io
import json
import re

import aiohttp
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from cadre_controller.auth.identity import PersonIdentity
from cadre_controller.auth.tokens import Tokens
from cadre_controller.clock import SystemClock
from cadre_controller.ids import SortableIds
from cadre_controller.ports import AgentIdentity
from cadre_controller.routes import guard_tables, public_tables
from cadre_controller.routes.table import Route, Scope
from tests.integration.controller.stand import FIN, Reply, Stand, open_stand
from tests.support.scripted import Scripted

GUARD_ROUTES = [route for table in guard_tables() for route in table.routes if route.scope is not Scope.OPEN]
PUBLIC_ROUTES = [route for table in public_tables() for route in table.routes if route.scope is Scope.PERSON]


def path_of(route: Route) -> str:
    return re.sub(r"{\w+}", "x", route.path)


def assert_problem(reply: Reply, status: int, reason: str = "") -> None:
    body = reply.json
    assert reply.status == status, reply.text
    assert reply.headers["Content-Type"].startswith("application/problem+json")
    assert body["status"] == status and body["title"] and body["reason"] and body["fix"], body
    assert not reason or body["reason"] == reason


def named(route: Route) -> str:
    return f"{route.method} {route.path}"


async def test_no_guard_route_answers_without_its_token(stand: Stand) -> None:
    foreign = Tokens(Ed25519PrivateKey.generate(), SystemClock(), SortableIds())
    identity = AgentIdentity("co", FIN, "i-1")
    tokens = {
        "": "TokenMissing",
        "nonsense": "InvalidToken",
        foreign.for_guard(identity).token: "InvalidToken",
        stand.runtime.tokens.for_person(PersonIdentity("co", "")).token: "InvalidToken",
    }
    paths = [(route.method, path_of(route)) for route in GUARD_ROUTES] + [("GET", "/"), ("GET", "/metrics")]
    for method, path in paths:
        for token, reason in tokens.items():
            assert_problem(await stand.guard(token).call(method, path, {}), 401, reason)


async def test_no_public_route_answers_without_its_token(stand: Stand) -> None:
    guard = (await stand.agent()).token
    for route in PUBLIC_ROUTES:
        for token in ("", "nonsense", guard):
            assert_problem(await stand.public(token).call(route.method, path_of(route), {}), 401)


async def test_a_body_is_not_read_before_the_token(stand: Stand) -> None:
    async def endless():  # type: ignore[no-untyped-def]  # a body that never ends
        yield b'{"capacity": 1'
        while True:
            sent.append(1)
            yield b" " * 65536

    sent: list[int] = []
    url = f"{stand.guard().base}/guard/v1/claims"
    try:
        async with stand.http.post(url, data=endless()) as response:
            assert response.status == 401
    except aiohttp.ClientOSError:
        pass
    assert len(sent) < 200


async def test_wrong_secrets_get_no_token(stand: Stand) -> None:
    proof = {"bootstrap": "secret of co/sal", "agent": FIN, "instance": "i"}
    assert_problem(await stand.guard().post("/guard/v1/token", proof), 401, "BootstrapRefused")
    grant = {"grant": "desktop", "secret": "guess"}
    assert_problem(await stand.public().post("/api/v1/auth/token", grant), 401, "BootstrapRefused")
    assert_problem(
        await stand.public().post("/api/v1/auth/token", {"grant": "oidc", "secret": "x"}),
        403,
        "GrantDisabled",
    )


async def test_an_unknown_person_gets_no_token(stand: Stand) -> None:
    grant = {"grant": "desktop", "secret": "the desktop's secret", "person": "nobody"}
    assert_problem(await stand.public().post("/api/v1/auth/token", grant), 404, "UnknownPerson")


async def test_a_newer_instance_makes_the_old_token_worthless(stand: Stand) -> None:
    held = await stand.held()
    await stand.agent(instance="i-2")
    assert_problem(await held.chat("hello"), 409, "LeaseLost")
    assert_problem(await held.tool("desk_read", {"what": "x"}), 409, "LeaseLost")
    old = {"bootstrap": "secret of co/fin", "agent": FIN, "instance": "i-1"}
    assert_problem(await stand.guard().post("/guard/v1/token", old), 409, "InstanceRetired")


@pytest.mark.parametrize(
    ("body", "headers", "status", "reason", "told"),
    [
        (b"{", {}, 400, "BadRequest", "line 1 column 2"),
        (b"\xff", {}, 400, "BadRequest", "UTF-8"),
        (b'{"prompt": NaN}', {}, 400, "BadRequest", "NaN"),
        (b"[]", {}, 400, "BadRequest", "body"),
        (b"{}", {}, 400, "BadRequest", "prompt"),
        (b'{"prompt": "x", "priority": "high"}', {}, 400, "BadRequest", "priority"),
        (b"[" * 100_000, {}, 400, "BadRequest", "JSON"),
        (
            b"prompt=x",
            {"Content-Type": "application/x-www-form-urlencoded"},
            415,
            "UnsupportedMediaType",
            "json",
        ),
        (b'{"prompt": "' + b"x" * 3_000_000 + b'"}', {}, 413, "BodyTooLarge", "larger"),
        (b'{"prompt": "x"}', {"Idempotency-Key": "k" * 300}, 400, "BadRequest", "Idempotency-Key"),
    ],
)
async def test_bad_input_is_named_with_its_fix(
    stand: Stand, body: bytes, headers: dict[str, str], status: int, reason: str, told: str
) -> None:
    person = await stand.person()
    given = {"Authorization": f"Bearer {person.token}", "Content-Type": "application/json", **headers}
    async with stand.http.post(
        f"{person.base}/api/v1/tasks", data=io.BytesIO(body), headers=given
    ) as response:
        reply = Reply(response.status, dict(response.headers), await response.text())
    assert_problem(reply, status, reason)
    assert told in str(reply["detail"])


async def test_unknown_paths_methods_and_queries_are_problems_too(stand: Stand) -> None:
    person = await stand.person()
    assert_problem(await person.get("/api/v2/tasks"), 404, "NoSuchRoute")
    refused = await person.call("DELETE", "/api/v1/tasks")
    assert_problem(refused, 405, "MethodNotAllowed")
    assert "POST" in refused.headers["Allow"]
    assert_problem(await person.get("/api/v1/tasks?limit=many"), 400, "BadRequest")
    assert_problem(await person.post("/api/v1/apply?dryRun=perhaps", {"documents": []}), 400, "BadRequest")
    assert_problem(await person.get("/api/v1/tasks/task_none"), 404, "UnknownTask")


async def test_probes_metrics_and_openapi_are_open(stand: Stand) -> None:
    for path in ("/health", "/ready"):
        assert (await stand.public().get(path))["status"] == "ok"
    await stand.public().get("/nowhere")
    metrics = (await stand.public().get("/metrics")).text
    assert 'cadre_http_requests_total{port="public",route="/ready",status="200"} 1.0' in metrics
    assert 'cadre_refusals_total{port="public",reason="NoSuchRoute"} 1.0' in metrics


async def test_openapi_says_what_the_routes_do(stand: Stand) -> None:
    document = (await stand.public().get("/openapi.json")).json
    assert document["openapi"] == "3.1.0"
    paths, text = document["paths"], json.dumps(document)
    assert isinstance(paths, dict)
    for table in public_tables():
        for route in table.routes:
            operation = paths[route.path][route.method.lower()]
            assert operation["summary"] and ("security" in operation) == (route.scope is not Scope.OPEN)
    schemas = document["components"]["schemas"]  # type: ignore[index]
    assert all(name in schemas for name in re.findall(r"#/components/schemas/(\w+)", text))
    assert schemas["TaskView"]["properties"]["sessionId"]
    states = next(p for p in paths["/api/v1/tasks"]["get"]["parameters"] if p["name"] == "state")
    assert "Queued" in json.dumps(states)


async def test_off_the_desktop_every_grant_is_disabled(tmp_path, database: str, model: Scripted) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(AssertionError, match="GrantDisabled"):
        async with open_stand(tmp_path, database, model.url, desktop=False):
            pass


async def test_a_bad_chart_lists_every_problem_and_changes_nothing(stand: Stand) -> None:
    admin = await stand.person()
    before = (await admin.get("/api/v1/agents")).text
    refused = await stand.apply(budget="much", desk="http: {url: 7}")
    assert_problem(refused, 422, "ChartInvalid")
    problems = refused["problems"]
    assert isinstance(problems, list) and len(problems) >= 2
    assert {"spec.budget.amount", "spec.http.url"} <= {problem["field"] for problem in problems}
    for problem in problems:
        assert problem["reason"] and problem["message"], problem
        assert problem["field"] not in ("spec.budget.amount", "spec.http.url") or problem["line"] > 0
    assert (await admin.get("/api/v1/agents")).text == before


async def test_only_the_administrator_applies(stand: Stand) -> None:
    anna = await stand.person("anna")
    assert_problem(await anna.post("/api/v1/apply", {"documents": []}), 403, "AdminOnly")
