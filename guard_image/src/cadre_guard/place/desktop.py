"""The agent as our own child in a sandbox: ours to start, ours to kill, its HOME ours to wipe."""

import asyncio
import secrets
import socket
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cadre_api.protocol.guard import AgentBundle
from cadre_guard.agent_environment import agent_launch
from cadre_guard.place.port import EndpointKeys
from cadre_guard.sandbox.spec import WORKDIR
from cadre_guard.sandbox.start import AgentProcess, start_agent


@dataclass(frozen=True, slots=True)
class ChildSeat:
    """A sandboxed child; its pipes carry ACP."""

    process: AgentProcess
    keys: EndpointKeys

    @property
    def reader(self) -> asyncio.StreamReader:
        """Its output."""
        return self.process.stdout

    @property
    def writer(self) -> asyncio.StreamWriter:
        """Its input."""
        return self.process.stdin

    @property
    def model_listener(self) -> socket.socket:
        """Inside its network namespace."""
        return self.process.listeners[0]

    @property
    def tool_listener(self) -> socket.socket:
        """Inside its network namespace."""
        return self.process.listeners[1]

    @property
    def cwd(self) -> str:
        """An empty directory."""
        return WORKDIR if self.boundary.get("mount") else str(self.process.home)

    @property
    def boundary(self) -> Mapping[str, bool]:
        """Namespaces, as read back from the kernel."""
        return self.process.report.boundary

    async def end(self, *, broken: bool) -> None:
        """Kill it, broken or not: a new one starts in a moment."""
        await self.process.kill()

    async def clean(self) -> None:
        """Close the listeners, wipe a HOME on the host."""
        await self.process.clean()


class Desktop:
    """Starts a new child for every change of rights."""

    def __init__(self, goose: Path, state_dir: Path, *, isolate: bool) -> None:
        self._goose = goose
        self._state_dir = state_dir
        self._isolate = isolate

    async def seat(self, bundle: AgentBundle) -> ChildSeat:
        """A new process with an empty HOME; raises GuardError(SandboxFailed)."""
        keys = EndpointKeys(secrets.token_hex(16), secrets.token_hex(32))
        home = Path(tempfile.mkdtemp(prefix="home-", dir=self._state_dir))
        spec = agent_launch(
            bundle,
            goose=self._goose,
            prefix=keys.prefix,
            secret=keys.secret,
            isolate=self._isolate,
            home=home,
        )
        return ChildSeat(await start_agent(spec), keys)
