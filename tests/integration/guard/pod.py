"""A pod as the kubelet would run it, on this machine: a guard, and an agent that the shim starts."""

import asyncio
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psutil
import pytest

from cadre_core.goose_settings import goose_config_yaml, goose_environment
from tests.integration.guard.controller_stub import Controller, guard_process
from tests.support.ports import free_ports

SHIM = Path(__file__).parents[3] / "guard_image" / "shim"


def build_shim(folder: Path) -> Path:
    """The static program from its sources; skips where there is no C compiler."""
    if shutil.which("cc") is None or shutil.which("make") is None:
        pytest.skip("no C compiler: the shim cannot be built")
    source = folder / "shim"
    shutil.copytree(SHIM, source)
    done = subprocess.run(
        ["make", "-C", str(source), "cadre-shim"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return source / "cadre-shim"


@dataclass
class PodOnHost:
    """The parts of one pod."""

    controller: Controller
    root: Path
    shim: Path
    transport: str
    command: list[str] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    guard: asyncio.subprocess.Process | None = None
    agent: asyncio.subprocess.Process | None = None
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    def __post_init__(self) -> None:
        names = ("agent", "probes", "model", "tools")
        self.ports = dict(zip(names, free_ports(len(names)), strict=True))
        for name in ("home", "tmp", "shared"):
            (self.root / name).mkdir()

    @property
    def starter(self) -> Path:
        """The copy of the shim that the guard leaves."""
        return self.root / "starter"

    @property
    def env_file(self) -> Path:
        """What the guard leaves for the agent."""
        return self.root / "shared" / "agent.env"

    def at(self, name: str) -> str:
        """Address of a port."""
        return f"127.0.0.1:{self.ports[name]}"

    async def start_guard(self, **environment: str) -> None:
        """The sidecar."""
        settings = {
            "CADRE_PLACE": "Pod",
            "CADRE_SHARED_DIR": str(self.root / "shared"),
            "CADRE_AGENT_ADDRESS": self.at("agent"),
            "CADRE_PROBE_LISTEN": self.at("probes"),
            "CADRE_MODEL_LISTEN": self.at("model"),
            "CADRE_TOOL_LISTEN": self.at("tools"),
            "CADRE_AGENT_HOME": str(self.root / "home"),
            "CADRE_AGENT_TRANSPORT": self.transport,
            "CADRE_TERMINATION_LOG": str(self.root / "termination-log"),
            "CADRE_SHIM_TARGET": str(self.starter),
            "PATH": f"{self.shim.parent}:{os.environ['PATH']}",
            **environment,
        }
        goose = Path("/nowhere")  # in a pod the guard is told of no program
        process = guard_process(self.controller, goose, self.root, stderr=False, **settings)
        self.guard = await self.stack.enter_async_context(process)

    async def start_agent(self) -> None:
        """The agent's container: the shim, once the guard says that it may start."""
        env = goose_environment(
            model_url="http://127.0.0.1:1",
            model="cadre-work",
            context_window=32000,
            home=str(self.root / "home"),
            temporary=str(self.root / "tmp"),
        )
        mode = ["stdio", str(self.env_file), str(self.ports["agent"])]
        start = mode if self.transport == "Stdio" else ["run", str(self.env_file)]
        self.agent = await asyncio.create_subprocess_exec(
            str(self.starter), *start, "--", *self.command, env={**env, "PATH": os.environ["PATH"]}
        )
        self.stack.push_async_callback(self.stop_agent)

    async def stop_agent(self) -> None:
        """End the agent's container: all its processes are gone before another one starts."""
        if self.agent is not None and self.agent.returncode is None:
            inside = psutil.Process(self.agent.pid).children(recursive=True)
            self.agent.kill()
            await self.agent.wait()
            _gone, left = await asyncio.to_thread(psutil.wait_procs, inside, 60)
            assert not left

    async def restart_agent(self) -> None:
        """What the kubelet does with a container that ended or is to be replaced."""
        await self.stop_agent()
        await self.start_agent()

    async def probe(self, path: str) -> int:
        """Status of a probe; 0 = nobody answers."""
        try:
            async with (
                aiohttp.ClientSession() as http,
                http.get(f"http://{self.at('probes')}{path}") as reply,
            ):
                return reply.status
        except aiohttp.ClientError:
            return 0

    async def until(self, path: str, status: int = 200, seconds: float = 60) -> None:
        """Wait for a probe to answer so."""
        last = -1
        try:
            async with asyncio.timeout(seconds):
                while (last := await self.probe(path)) != status:
                    assert self.guard is not None
                    assert self.guard.returncode is None, "the guard ended"
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"{path} answers {last}, not {status}, after {seconds} s")

    async def start(self, **environment: str) -> None:
        """Guard, then agent, as the kubelet orders them."""
        await self.start_guard(**environment)
        await self.until("/started")
        await self.start_agent()
        await self.until("/agent/started")
        await self.until("/agent/ready")


def goose_serve(goose: Path, root: Path, port: int) -> list[str]:
    """`goose serve` with its configuration, which in a pod is a mount that outlives a wiped HOME."""
    (root / "config.yaml").write_text(goose_config_yaml())
    place = f'mkdir -p "$HOME/.config/goose" && cp {root / "config.yaml"} "$HOME/.config/goose/"'
    return ["sh", "-ec", f"{place}; exec {goose} serve --host 127.0.0.1 --port {port}"]


@asynccontextmanager
async def pod_on_host(
    controller: Controller, root: Path, shim: Path, transport: str = "Goose"
) -> AsyncIterator[PodOnHost]:
    """A pod that is taken apart at the end; its command is the test's to set."""
    pod = PodOnHost(controller, root, shim, transport)
    try:
        yield pod
    finally:
        await pod.stack.aclose()
