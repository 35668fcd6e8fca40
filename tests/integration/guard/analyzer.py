"""A real analyzer of a machine, as a process that speaks TLS, behind a scripted controller."""

import asyncio
import os
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest

from cadre_guard.analysis.node import NodeScanner
from cadre_guard.controller.identity import Identity
from tests.integration.guard.controller_stub import Controller
from tests.support.certs import Authority
from tests.support.ports import free_ports


@dataclass
class RunningAnalyzer:
    """Where it is, and how it is trusted."""

    controller: Controller
    url: str
    probes: str
    authority: Authority
    process: asyncio.subprocess.Process

    @property
    def trust(self) -> ssl.SSLContext:
        """Believes its certificate."""
        return ssl.create_default_context(cafile=str(self.authority.file))

    def scanner(self, seconds: float = 60) -> "MadeScanner":
        """What makes a guard's scanner."""
        return MadeScanner(self.url, seconds)

    async def metric(self, name: str) -> float:
        """One figure of `/metrics`."""
        async with aiohttp.ClientSession() as http, http.get(f"{self.probes}/metrics") as answer:
            lines = (await answer.text()).splitlines()
        return sum(float(line.split()[-1]) for line in lines if line.startswith(f"cadre_analyzer_{name}"))


@dataclass(frozen=True)
class MadeScanner:
    """Calls the analyzer at a URL for some seconds."""

    url: str
    seconds: float

    def __call__(self, http: aiohttp.ClientSession, identity: Identity) -> NodeScanner:
        """The scanner."""
        return NodeScanner(self.url, http, identity, self.seconds)


@asynccontextmanager
async def analyzer_process(controller: Controller, folder: Path) -> AsyncIterator[RunningAnalyzer]:
    """One that is ready."""
    authority = Authority.create(folder / "ca")
    certificate, key = authority.server("localhost", "127.0.0.1")
    port, probe = free_ports(2)
    env = {
        "PATH": os.environ["PATH"],
        "CADRE_CONTROLLER": f"http://localhost:{controller.port}",
        "CADRE_CONTROLLER_ADDRESS": "127.0.0.1",
        "CADRE_CA_FILE": str(authority.file),
        "CADRE_TLS_CERT": str(certificate),
        "CADRE_TLS_KEY": str(key),
        "CADRE_ANALYZER_LISTEN": f"127.0.0.1:{port}",
        "CADRE_PROBE_LISTEN": f"127.0.0.1:{probe}",
        **{name: value for name, value in os.environ.items() if name.startswith(("COVERAGE", "PYTHONPATH"))},
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "cadre_guard", "analyzer", env=env)
    made = RunningAnalyzer(
        controller, f"https://localhost:{port}", f"http://127.0.0.1:{probe}", authority, process
    )
    try:
        await _ready(made)
        yield made
    finally:
        await ended(process)


async def ended(process: asyncio.subprocess.Process) -> None:
    """Ask a process to go, and see it gone."""
    if process.returncode is None:
        process.terminate()
    await process.wait()


async def _ready(made: RunningAnalyzer) -> None:
    async with aiohttp.ClientSession() as http, asyncio.timeout(120):
        while True:
            if made.process.returncode is not None:
                pytest.fail(f"the analyzer ended with {made.process.returncode}")
            try:
                async with http.get(f"{made.probes}/ready") as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientConnectionError:
                pass
            await asyncio.sleep(0.05)
