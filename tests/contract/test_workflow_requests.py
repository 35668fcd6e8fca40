"""HTTP requests of workflows on real Postgres, to a real service: sent as declared, recorded once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from cadre_api.protocol.workflows import ExecutionState, ExecutionView, StepView
from cadre_controller.gateways.model.credentials import Credentials
from cadre_controller.gateways.requests.reach import CheckedResolver
from cadre_controller.gateways.requests.sender import RequestSender, request_session
from cadre_controller.request_runner import RequestRunner
from cadre_controller.services.assembly import Services
from cadre_controller.services.step_requests import Answer, Asked, Fault
from cadre_controller.settings import LocalHosts
from tests.contract.company import documents
from tests.contract.conftest import TENANT, opened
from tests.support.postgres import KINDS

pytestmark = pytest.mark.parametrize("server", KINDS[:1], indirect=True)
NAME = "Konstantin Hohenfels"
SECRET = "t0p-secret-value"
HEAD = "apiVersion: cadre.dev/v1alpha1\nkind: Workflow\nmetadata: {{name: {name}, namespace: orbit}}\nspec: "


@dataclass
class Service:
    """A service outside: remembers what it was asked, and answers as it is told."""

    port: int = 0
    asked: list[web.Request] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)
    answers: list[Callable[[], web.StreamResponse]] = field(default_factory=list)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """The next answer, the last one again and again."""
        self.asked.append(request)
        self.bodies.append(await request.text())
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return answer()


@asynccontextmanager
async def serving() -> AsyncIterator[Service]:
    """The service, running."""
    service = Service(answers=[lambda: web.json_response({"ok": True, "who": NAME})])
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", service.handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        service.port = runner.addresses[0][1]
        yield service
    finally:
        await runner.cleanup()


@dataclass
class Place:
    """Services with the loop that sends, and a service to send to."""

    services: Services
    service: Service
    listed: LocalHosts
    secrets: dict[str, str] = field(default_factory=dict)

    async def flow(self, name: str, http: str, *, hosts: str = "", more: str = "") -> None:
        """A workflow with one http step `ask`."""
        declared = hosts or f"['127.0.0.1:{self.service.port}']"
        step = f"{{name: ask, http: {http.replace('HERE', f'http://127.0.0.1:{self.service.port}')}}}"
        text = (
            HEAD.format(name=name)
            + f"{{hosts: {declared}, parameters: [{{name: who, type: String}}], steps: [{step}{more}]}}"
        )
        admin = self.services.directory.admin_actor(TENANT)
        await self.services.chart.apply(documents(extra=f"---\n{text}\n"), admin)

    async def begin(self, name: str, **parameters: object) -> ExecutionView:
        """A run."""
        clerk = self.services.directory.person_actor(TENANT, "clerk")
        return await self.services.workflows.start(clerk, name, parameters)

    async def ended(self, name: str, **parameters: object) -> tuple[ExecutionView, StepView]:
        """A run from begin to end, and how its step `ask` ended."""
        run = (await self.begin(name, **parameters)).id
        async with self.sending():
            return await self.end_of(run)

    async def end_of(self, run: str) -> tuple[ExecutionView, StepView]:
        """Wait for the end of a run."""
        async with asyncio.timeout(60):
            while (view := await self.services.workflows.get(TENANT, run)).ended_at is None:
                await asyncio.sleep(0.02)
                await self.sql("UPDATE workflow_requests SET due_at = now() WHERE state = 'Ready'")
                await self.services.workflows.sweep((TENANT,))
        return view, next(step for step in view.steps if step.name == "ask")

    @asynccontextmanager
    async def sending(
        self, send: Callable[[Asked], object] | None = None
    ) -> AsyncIterator["asyncio.Task[None]"]:
        """The loop runs."""
        includes = self.listed.includes
        async with request_session(CheckedResolver(includes)) as http:
            sender = RequestSender(http, Credentials({}, self.secrets.get), includes)
            loop = RequestRunner(self.services.kernel, self.services.requests, send or sender.send)  # type: ignore[arg-type]
            task = asyncio.create_task(loop.run())
            try:
                yield task
            finally:
                task.cancel()
                await asyncio.wait([task])

    async def sql(self, text: str) -> list[dict[str, object]]:
        """Rows of a query, or an effect of one."""
        async with self.services.kernel.db.connection((TENANT,)) as connection:
            return [dict(row) for row in await connection.fetch(text)]


@pytest.fixture
async def place(dsn: str, tmp_path: Path) -> AsyncIterator[Place]:
    """Everything together; the service is private, and listed."""
    async with serving() as service, opened(dsn, tmp_path) as services:
        listed = LocalHosts.parse(f"127.0.0.1:{service.port}")
        yield Place(services, service, listed)


POST = (
    "{method: POST, url: \"'HERE/v1/close?a=1'\", query: {who: params.who}, body: '{\"m\": params.who}',"
    " headers: [{name: X-Month, value: '\"May\"'}, {name: Authorization, secret: {name: erp, key: token},"
    " scheme: Bearer}]}"
)


async def test_a_request_as_declared_and_its_answer_masked(place: Place) -> None:
    place.secrets |= {
        "secret/erp/token": f"{SECRET}\n",
        "secret/erp/hosts": f"erp.example, 127.0.0.1:{place.service.port}",
    }
    more = ", {name: after, dependsOn: [ask], data: steps.ask.result.body.ok}"
    await place.flow("close", POST, more=more)
    run, step = await place.ended("close", who=f"Mail of {NAME}")
    assert (run.state, run.result) == (ExecutionState.SUCCEEDED, {"after": True})
    assert isinstance(step.result, dict) and step.result["status"] == 200 and NAME not in str(run)
    (asked,), (body,) = place.service.asked, place.service.bodies
    assert asked.headers["Authorization"] == f"Bearer {SECRET}" and asked.headers["X-Month"] == "May"
    assert asked.headers["Idempotency-Key"] == step.ref and asked.content_type == "application/json"
    assert asked.query["a"] == "1" and "Mail of" in asked.query["who"]
    assert NAME not in body and NAME not in str(asked.url)
    rows = await place.sql("SELECT sealed, state, attempts FROM workflow_requests")
    assert rows == [{"sealed": b"", "state": "Ended", "attempts": 1}]
    kept = str(await place.sql("SELECT * FROM audit_events")) + str(await place.sql("TABLE execution_steps"))
    assert SECRET not in kept and "workflow.request" in kept


async def test_a_secret_goes_only_where_it_says(place: Place) -> None:
    place.secrets |= {"secret/erp/token": SECRET, "secret/erp/hosts": "erp.example"}
    await place.flow("close", POST)
    assert (await place.ended("close", who="x"))[1].reason == "SecretNotForHost"
    del place.secrets["secret/erp/hosts"]
    assert (await place.ended("close", who="x"))[1].reason == "CredentialMissing"
    assert not place.service.asked


async def test_a_busy_service_is_asked_again_and_a_refusal_is_not(place: Place) -> None:
    await place.flow("read", "{url: \"'HERE/x'\"}")
    place.service.answers[:0] = [
        lambda: web.Response(status=503, headers={"Retry-After": "1"}),
        lambda: web.Response(status=429),
    ]
    run, step = await place.ended("read")
    assert run.state is ExecutionState.SUCCEEDED and len(place.service.asked) == 3
    assert "Idempotency-Key" not in place.service.asked[0].headers
    place.service.answers[:] = [lambda: web.Response(status=404)]
    run, step = await place.ended("read")
    assert (step.reason, len(place.service.asked)) == ("HttpStatus", 4) and "404" in step.message
    place.service.answers[:] = [lambda: web.Response(status=500)]
    assert (await place.ended("read"))[1].reason == "HttpStatus"
    assert len(place.service.asked) == 7


async def test_who_may_have_been_sent_once_is_not_sent_twice(place: Place) -> None:
    await place.flow("book", "{method: POST, url: \"'HERE/x'\"}")
    run = (await place.begin("book")).id

    async def hang(_: Asked) -> Answer | Fault:
        await asyncio.Event().wait()
        raise AssertionError

    async with place.sending(hang):
        async with asyncio.timeout(60):
            while not await place.sql("SELECT 1 FROM workflow_requests WHERE state = 'Sending'"):
                await asyncio.sleep(0.02)
    await place.sql("UPDATE workflow_requests SET due_at = now()")
    async with place.sending():
        assert (await place.end_of(run))[1].reason == "OutcomeUnknown"
    assert not place.service.asked

    async def broken(_: Asked) -> Answer | Fault:
        return Fault("NoAnswer", "the connection broke", is_sent=True)

    again = (await place.begin("book")).id
    async with place.sending(broken):
        assert (await place.end_of(again))[1].reason == "OutcomeUnknown"


async def test_a_cut_request_that_may_be_repeated_is(place: Place) -> None:
    await place.flow("book", "{method: POST, idempotent: true, attempts: 2, url: \"'HERE/x'\"}")
    run = (await place.begin("book")).id
    cut = "UPDATE workflow_requests SET state = 'Sending', due_at = now(), attempts = "
    await place.sql(cut + "1")
    async with place.sending():
        assert (await place.end_of(run))[0].state is ExecutionState.SUCCEEDED
    assert len(place.service.asked) == 1
    run = (await place.begin("book")).id
    await place.sql(cut + "2 WHERE state = 'Ready'")
    async with place.sending():
        assert (await place.end_of(run))[1].reason == "NoAnswer"
    assert len(place.service.asked) == 1


async def test_redirects_and_addresses(place: Place) -> None:
    here = f"http://127.0.0.1:{place.service.port}"

    def moved(where: str) -> web.Response:
        return web.Response(status=302, headers={"Location": where})

    await place.flow("read", "{url: \"'HERE/x'\"}")
    place.service.answers[:0] = [lambda: moved("/other#part")]
    assert (await place.ended("read"))[0].state is ExecutionState.SUCCEEDED
    assert place.service.asked[-1].path == "/other"
    for location, reason in (
        ("http://127.0.0.1:9/", "UndeclaredHost"),
        ("http://169.254.169.254/", "UndeclaredHost"),
        ("file:///etc/passwd", "BadUrl"),
        (f"{here}/again", "RedirectRefused"),
    ):
        place.service.answers[:] = [lambda location=location: moved(location)]  # type: ignore[misc]
        assert (await place.ended("read"))[1].reason == reason
    await place.flow("send", "{method: POST, url: \"'HERE/x'\", idempotent: true}")
    assert (await place.ended("send"))[1].reason == "RedirectRefused"
    await place.flow("read", "{url: \"'HERE/x'\"}")
    place.listed = LocalHosts()
    seen = len(place.service.asked)
    assert (await place.ended("read"))[1].reason == "AddressRefused"
    for url in ("https://localhost/", "https://127.1/", "https://2130706433/", "http://203.0.113.9/"):
        await place.flow("read", f"{{attempts: 1, url: \"'{url}'\"}}", hosts=f"['{url.split('/')[2]}']")
        assert (await place.ended("read"))[1].reason in ("AddressRefused", "BadRequest", "PlainHttp")
    assert len(place.service.asked) == seen


async def test_answers_that_cannot_be_kept(place: Place) -> None:
    await place.flow("read", "{url: \"'HERE/x'\", attempts: 1}")
    for answer, reason in (
        (lambda: web.Response(body=b"x" * 70_000), "AnswerTooLarge"),
        (lambda: web.json_response(list(range(2_000))), "AnswerTooLarge"),
        (lambda: web.Response(body=b"x", headers={"Content-Encoding": "gzip"}), "AnswerEncoded"),
    ):
        place.service.answers[:] = [answer]
        assert (await place.ended("read"))[1].reason == reason
    place.service.answers[:] = [lambda: web.Response(text="{no json", content_type="application/json")]
    assert (await place.ended("read"))[1].result == {"status": 200, "body": "{no json"}


async def test_stopping_before_and_between_attempts(place: Place) -> None:
    await place.flow("read", "{url: \"'HERE/x'\"}", more=", {name: undo, compensates: ask, wait: 1s}")
    clerk = place.services.directory.person_actor(TENANT, "clerk")
    run = await place.begin("read")
    await place.services.workflows.cancel(clerk, run.id)
    view, step = await place.end_of(run.id)
    assert (view.state, step.state) == (ExecutionState.CANCELLED, "Cancelled")
    run = await place.begin("read")

    async def stopped_meanwhile(_: Asked) -> Answer | Fault:
        await place.services.workflows.cancel(clerk, run.id)
        return Answer(503)

    async with place.sending(stopped_meanwhile):
        view, step = await place.end_of(run.id)
    assert (view.state, step.reason) == (ExecutionState.FAILED, "HttpStatus")
    assert not place.service.asked


async def test_nothing_leaves_a_frozen_tenant_and_what_ended_is_forgotten(place: Place) -> None:
    await place.flow("read", "{url: \"'HERE/x'\"}")
    run = await place.begin("read")
    await place.sql(
        "INSERT INTO freezes VALUES ('orbit', 'Tenant', '', 'Person', 'r', '', 'p', now(), false)"
    )
    await place.services.freezer.refresh()
    assert await place.services.requests.due() == []
    await place.sql("DELETE FROM freezes")
    await place.services.freezer.refresh()
    async with place.sending():
        await place.end_of(run.id)
    await place.services.history.forget_said(TENANT, days=0)
    assert await place.sql("SELECT id FROM workflow_requests") == []
