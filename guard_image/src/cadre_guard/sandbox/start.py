"""The guard's side of the launcher: start one agent, take over its listeners, end it for good."""

import asyncio
import contextlib
import os
import shutil
import socket
import sys
from dataclasses import dataclass
from pathlib import Path

from cadre_guard.errors import GuardError
from cadre_guard.sandbox.spec import LaunchReport, LaunchSpec

_START_SECONDS = 30.0
_LINE_LIMIT = 64 * 1024 * 1024
"""Bytes of one ACP line: a whole session's history is replayed in such lines."""


@dataclass(slots=True)
class AgentProcess:
    """A running agent: pipes for ACP, listeners that only it can reach, and what really isolates it."""

    process: asyncio.subprocess.Process
    listeners: list[socket.socket]
    report: LaunchReport
    home: Path

    @property
    def stdin(self) -> asyncio.StreamWriter:
        """The agent's input."""
        assert self.process.stdin is not None
        return self.process.stdin

    @property
    def stdout(self) -> asyncio.StreamReader:
        """The agent's output."""
        assert self.process.stdout is not None
        return self.process.stdout

    async def kill(self) -> None:
        """End the whole tree: its pid namespace dies with its first process."""
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()
        await self.process.wait()

    async def clean(self) -> None:
        """Close the listeners and wipe a HOME on the host; the servers on them must have ended."""
        for listener in self.listeners:
            listener.close()
        await asyncio.to_thread(shutil.rmtree, self.home, ignore_errors=True)


async def start_agent(spec: LaunchSpec) -> AgentProcess:
    """Start the launcher with `spec`; raises GuardError(SandboxFailed) when no agent came to life."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_STREAM)
    with ours:
        with theirs:
            process = await _spawn(theirs)
        ours.settimeout(_START_SECONDS)
        try:
            await asyncio.to_thread(ours.sendall, spec.to_line())
            line, descriptors = await asyncio.to_thread(_receive, ours, len(spec.ports))
            report = LaunchReport.from_line(line)
        except (OSError, ValueError, KeyError) as error:
            report, descriptors = LaunchReport(error=f"{type(error).__name__}"), []
    listeners = [socket.socket(fileno=descriptor) for descriptor in descriptors]
    agent = AgentProcess(process, listeners, report, Path(spec.home))
    if report.error or len(listeners) != len(spec.ports):
        await agent.kill()
        await agent.clean()
        raise GuardError(
            "SandboxFailed", f"the agent's sandbox could not be built: {report.error or 'no listeners'}"
        )
    return agent


async def _spawn(channel: socket.socket) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "cadre_guard.sandbox.launch",
        str(channel.fileno()),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # an agent's diagnostics may quote what it was told: nobody reads them
        stderr=asyncio.subprocess.DEVNULL,
        pass_fds=(channel.fileno(),),
        env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
        limit=_LINE_LIMIT,
    )


def _receive(channel: socket.socket, expected: int) -> tuple[bytes, list[int]]:
    line, descriptors, _flags, _address = socket.recv_fds(channel, 65536, max(expected, 1))
    return line, list(descriptors)
