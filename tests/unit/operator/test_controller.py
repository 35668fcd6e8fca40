"""The operator's side of the controller, against a server on a socket, and what follows from its answers."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from cadre_api.protocol.freeze import DeclaredFreezes
from cadre_core.load import parse_documents
from cadre_core.manifests.settings import ClusterSettings
from cadre_operator.chart.book import ChartBook
from cadre_operator.controller import (
    AgentNow,
    ChartPush,
    ChartRejectedError,
    Controller,
    ControllerError,
    HttpController,
    documents,
)
from cadre_operator.demand import poll_demand
from cadre_operator.keys import PUSH, Key
from cadre_operator.metrics import Metrics
from cadre_operator.reconcile.push import chart_push, reconcile_push
from cadre_operator.status.common import Sync
from cadre_operator.watch.entries import Entry
from cadre_operator.watch.store import Store
from cadre_operator.workqueue import WorkQueue
from cadre_operator.world import World
from tests.unit.operator.company import SEAL, body, chart, entries
from tests.unit.operator.fakes import Clock, MemoryKube

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def served(handler: Handler, token: Path | None = None) -> AsyncIterator[HttpController]:
    """A client of a server that answers with `handler`."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.router.add_route("*", "/{tail:.*}", handler)
    async with TestServer(app) as server:
        controller = HttpController(str(server.make_url("")).rstrip("/"), token, timeout=5)
        try:
            yield controller
        finally:
            await controller.close()


def whole() -> ChartPush:
    """The company's chart."""
    state = chart(entries())
    return ChartPush("co", state.revision, state.models, {}, {})


async def test_a_chart_is_sent_as_documents_that_compile_to_the_same(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("secret\n")
    seen: list[tuple[str, str, dict[str, object]]] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        sent = await request.json()
        seen.append((request.path, request.headers["Authorization"], sent))
        return web.json_response({"revision": whole().revision, "agents": 2})

    async with served(answer, token) as controller:
        await controller.push(whole())
    path, authorization, sent = seen[0]
    assert (path, authorization) == ("/api/v1/apply", "Bearer secret")
    files = [(d["file"], d["text"]) for d in sent["documents"]]  # type: ignore[attr-defined]
    resources, problems = parse_documents(files)
    assert problems == ()
    assert sum(len(found) for found in resources.objects.values()) == 8


def test_many_objects_share_few_documents() -> None:
    state = chart(entries())
    agent = state.models[Key("Agent", "co", "a-1")]
    many = {Key("Agent", "co", f"a-{i}"): agent for i in range(450)}
    assert len(documents(many)) == 3


@pytest.mark.parametrize(
    ("status", "content", "error", "words"),
    [
        (422, {"problems": [{"message": "no such node"}]}, ChartRejectedError, "no such node"),
        (400, {"detail": "bad"}, ChartRejectedError, "bad"),
        (503, {"reason": "Starting"}, ControllerError, "503 Starting"),
        (200, {"revision": "sha256:other"}, ControllerError, "another revision"),
        (200, None, ControllerError, "HTTP 200"),
    ],
)
async def test_answers(status: int, content: object, error: type[Exception], words: str) -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        text = "<html>" if content is None else json.dumps(content)
        return web.Response(status=status, text=text)

    async with served(answer) as controller:
        with pytest.raises(error, match=words):
            await controller.push(whole())


async def test_nobody_there_is_said_so() -> None:
    controller = HttpController("http://127.0.0.1:9", timeout=2)
    with pytest.raises(ControllerError, match="ClientConnector"):
        await controller.push(whole())
    await controller.close()


async def test_a_tenant_that_the_controller_does_not_know_has_no_demand() -> None:
    """A chart that was never accepted must not end the poll of all others."""

    async def answer(_: web.Request) -> web.Response:
        problems = [{"message": "tenant: must name one of this controller's tenants"}]
        return web.json_response({"problems": problems}, status=422)

    async with served(answer) as controller:
        with pytest.raises(ControllerError, match="must name one"):
            await controller.demand("co")


async def test_demand_counts_queued_and_running() -> None:
    async def answer(_: web.Request) -> web.StreamResponse:
        live = {"queued": 2, "running": 1}
        asleep = {"key": "co/a-3", "live": None, "queued": 1}
        return web.json_response({"items": [{"key": "co/a-1", "live": live}, {"key": "co/a-2"}, asleep]})

    async with served(answer) as controller:
        known = {"co/a-1": AgentNow(3), "co/a-2": AgentNow(0), "co/a-3": AgentNow(1)}
        assert await controller.demand("co") == known


@dataclass
class Spoken:
    """A controller that answers as told."""

    error: Exception | None = None
    tasks: dict[str, AgentNow] = field(default_factory=dict)
    declared: list[DeclaredFreezes] = field(default_factory=list)
    pushed: list[ChartPush] = field(default_factory=list)

    async def push(self, chart: ChartPush) -> None:
        """Take a chart."""
        self.pushed.append(chart)
        if self.error is not None:
            raise self.error

    async def declare(self, tenant: str, freezes: DeclaredFreezes) -> None:
        """Hear what is frozen."""
        self.declared.append(freezes)
        if self.error is not None:
            raise self.error

    async def demand(self, tenant: str) -> dict[str, AgentNow]:
        """Tell the demand."""
        if self.error is not None:
            raise self.error
        return self.tasks


def world(controller: Controller | None, found: list[Entry], clock: Clock) -> World:
    """A world with this company."""
    store = Store(clock)
    for entry in found:
        store.see(entry, gone=False)
    state = chart(found)
    book = ChartBook(states={"co": state}, tenancy={"co": "co"})
    queues = (WorkQueue(clock), WorkQueue(clock))
    cluster = ClusterSettings("g", "a", "h", "1.2.3.4")
    return World(
        MemoryKube(), store, book, *queues, controller, Metrics(), cluster, clock, seal_key=SEAL, leading=True
    )


KEY = Key(PUSH, "co")


async def test_an_acknowledged_chart_is_told_on_the_objects() -> None:
    some = world(Spoken(), entries(), Clock())
    await reconcile_push(some, KEY)
    assert some.book.syncs["co"].state is Sync.SYNCED
    assert len(some.objects) == 8
    some.objects.clear()
    await reconcile_push(some, KEY)
    assert len(some.objects) == 0, "nothing new"


async def test_a_short_silence_is_not_told_a_long_one_is() -> None:
    clock = Clock()
    some = world(Spoken(ControllerError("gone")), entries(), clock)
    for expected in (False, True):
        with pytest.raises(ControllerError):
            await reconcile_push(some, KEY)
        assert (some.book.syncs["co"].state, some.book.syncs["co"].lasting) == (Sync.UNREACHABLE, expected)
        clock.turn(61)


async def test_a_refusal_is_told() -> None:
    some = world(Spoken(ChartRejectedError("no")), entries(), Clock())
    await reconcile_push(some, KEY)
    assert some.book.syncs["co"].state is Sync.REJECTED
    none = world(None, entries(), Clock())
    await reconcile_push(none, KEY)
    assert none.book.syncs["co"].state is Sync.ABSENT
    await reconcile_push(none, Key(PUSH, "elsewhere"))


def test_agents_that_wait_for_consent_are_sent_apart() -> None:
    found = entries(body("OrgNode", "team", {"agents": {"consent": "Head"}}))
    some = world(Spoken(), found, Clock())
    push = chart_push(some, some.book.states["co"])
    assert set(push.held) == {Key("Agent", "co", "a-1"), Key("Agent", "co", "a-2")}
    assert set(push.consented.values()) == {""}
    assert all(key.kind != "Agent" for key in push.models)


async def test_demand_is_followed_and_forgotten() -> None:
    clock = Clock()
    spoken = Spoken(tasks={"co/a-1": AgentNow(2, "why")})
    some = world(spoken, entries(), clock)
    busy: dict[str, float] = {}
    await poll_demand(some, "co", busy)
    assert some.demand["co/a-1"].tasks == 2 and some.frozen["co/a-1"] == "why"
    spoken.tasks = {"co/a-1": AgentNow(0)}
    clock.turn(30)
    await poll_demand(some, "co", busy)
    assert some.demand["co/a-1"].idle_seconds == 30 and some.frozen["co/a-1"] == ""
    spoken.error = ControllerError("gone")
    await poll_demand(some, "co", busy)
    assert some.demand == {}
    await poll_demand(world(None, entries(), clock), "co", busy)
