"""A whole controller for tests: the real application on real Postgres, a real MCP server, the scripted
model.
"""

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from cadre_controller.gateways.model.forward import ForwardTimes
from cadre_controller.main import Serving, serve
from cadre_controller.settings import Listen, LocalHosts, Settings

HERE = Path(__file__).parent
ANYWHERE = Listen(host="127.0.0.1", port=0)
DESKTOP_SECRET = "the desktop's secret"
FIN, SAL = "co/fin", "co/sal"


@dataclass(frozen=True)
class Reply:
    """An answer, read to its end."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def json(self) -> dict[str, object]:
        """The body as an object."""
        found: dict[str, object] = json.loads(self.text)
        return found

    def __getitem__(self, name: str) -> object:
        return self.json[name]


@dataclass
class Peer:
    """Somebody who talks to one port with one token."""

    http: aiohttp.ClientSession
    base: str
    token: str = ""

    async def call(self, method: str, path: str, body: object = None, **headers: str) -> Reply:
        """One request; header names are written with underscores."""
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        if self.token:
            given["Authorization"] = f"Bearer {self.token}"
        async with self.http.request(method, self.base + path, json=body, headers=given) as response:
            return Reply(response.status, dict(response.headers), await response.text())

    async def get(self, path: str, **headers: str) -> Reply:
        """GET."""
        return await self.call("GET", path, **headers)

    async def post(self, path: str, body: object = None, **headers: str) -> Reply:
        """POST of a JSON body, `{}` by default."""
        return await self.call("POST", path, {} if body is None else body, **headers)


@dataclass
class Held:
    """A task that a guard holds, with what its calls must carry."""

    guard: Peer
    lease: dict[str, object]

    @property
    def task(self) -> str:
        """Its id."""
        return str(self.lease["taskId"])

    def about(self, **more: object) -> dict[str, object]:
        """A body that names the lease."""
        names = ("taskId", "sessionId", "fence")
        return {**{name: self.lease[name] for name in names}, **more}

    def model_headers(self, call_id: str = "c1", **more: str) -> dict[str, str]:
        """The headers of a model call."""
        return {
            "Cadre-Task": self.task,
            "Cadre-Session": str(self.lease["sessionId"]),
            "Cadre-Fence": str(self.lease["fence"]),
            "Cadre-Call-Id": call_id,
            "traceparent": str(self.lease["traceparent"]),
            **more,
        }

    async def tool(self, name: str, arguments: object, call_id: str = "t1", do: str = "call") -> Reply:
        """`tools/call` or `tools/decide`."""
        body = self.about(toolCallId=call_id, name=name, arguments=arguments)
        return await self.guard.post(f"/guard/v1/tools/{do}", body)

    async def chat(self, content: str, call_id: str = "c1", **more: object) -> Reply:
        """One model call."""
        body = {"model": "cadre-work", "messages": [{"role": "user", "content": content}], **more}
        headers = {k.replace("-", "_"): v for k, v in self.model_headers(call_id).items()}
        return await self.guard.post("/guard/v1/model/chat/completions", body, **headers)


@dataclass
class Stand:
    """A running controller and its surroundings."""

    root: Path
    http: aiohttp.ClientSession
    serving: Serving
    model: str
    desk: str
    fields: dict[str, str] = field(default_factory=dict)

    @property
    def runtime(self):  # type: ignore[no-untyped-def]  # a shorthand for tests
        """The composition root."""
        return self.serving.runtime

    def public(self, token: str = "") -> Peer:
        """The public port."""
        return Peer(self.http, f"http://127.0.0.1:{self.serving.public_port}", token)

    def guard(self, token: str = "") -> Peer:
        """The guard port."""
        return Peer(self.http, f"http://127.0.0.1:{self.serving.guard_port}", token)

    async def person(self, name: str = "") -> Peer:
        """The public port as a person, or as the administrator."""
        peer = self.public()
        grant = {"grant": "desktop", "secret": DESKTOP_SECRET, "person": name}
        reply = await peer.post("/api/v1/auth/token", grant)
        assert reply.status == 200, reply.text
        peer.token = str(reply["accessToken"])
        return peer

    async def agent(self, agent: str = FIN, instance: str = "i-1") -> Peer:
        """The guard port as an agent's guard."""
        peer = self.guard()
        proof = {"bootstrap": f"secret of {agent}", "agent": agent, "instance": instance}
        reply = await peer.post("/guard/v1/token", proof)
        assert reply.status == 200, reply.text
        peer.token = str(reply["token"])
        return peer

    async def apply(self, **fields: str) -> Reply:
        """Put the chart in force, with changes."""
        self.fields |= fields
        admin = await self.person()
        document = {"file": "chart.yaml", "text": self.chart_text()}
        return await admin.post("/api/v1/apply", {"documents": [document]})

    def chart_text(self) -> str:
        """The chart with everything filled in."""
        text = (HERE / "chart" / "chart.yaml").read_text()
        given = {"main": self.model, "spare": self.model, "desk": self.desk, "budget": "100.00"}
        given |= {"onExceeded": "Stop", "timeout": "20s", **self.fields}
        for name, value in given.items():
            text = text.replace("{{" + name + "}}", value)
        return text

    async def held(self, prompt: str = "Do it.", agent: str = FIN, by: str = "", **more: object) -> Held:
        """A task of an agent, claimed by its guard."""
        person = await self.person(by)
        created = await person.post("/api/v1/tasks", {"prompt": prompt, "agent": agent, **more})
        assert created.status == 201, created.text
        return await self.claim(agent)

    async def claim(self, agent: str = FIN, instance: str = "i-1") -> Held:
        """The next task of an agent."""
        guard = await self.agent(agent, instance)
        reply = await guard.post("/guard/v1/claims", {"capacity": 1, "waitSeconds": 10})
        assert reply.status == 200, reply.text
        leases = reply["leases"]
        assert isinstance(leases, list) and leases, reply.text
        return Held(guard, leases[0])

    def desk_calls(self) -> list[dict[str, object]]:
        """What the tool server really executed."""
        log = self.root / "desk" / "log"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def desk_flag(self, name: str) -> None:
        """Make the tool server misbehave."""
        (self.root / "desk" / name).touch()


def settings(root: Path, database_url: str, **more: object) -> Settings:
    """Settings of a desktop under `root`, on free ports."""
    return Settings.model_validate(
        {
            "database_url": database_url,
            "public_listen": ANYWHERE,
            "guard_listen": ANYWHERE,
            "keystore": root / "keystore.json",
            "keystore_key_file": root / "keystore.key",
            "home": root,
            "desktop": True,
            **more,
        }
    )


@asynccontextmanager
async def open_stand(
    root: Path, database_url: str, model: str, desk: str = "", **more: object
) -> AsyncIterator[Stand]:
    """A controller with the test chart applied."""
    write_secrets(root)
    times = ForwardTimes(keepalive=0.2, backoff=0.05)
    async with (
        serve(settings(root, database_url, **more), times) as serving,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as http,
    ):
        stand = Stand(root, http, serving, model, desk or stdio_desk(root))
        applied = await stand.apply()
        assert applied.status == 200, applied.text
        yield stand


def stdio_desk(root: Path) -> str:
    """The tool server as a child of the controller."""
    command = json.dumps([sys.executable, str(HERE / "desk.py")])
    log = root / "desk" / "log"
    return f'stdio: {{command: {command}, env: [{{name: DESK_LOG, value: "{log}"}}]}}'


def write_secrets(root: Path) -> None:
    """What the supervisor would leave for the controller."""
    (root / "run" / "bootstrap").mkdir(parents=True, exist_ok=True)
    (root / "desk").mkdir(exist_ok=True)
    (root / "run" / "desktop.token").write_text(DESKTOP_SECRET)
    for agent in (FIN, SAL):
        (root / "run" / "bootstrap" / agent.replace("/", ".")).write_text(f"secret of {agent}")


def local(model: str) -> LocalHosts:
    """The scripted model's host counted as local."""
    return LocalHosts.parse(model.removeprefix("http://"))


async def until(look, seconds: float = 120) -> None:  # type: ignore[no-untyped-def]  # any awaitable condition
    """Wait until a condition holds."""
    async with asyncio.timeout(seconds):
        while not await look():
            await asyncio.sleep(0.02)
