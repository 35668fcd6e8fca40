"""The analyzer of a machine as a process of a bench."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil

from tests.bench.processes import BenchError
from tests.support.certs import Authority
from tests.support.ports import free_ports

_START_SECONDS = 120.0


@dataclass(frozen=True)
class Analyzing:
    """Where it is, and who signed its certificate."""

    url: str
    authority: Path
    process: psutil.Process


@contextmanager
def analyzing(controller: str, folder: Path) -> Iterator[Analyzing]:
    """Run one for the guards of a controller until the block ends. Raises BenchError."""
    authority = Authority.create(folder / "ca")
    certificate, key = authority.server("localhost")
    port, probe = free_ports(2)
    env = {
        "PATH": os.environ["PATH"],
        "CADRE_CONTROLLER": controller,
        "CADRE_TLS_CERT": str(certificate),
        "CADRE_TLS_KEY": str(key),
        "CADRE_ANALYZER_LISTEN": f"127.0.0.1:{port}",
        "CADRE_PROBE_LISTEN": f"127.0.0.1:{probe}",
        "CADRE_LOG_LEVEL": "WARNING",
    }
    process = subprocess.Popen([sys.executable, "-m", "cadre_guard", "analyzer"], env=env)
    try:
        _until_ready(f"http://127.0.0.1:{probe}/ready", process)
        yield Analyzing(f"https://localhost:{port}", authority.file, psutil.Process(process.pid))
    finally:
        process.terminate()
        process.wait()


def _until_ready(url: str, process: "subprocess.Popen[bytes]") -> None:
    ends = time.monotonic() + _START_SECONDS
    while time.monotonic() < ends and process.poll() is None:
        try:
            urlopen(url, timeout=10).close()
        except (URLError, OSError):
            time.sleep(0.1)
        else:
            return
    raise BenchError("the analyzer did not start")
