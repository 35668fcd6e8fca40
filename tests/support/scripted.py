"""Starts the real `cadre-scripted` as a process, as users do, on a free port."""

import json
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ACME = Path(__file__).parents[2] / "examples" / "01-acme"
ACME_SCENARIO = ACME / "story" / "scenario.yaml"


@dataclass(frozen=True)
class Scripted:
    """A running scripted model."""

    url: str
    """Without a trailing slash and without `/v1`."""
    process: subprocess.Popen[str]

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self.url.rsplit(":", 1)[1])

    def requests(self) -> list[dict[str, object]]:
        """Every request since start or reset, oldest first."""
        with urllib.request.urlopen(f"{self.url}/__scripted__/requests", timeout=10) as answer:
            found: list[dict[str, object]] = json.load(answer)
            return found

    def raw(self) -> bytes:
        """All that reached the model, as it came."""
        return b"\n".join(str(request["raw"]).encode() for request in self.requests())

    def reset(self) -> None:
        """Forget the requests and the rules' counts."""
        request = urllib.request.Request(f"{self.url}/__scripted__/reset", method="POST")
        urllib.request.urlopen(request, timeout=10).close()


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
        yield Scripted(address[0], process)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()
