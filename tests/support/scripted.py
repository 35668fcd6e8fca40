"""Starts the real `cadre-scripted` on a free port: as a process, as users do, or in a thread (quicker)."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from cadre_scripted.app import create_app
from cadre_scripted.record import Recorder
from cadre_scripted.scenario import load_scenario

ACME = Path(__file__).parents[2] / "examples" / "01-acme"
ACME_SCENARIO = ACME / "story" / "scenario.yaml"


@dataclass(frozen=True)
class Scripted:
    """A running scripted model."""

    url: str
    """Without a trailing slash and without `/v1`."""

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self.url.rsplit(":", 1)[1])

    def requests(self) -> list[dict[str, object]]:
        """Every request since start or reset, oldest first."""
        with urllib.request.urlopen(f"{self.url}/__scripted__/requests", timeout=60) as answer:
            found: list[dict[str, object]] = json.load(answer)
            return found

    def raw(self) -> bytes:
        """All that reached the model, as it came."""
        return b"\n".join(str(request["raw"]).encode() for request in self.requests())

    def reset(self) -> None:
        """Forget the requests and the rules' counts."""
        request = urllib.request.Request(f"{self.url}/__scripted__/reset", method="POST")
        urllib.request.urlopen(request, timeout=60).close()


@contextmanager
def scripted(scenario: Path, *, port: int = 0, record: Path | None = None) -> Iterator[Scripted]:
    """Run a scenario; port 0 takes a free one. The process is gone afterwards."""
    command = [sys.executable, "-m", "cadre_scripted", "serve", "--scenario", str(scenario)]
    command += ["--listen", f"127.0.0.1:{port}"] + (["--record", str(record)] if record else [])
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = re.search(r"http://\S+", line)
        assert address, f"cadre-scripted did not start: {line!r}"
        yield Scripted(address[0])
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextmanager
def scripted_in_thread(scenario: Path, *, record: Path | None = None) -> Iterator[Scripted]:
    """Run a scenario in this process; answers that hang are dropped at the end."""
    loop = asyncio.new_event_loop()
    app = create_app(load_scenario(scenario), Recorder(record))
    runner = web.AppRunner(app, access_log=None, handler_cancellation=True, shutdown_timeout=0.05)
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(_listen(runner), loop).result(60)
        yield Scripted(f"http://127.0.0.1:{runner.addresses[0][1]}")
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(60)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(60)
        loop.close()


async def _listen(runner: web.AppRunner) -> None:
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
