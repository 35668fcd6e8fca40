"""The operator as its users run it: a process with an environment, killed and started at will."""

import json
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.support.kube import wait_until
from tests.support.ports import free_ports

IMAGE = "registry.invalid/cadre@sha256:" + "0" * 64


@dataclass
class Operator:
    """One replica."""

    env: dict[str, str]
    log: Path
    probe: str
    webhook: str
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self) -> None:
        """Start it; it need not be ready yet."""
        with self.log.open("ab") as output:
            command = [sys.executable, "-m", "cadre_operator"]
            self.process = subprocess.Popen(command, env=self.env, stdout=output, stderr=subprocess.STDOUT)

    def stop(self, number: int = signal.SIGTERM, seconds: float = 60) -> int:
        """End it by a signal and return its exit status."""
        assert self.process is not None
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(seconds)
        self.process = None
        return code

    def wait_ready(self) -> None:
        """Wait until the readiness probe is content."""
        wait_until("the operator to be ready", self._is_ready)

    def _is_ready(self) -> bool:
        assert self.process is not None
        if self.process.poll() is not None:
            raise RuntimeError(f"the operator ended: {self.log.read_text()[-3000:]}")
        return self.get("/ready")[0] == 200

    def get(self, path: str) -> tuple[int, str]:
        """Ask a probe; status 0 = no answer."""
        try:
            with urllib.request.urlopen(self.probe + path, timeout=30) as reply:
                return reply.status, reply.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metric(self, name: str) -> float:
        """Return the sum of a metric over all labels."""
        lines = self.get("/metrics")[1].splitlines()
        values = [line.rsplit(" ", 1) for line in lines if line.startswith((f"{name}{{", f"{name} "))]
        return sum(float(value) for _, value in values)

    def is_busy(self) -> bool:
        """Whether it works on something; one that looks at everything all the time is not asked."""
        if self.process is None or "CADRE_RESYNC_SECONDS" in self.env:
            return False
        return self.metric("cadre_queue_oldest_seconds") + self.metric("cadre_queue_running") > 0

    def logs(self) -> list[dict[str, Any]]:
        """Return what it logged."""
        found = []
        for line in self.log.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                found.append({"message": line})
        return found


def write_kubeconfig(path: Path, url: str, token: str) -> Path:
    """Write a kubeconfig that goes through a proxy."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": url}}],
        "users": [{"name": "operator", "user": {"token": token}}],
        "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator"}}],
        "current-context": "test",
    }
    path.write_text(yaml.safe_dump(config))
    return path


@contextmanager
def operator(folder: Path, kubeconfig: Path, identity: str = "one", **env: str) -> Iterator[Operator]:
    """Prepare a replica; it is ended at the end in any case."""
    probe, webhook = free_ports(2)
    settings = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "KUBECONFIG": str(kubeconfig),
        "CADRE_IDENTITY": identity,
        "CADRE_NAMESPACE": "cadre-system",
        "CADRE_GUARD_IMAGE": IMAGE,
        "CADRE_GOOSE_IMAGE": IMAGE,
        "CADRE_GUARD_HOST": "cadre-guard.cadre-system.svc",
        "CADRE_GUARD_IP": "10.96.0.20",
        "CADRE_PROBE_LISTEN": f"127.0.0.1:{probe}",
        "CADRE_WEBHOOK_LISTEN": f"127.0.0.1:{webhook}",
        "CADRE_WEBHOOK_URL": f"https://127.0.0.1:{webhook}",
        "CADRE_LEASE_SECONDS": "3",
        **env,
    }
    replica = Operator(
        settings,
        folder / f"operator-{identity}.log",
        f"http://127.0.0.1:{probe}",
        f"https://127.0.0.1:{webhook}",
    )
    try:
        yield replica
    finally:
        if replica.process is not None:
            try:
                replica.stop()
            except subprocess.TimeoutExpired:
                replica.stop(signal.SIGKILL)
