"""The rival of the guard as a gateway: LiteLLM's proxy with its presidio guardrail, in an environment of its
own (`throughput.lock`), on loopback, without a database and without telemetry.
"""

import os
import signal
import socket
import subprocess
import time
import venv
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import psutil
import yaml

from tests.bench.processes import BenchError

VERSION = "1.106.2"
KEY = "sk-bench-0123456789abcdef0123456789abcdef"
_HERE = Path(__file__).parent
_HOME = _HERE.parents[1] / ".cache" / f"litellm-{VERSION}"
_START_SECONDS = 420.0


@dataclass(frozen=True)
class Proxy:
    """A running proxy."""

    url: str
    processes: tuple[psutil.Process, ...]
    """The proxy and the presidio server that it asks."""


def python() -> Path:
    """The interpreter of its environment, made when missing. Raises BenchError."""
    found = _HOME / "bin" / "python"
    if not (_HOME / "complete").exists():
        venv.create(_HOME, with_pip=True)
        command = [str(found), "-m", "pip", "install", "--quiet", "--requirement"]
        done = subprocess.run([*command, str(_HERE / "throughput.lock")], check=False)
        if done.returncode:
            raise BenchError(f"litellm {VERSION} does not install")
        (_HOME / "complete").touch()
    return found


@contextmanager
def proxy(folder: Path, model: str) -> Iterator[Proxy]:
    """Run presidio and the proxy in front of `model` (a base URL without /v1)."""
    program = str(python())
    presidio_port, port = _free_port(), _free_port()
    config = folder / "litellm.yaml"
    config.write_text(yaml.safe_dump(_config(model)))
    presidio = f"http://127.0.0.1:{presidio_port}"
    bases = {"PRESIDIO_ANALYZER_API_BASE": presidio, "PRESIDIO_ANONYMIZER_API_BASE": presidio}
    environ = {**os.environ, **bases, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "OMP_NUM_THREADS": "1"}
    server = [program, "-m", "gunicorn", "--workers", "1", "--bind", f"127.0.0.1:{presidio_port}"]
    server += ["--timeout", "600", "--chdir", str(_HERE), "presidio_server:app"]
    gateway = [program, "-m", "litellm.proxy.proxy_cli", "--config", str(config), "--host", "127.0.0.1"]
    gateway += ["--port", str(port), "--num_workers", "1"]
    url = f"http://127.0.0.1:{port}"
    with ExitStack() as stack:
        first = stack.enter_context(_program(server, environ, folder / "presidio.log", f"{presidio}/health"))
        ready = f"{url}/health/liveliness"
        second = stack.enter_context(_program(gateway, environ, folder / "litellm.log", ready))
        yield Proxy(url, (first, second))


def _config(model: str) -> dict[str, object]:
    guardrail = {"guardrail": "presidio", "mode": "pre_call", "default_on": True, "output_parse_pii": True}
    upstream = {"model": "openai/bench", "api_base": f"{model}/v1", "api_key": "none"}
    return {
        "model_list": [{"model_name": "bench", "litellm_params": upstream}],
        "guardrails": [{"guardrail_name": "presidio", "litellm_params": guardrail}],
        "general_settings": {"master_key": KEY},
    }


@contextmanager
def _program(command: list[str], environ: dict[str, str], log: Path, ready: str) -> Iterator[psutil.Process]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, env=environ, stdout=output, stderr=output, start_new_session=True)
    try:
        ends = time.monotonic() + _START_SECONDS
        while not _answers(ready):
            if process.poll() is not None or time.monotonic() > ends:
                raise BenchError(f"{log.stem} does not start: {log.read_text(errors='replace')[-300:]}")
            time.sleep(0.5)
        yield psutil.Process(process.pid)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _answers(url: str) -> bool:
    try:
        with urlopen(url, timeout=5) as answer:
            return bool(answer.status == 200)
    except (URLError, OSError):
        return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])
