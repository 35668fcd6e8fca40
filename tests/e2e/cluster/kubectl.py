"""kubectl and helm as tests use them: bounded, with the reason at hand when something does not come true."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.cluster.steps import StepFailedError, run

Json = dict[str, Any]


@dataclass(frozen=True)
class Kubectl:
    """The two clients, for one kubeconfig."""

    program: Path
    helm_program: Path
    kubeconfig: Path

    def __call__(self, *arguments: str, stdin: str | None = None, timeout: float = 300) -> str:
        """Run kubectl. Raises StepFailedError."""
        return run([self.program, "--kubeconfig", self.kubeconfig, *arguments], stdin=stdin, timeout=timeout)

    def helm(self, *arguments: str, timeout: float = 600) -> str:
        """Run helm. Raises StepFailedError."""
        return run([self.helm_program, "--kubeconfig", self.kubeconfig, *arguments], timeout=timeout)

    def apply(self, *objects: Json) -> None:
        """Apply objects."""
        self.apply_as((), *objects)

    def apply_as(self, user: Sequence[str], *objects: Json) -> str:
        """Apply objects as someone: `--as` and `--as-group` options. Raises StepFailedError."""
        listed = {"apiVersion": "v1", "kind": "List", "items": list(objects)}
        return self(*user, "apply", "-f", "-", stdin=json.dumps(listed))

    def get(self, *arguments: str) -> Json:
        """Read an object or a list."""
        found: Json = json.loads(self("get", *arguments, "-o", "json"))
        return found

    def succeeds(self, *arguments: str, timeout: float = 60) -> bool:
        """Whether a command's exit status is 0."""
        try:
            self(*arguments, timeout=timeout)
        except StepFailedError:
            return False
        return True

    @contextmanager
    def namespace(self, name: str, **labels: str) -> Iterator[str]:
        """A namespace that is gone afterwards; its state is printed if the body fails."""
        self.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
        self("-n", name, "wait", "--for=create", "serviceaccount/default", "--timeout=60s")
        try:
            yield name
        except BaseException:
            print(self.state_of(name))
            raise
        finally:
            self("delete", "namespace", name, "--wait=false")

    @contextmanager
    def forwarded(self, target: str, port: int, namespace: str) -> Iterator[str]:
        """`127.0.0.1:PORT` on this machine leads to a port of a pod or Service while the body runs."""
        command = [str(self.program), "--kubeconfig", str(self.kubeconfig), "-n", namespace]
        process = subprocess.Popen(
            [*command, "port-forward", target, f":{port}"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            assert process.stdout is not None
            line = process.stdout.readline()
            found = re.search(r"127\.0\.0\.1:\d+", line)
            if not found:
                raise StepFailedError(f"port-forward {target} {port}: {line}")
            yield found[0]
        finally:
            process.terminate()
            process.communicate(timeout=30)

    def state_of(self, namespace: str) -> str:
        """What someone needs who must find out why: objects, events, the end of every log."""
        asked: Sequence[Sequence[str]] = (
            ("get", "all,networkpolicy,pvc", "-o", "wide"),
            ("get", "events", "--sort-by=.lastTimestamp"),
            ("describe", "pods"),
        )
        parts = [self._tolerant("-n", namespace, *words) for words in asked]
        pods = self._tolerant("-n", namespace, "get", "pods", "-o", "name").split()
        for pod in pods:
            if pod.startswith("pod/"):
                logs = ("logs", pod, "--all-containers", "--prefix", "--tail=60")
                parts.append(self._tolerant("-n", namespace, *logs))
        return f"\n===== namespace {namespace} =====\n" + "\n".join(parts)

    def _tolerant(self, *arguments: str) -> str:
        try:
            return self(*arguments, timeout=60)
        except StepFailedError as error:
            return str(error)


def wait_for(what: str, test: Callable[[], bool], seconds: float = 120) -> None:
    """Ask until it is true. Raises TimeoutError that names `what`."""
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            raise TimeoutError(f"after {seconds:.0f} s still not: {what}")
        time.sleep(0.5)
