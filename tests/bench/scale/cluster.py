"""The API server of the bench, with a log of what was written, and the operator as its users run it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from cadre_operator.kube.fields import Json, text
from cadre_operator.kube.port import KubeConflictError, KubeError
from tests.bench.processes import BenchError
from tests.bench.scale.bare import DynamicKube
from tests.integration.kube.cluster import install_crds
from tests.integration.operator.running import Operator, operator
from tests.support.kube import KubeServer, running_kube, wait_until

IN_FLIGHT = 50
_ATTEMPTS = 30
_POLICY = """\
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
  - level: None
    verbs: [get, list, watch]
  - level: None
    resources:
      - {group: coordination.k8s.io, resources: [leases]}
      - {group: authorization.k8s.io, resources: [subjectaccessreviews]}
  - level: Metadata
"""


@dataclass(frozen=True)
class Cluster:
    """A real API server without nodes, and our way in."""

    server: KubeServer
    kube: DynamicKube
    folder: Path

    def writes(self, namespace: str = "") -> list[str]:
        """Return our requests that may have changed something, there or anywhere, as the server saw them."""
        events = self._written()
        return [
            f"{text(event, 'verb')} {text(event, 'requestURI')}"
            for event in events
            if namespace in ("", text(event, "objectRef", "namespace"))
        ]

    def _written(self) -> Iterator[Json]:
        with (self.folder / "audit.log").open(encoding="utf-8") as log:
            for line in log:
                event = json.loads(line)
                if text(event, "user", "username") == "admin":
                    yield event

    def make_namespace(self, name: str) -> None:
        """Create it."""
        client = self.server.client()
        client.post("/api/v1/namespaces", {"metadata": {"name": name}})
        client.close()

    def without_webhooks(self) -> None:
        """Take admission away, which would be asked about the bare loop's objects too."""
        client = self.server.client()
        for kind in ("mutating", "validating"):
            client.delete(f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations/cadre-operator")
        client.close()


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[Cluster]:
    """Start everything that is needed before the operator."""
    policy = folder / "audit.yaml"
    policy.write_text(_POLICY)
    flags = (f"--audit-policy-file={policy}", f"--audit-log-path={folder / 'audit.log'}")
    with running_kube(folder, flags) as server:
        client = server.client()
        install_crds(client)
        client.close()
        kube = await DynamicKube.of(server.write_kubeconfig(folder / "kubeconfig"))
        try:
            yield Cluster(server, kube, folder)
        finally:
            await kube.close()


async def send(objects: Iterable[Json], how: Callable[[Json], Awaitable[object]]) -> float:
    """Send objects, so many in flight, and return the seconds."""
    waiting = iter(objects)

    async def sender() -> None:
        for obj in waiting:
            await _stubbornly(how, obj)

    begin = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(IN_FLIGHT):
            group.create_task(sender())
    return time.perf_counter() - begin


async def _stubbornly(how: Callable[[Json], Awaitable[object]], obj: Json) -> None:
    """Try again as any client does when the server has no time for it. Raises KubeError."""
    for _ in range(_ATTEMPTS):
        try:
            await how(obj)
        except KubeConflictError:
            return  # what seemed to fail had come through
        except KubeError as error:
            if error.status not in (0, 429, 500, 503, 504):
                raise
            await asyncio.sleep(1)
        else:
            return
    raise BenchError(f"{obj['kind']} refused for ever")


@contextmanager
def running_operator(cluster: Cluster, namespace: str) -> Iterator[Operator]:
    """Run the operator for one namespace, with admission; ready at the start, ended at the end."""
    kubeconfig = cluster.folder / "kubeconfig"
    env = {"CADRE_NAMESPACE": namespace, "CADRE_WATCH_NAMESPACES": namespace, "CADRE_LEASE_SECONDS": "15"}
    with operator(cluster.folder, kubeconfig, "bench", **env) as replica:
        begin(replica)
        yield replica


def begin(replica: Operator) -> None:
    """Start it and wait until it writes."""
    replica.start()
    wait_until("the operator to be ready", lambda: replica.get("/ready")[0] == 200, 300)
    wait_until("it to lead", lambda: replica.metric("cadre_leader") == 1.0)


def process_of(replica: Operator) -> psutil.Process:
    """The operator's process."""
    assert replica.process is not None
    return psutil.Process(replica.process.pid)


def memory(replica: Operator) -> float:
    """Resident memory in MiB."""
    return float(process_of(replica).memory_info().rss) / 2**20


async def settled(replica: Operator, seconds: float = 300) -> None:
    """Wait until the operator has nothing left to do. Raises TimeoutError."""
    quiet = 0
    async with asyncio.timeout(seconds):
        while quiet < 3:
            await asyncio.sleep(0.5)
            before = replica.metric("cadre_reconcile_total")
            await asyncio.sleep(0.5)
            idle = replica.metric("cadre_queue_running") == 0
            quiet = quiet + 1 if idle and replica.metric("cadre_reconcile_total") == before else 0
