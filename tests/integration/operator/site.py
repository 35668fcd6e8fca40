"""Where the operator is tested: a namespace of a real API server; the test plays the kubelet."""

import json
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from tests.integration.kube.cluster import collection, path_of
from tests.integration.operator.proxy import Proxy, running_proxy
from tests.integration.operator.running import Operator, operator, write_kubeconfig
from tests.support.kube import KubeClient, KubeServer, Reply, wait_until

ACME = Path(__file__).resolve().parents[3] / "examples" / "01-acme"
ISSUER = "https://idp.acme.example"
Object = dict[str, Any]
FORGER = "stranger:forger"
"""Who asks whether admission is there; each time the operator logs a refusal."""
_NOBODY = {"displayName": "Nobody"}
_CHILD_PATHS = {
    "ServiceAccount": "/api/v1/namespaces/{}/serviceaccounts/{}",
    "ConfigMap": "/api/v1/namespaces/{}/configmaps/{}",
    "Service": "/api/v1/namespaces/{}/services/{}",
    "Pod": "/api/v1/namespaces/{}/pods/{}",
    "StatefulSet": "/apis/apps/v1/namespaces/{}/statefulsets/{}",
    "NetworkPolicy": "/apis/networking.k8s.io/v1/namespaces/{}/networkpolicies/{}",
    "PodDisruptionBudget": "/apis/policy/v1/namespaces/{}/poddisruptionbudgets/{}",
}


@dataclass
class Site:
    """One tenant namespace, a proxy for the operator's requests, and replicas of the operator."""

    server: KubeServer
    client: KubeClient
    proxy: Proxy
    namespace: str
    folder: Path
    stack: ExitStack
    replicas: list[Operator] = field(default_factory=list)

    def operator(self, identity: str = "one", start: bool = True, **env: str) -> Operator:
        """Make a replica that serves this namespace, and have it ready."""
        kubeconfig = write_kubeconfig(
            self.folder / f"kubeconfig-{identity}", self.proxy.url, self.server.users["admin"]
        )
        settings = {"CADRE_NAMESPACE": self.namespace, "CADRE_WATCH_NAMESPACES": self.namespace, **env}
        replica = self.stack.enter_context(operator(self.folder, kubeconfig, identity, **settings))
        self.replicas.append(replica)
        if start:
            replica.start()
            try:
                replica.wait_ready()
            except TimeoutError:
                print(replica.get("/ready"), replica.log.read_text()[-3000:])
                raise
            if settings.get("CADRE_WEBHOOK_MANAGE") != "No":
                wait_until("admission to be asked", self._is_admission_asked)
        return replica

    def acme(self) -> list[Object]:
        """Return the example company, moved into this namespace."""
        found = []
        for file in sorted(ACME.glob("*.yaml")):
            found += [obj for obj in yaml.safe_load_all(file.read_text()) if obj and "metadata" in obj]
        return [{**o, "metadata": {**o["metadata"], "namespace": self.namespace}} for o in found]

    def create_acme(self) -> None:
        """Create the whole company, in the order of its files."""
        for obj in self.acme():
            reply = self.client.post(collection(obj), obj)
            assert reply.status == 201, f"{obj['kind']} {obj['metadata']['name']}: {reply.message}"

    def wait_acme(self) -> None:
        """Wait until all of the company is in force and nothing is written any more."""
        agents = [o["metadata"]["name"] for o in self.acme() if o["kind"] == "Agent"]
        for name in agents:
            self.wait_condition("Agent", name, "Accepted", "True")
        self.settle()

    def settle(self) -> None:
        """Wait until the operator has nothing to do and writes nothing, the longer the slower all is here."""
        last, since = len(self.proxy.changes()), time.monotonic()
        deadline, quiet = since + 120, 1.0
        while time.monotonic() - since < quiet:
            time.sleep(0.1)
            asked = time.monotonic()
            busy = any(one.is_busy() for one in self.replicas)
            quiet = max(quiet, 10 * (time.monotonic() - asked))
            if busy or len(self.proxy.changes()) != last:
                last, since = len(self.proxy.changes()), time.monotonic()
            assert time.monotonic() < deadline, f"still writing: {self.proxy.changes()[-5:]}"

    def get(self, kind: str, name: str) -> Object:
        """Return an object of ours."""
        reply = self.client.get(self.path(kind, name))
        assert reply.status == 200, reply.message
        return reply.body

    def path(self, kind: str, name: str) -> str:
        """Return the path of an object."""
        if kind in _CHILD_PATHS:
            return _CHILD_PATHS[kind].format(self.namespace, name)
        return path_of({"kind": kind, "metadata": {"name": name, "namespace": self.namespace}})

    def patch(self, kind: str, name: str, body: Object, client: KubeClient | None = None) -> Reply:
        """Merge-patch an object."""
        return (client or self.client).patch(self.path(kind, name), body)

    def condition(self, kind: str, name: str, type_: str) -> Object:
        """Return a condition; empty when it is not there."""
        found = self.get(kind, name).get("status", {}).get("conditions", [])
        return next((c for c in found if c["type"] == type_), {})

    def wait_condition(
        self, kind: str, name: str, type_: str, status: str, reason: str = "", seconds: float = 120
    ) -> Object:
        """Wait for a condition and return it."""

        def holds() -> bool:
            found = self.condition(kind, name, type_)
            return found.get("status") == status and reason in ("", found.get("reason"))

        try:
            wait_until(f"{kind} {name} to be {type_}={status} {reason}", holds, seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; is {self.get(kind, name).get('status')}") from None
        return self.condition(kind, name, type_)

    def child(self, kind: str, agent: str) -> Object | None:
        """Return a part of an agent."""
        reply = self.client.get(self.path(kind, f"agent-{agent}"))
        return reply.body if reply.status == 200 else None

    def wait_child(self, kind: str, agent: str, test: Callable[[Object], bool] = lambda _: True) -> Object:
        """Wait for a part of an agent to be as wanted."""

        def there() -> bool:
            found = self.child(kind, agent)
            return found is not None and test(found)

        wait_until(f"{kind} of {agent}", there)
        found = self.child(kind, agent)
        assert found is not None
        return found

    def user(self, name: str) -> KubeClient:
        """Return a client of a person of the chart, or of another user, with all rights on our kinds."""
        client = self.server.client()
        user = f"{ISSUER}#acme|{name}" if ":" not in name else name
        headers = {"Impersonate-User": user, "Impersonate-Group": "staff"}
        client._headers = {**client._headers, **headers}
        return client

    def events(self, name: str) -> list[Object]:
        """Return the events about an object."""
        reply = self.client.get(f"/api/v1/namespaces/{self.namespace}/events")
        return [e for e in reply.body["items"] if e["involvedObject"]["name"] == name]

    def kubelet(self, agent: str, ready: bool = True, revision: str = "r1", **guard: Any) -> None:
        """Play workload controller and kubelet: make the pods that the workload wants, with this state."""
        workload = self.wait_child("StatefulSet", agent)
        wanted = workload["spec"]["replicas"]
        for ordinal in range(wanted):
            self.pod(workload, ordinal, ready, revision, **guard)
        status = {
            "observedGeneration": workload["metadata"]["generation"],
            "replicas": wanted,
            "updateRevision": revision,
            "currentRevision": revision,
        }
        reply = self.client.patch(self.path("StatefulSet", f"agent-{agent}") + "/status", {"status": status})
        assert reply.status == 200, reply.message

    def pod(self, workload: Object, ordinal: int, ready: bool, revision: str, **guard: Any) -> None:
        """Make one pod, or bring it into this state."""
        name = f"{workload['metadata']['name']}-{ordinal}"
        metadata = {
            "name": name,
            "namespace": self.namespace,
            "labels": {**workload["metadata"]["labels"], "controller-revision-hash": revision},
        }
        template = workload["spec"]["template"]["spec"]
        containers = [{"name": c["name"], "image": c["image"]} for c in template["containers"]]
        # what no node has is deleted at once, and nobody would see it on its way out
        spec = {"containers": containers, "nodeName": "node"}
        body = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}
        self.client.post(f"/api/v1/namespaces/{self.namespace}/pods", body)
        state = {
            "name": "guard",
            "image": "x",
            "imageID": "x",
            "restartCount": 0,
            "ready": ready,
            "started": ready,
        }
        status = {
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": str(ready)}],
            "initContainerStatuses": [{**state, **guard}],
            "containerStatuses": [{**state, "name": "agent"}],
        }
        reply = self.client.patch(self.path("Pod", name) + "/status", {"status": status})
        assert reply.status == 200, reply.message

    def remove_pod(self, name: str) -> None:
        """End a pod at once, as a kubelet does after its grace period."""
        self.client.request("DELETE", self.path("Pod", name), {"gracePeriodSeconds": 0})

    def without_webhooks(self) -> None:
        """Take admission away, as an administrator in need does; the API server lets go a little later."""
        for kind in ("mutating", "validating"):
            path = f"/apis/admissionregistration.k8s.io/v1/{kind}webhookconfigurations/cadre-operator"
            self.client.delete(path)
        wait_until("admission to be gone", lambda: not self._is_admission_asked())

    def _is_admission_asked(self) -> bool:
        """Whether somebody objects, dead or alive, to what no admission lets pass: a forged consent."""
        forged = {"cadre.dev/consent": "forged"}
        metadata = {"name": "forged", "namespace": self.namespace, "annotations": forged}
        obj = {"apiVersion": "cadre.dev/v1alpha1", "kind": "Person", "metadata": metadata, "spec": _NOBODY}
        stranger = self.user(FORGER)
        reply = stranger.post(f"{collection(obj)}?dryRun=All", obj)
        stranger.close()
        return reply.status != 201 or reply.body["metadata"].get("annotations") != forged


def bodies(site: Site) -> list[Object]:
    """Return the JSON bodies of everything that was written."""
    return [json.loads(one.body) for one in site.proxy.changes() if one.body]


@contextmanager
def open_site(server: KubeServer, folder: Path) -> Iterator[Site]:
    """Make a namespace and a proxy; whatever the test registered at the server is taken away again."""
    client = server.client()
    namespace = f"t-{secrets.token_hex(4)}"
    client.post("/api/v1/namespaces", {"metadata": {"name": namespace}})
    with ExitStack() as stack:
        proxy = stack.enter_context(running_proxy(server.url, str(server.certificate)))
        site = Site(server, client, proxy, namespace, folder, stack)
        stack.callback(site.without_webhooks)
        yield site
    client.close()
