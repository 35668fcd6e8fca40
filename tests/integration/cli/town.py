"""A cluster with Cadre in it, as people with a kubeconfig find it: API server, operator, controller."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import urllib3

from tests.integration.cli.kubelet import Kubelet, running_kubelet, tls_front
from tests.integration.cli.terminal import in_terminal
from tests.integration.controller.test_process import environment, wait_ready
from tests.integration.operator.site import ISSUER, Site
from tests.support.certs import Authority
from tests.support.kube import wait_until

NODE = "node-1"
LABEL = "app.kubernetes.io/name"


@dataclass
class Town:
    """One tenant; Cadre's own programs run in the tenant's namespace, to be apart from other tests."""

    site: Site
    kubelet: Kubelet
    controller: int
    """The controller's public port, without TLS."""
    kubeconfigs: dict[str, Path] = field(default_factory=dict)

    def cadre(self, *arguments: str, as_: str = "m-ruiz", **env: str) -> subprocess.CompletedProcess[str]:
        """Run `kubectl cadre` as a person."""
        return in_terminal(arguments, self.environ(as_, **env))

    def done(self, *arguments: str, as_: str = "m-ruiz", **env: str) -> str:
        """Run it; it must succeed. Its standard output."""
        result = self.cadre(*arguments, as_=as_, **env)
        assert result.returncode == 0, f"{arguments}: {result.returncode}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def json(self, *arguments: str, as_: str = "m-ruiz") -> Any:
        """Run it; it must succeed and answer in JSON."""
        return json.loads(self.done(*arguments, "-o", "json", as_=as_))

    def environ(self, person: str, **env: str) -> dict[str, str]:
        """What a person's terminal has."""
        return environ_of(self.site, self.kubeconfig(person), **env)

    def kubeconfig(self, person: str) -> Path:
        """A kubeconfig with a certificate; `root` is the cluster's administrator."""
        if person not in self.kubeconfigs:
            user, groups = (person, ["system:masters"]) if person == "root" else (name_of(person), ["staff"])
            certificate, key = self.site.server.authority.user(user, groups)
            credentials: dict[str, object] = {"client-certificate": str(certificate), "client-key": str(key)}
            file = self.site.folder / f"kubeconfig.{person}"
            self.site.server.write_kubeconfig_of(file, person, credentials, self.site.namespace)
            self.kubeconfigs[person] = file
        return self.kubeconfigs[person]


def environ_of(site: Site, kubeconfig: Path, **env: str) -> dict[str, str]:
    """The environment of a terminal that means a cluster."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("CADRE_")}
    return {
        **inherited,
        "CADRE_TARGET": "cluster",
        "CADRE_SYSTEM_NAMESPACE": site.namespace,
        "KUBECONFIG": str(kubeconfig),
        "XDG_CACHE_HOME": str(site.folder / "cache"),
        "COLUMNS": "132",
        **env,
    }


def name_of(person: str) -> str:
    """The API server's name for a person of the example company."""
    return f"{ISSUER}#acme|{person}"


@contextmanager
def open_town(site: Site, database: str) -> Iterator[Town]:
    """Everything up and the example company in force."""
    with ExitStack() as stack:
        _let_staff_in(site)
        authority = Authority.create(site.folder / "ca")
        site.create_acme()
        url, key_file = stack.enter_context(_controller(site, database))
        token = site.folder / "operator-token"
        token.write_text(_admin_token(site, url))
        site.operator(CADRE_CONTROLLER_URL=url, CADRE_CONTROLLER_TOKEN_FILE=str(token))
        site.wait_acme()
        key_file.write_bytes(_held(site, "cadre-login-key")["key"])
        plain = int(url.rpartition(":")[2])
        front = stack.enter_context(tls_front(_certificate(site), plain))
        kubelet = stack.enter_context(running_kubelet(authority.server("127.0.0.1"), front))
        _announce(site, kubelet)
        yield Town(site, kubelet, plain)


@contextmanager
def _controller(site: Site, database: str) -> Iterator[tuple[str, Path]]:
    key_file = site.folder / "login.key"
    env = environment(site.folder, database, CADRE_LOGIN_KEY_FILE=str(key_file))
    log = site.folder / "controller.log"
    with log.open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", "cadre_controller"], env=env, stderr=output)
        try:
            url = f"http://{env['CADRE_PUBLIC_LISTEN']}"
            wait_ready(url)
            yield url, key_file
        finally:
            process.terminate()
            process.wait(60)


def _admin_token(site: Site, url: str) -> str:
    secret = (site.folder / "run" / "desktop.token").read_text()
    body = json.dumps({"grant": "desktop", "secret": secret})
    reply = urllib3.request(
        "POST", f"{url}/api/v1/auth/token", body=body, headers={"Content-Type": "application/json"}
    )
    return str(reply.json()["accessToken"])


def _held(site: Site, secret: str) -> dict[str, bytes]:
    """What the operator keeps; mounting the Secret does this in a cluster."""
    path = f"/api/v1/namespaces/{site.namespace}/secrets/{secret}"
    wait_until(f"the operator to make {secret}", lambda: bool(site.client.get(path).body.get("data")), 60)
    return {k: base64.b64decode(v) for k, v in site.client.get(path).body["data"].items()}


def _certificate(site: Site) -> tuple[Path, Path]:
    held = _held(site, "cadre-controller-tls")
    files = site.folder / "controller.crt", site.folder / "controller.tls.key"
    for file, name in zip(files, ("tls.crt", "tls.key"), strict=True):
        file.write_bytes(held[name])
    return files


def _let_staff_in(site: Site) -> None:
    """The role that the chart has for people who use the command line."""
    rules = [
        {"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list"]},
        {"apiGroups": [""], "resources": ["pods/portforward"], "verbs": ["get", "create"]},
        {"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["cadre-ca"], "verbs": ["get"]},
    ]
    place = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{site.namespace}"
    site.client.post(f"{place}/roles", {"metadata": {"name": "cadre-cli"}, "rules": rules})
    subject = {"kind": "Group", "name": "staff", "apiGroup": "rbac.authorization.k8s.io"}
    role = {"kind": "Role", "name": "cadre-cli", "apiGroup": "rbac.authorization.k8s.io"}
    binding = {"metadata": {"name": "cadre-cli"}, "subjects": [subject], "roleRef": role}
    assert site.client.post(f"{place}/rolebindings", binding).status == 201


def _announce(site: Site, kubelet: Kubelet) -> None:
    """A node with the kubelet, and the pods of Cadre on it."""
    client, namespace = site.client, site.namespace
    client.post("/api/v1/nodes", {"metadata": {"name": NODE}})
    endpoint = {"kubeletEndpoint": {"Port": kubelet.port}}
    addresses = [{"type": "InternalIP", "address": "127.0.0.1"}]
    status = {"addresses": addresses, "daemonEndpoints": endpoint}
    assert client.patch(f"/api/v1/nodes/{NODE}/status", {"status": status}).status == 200
    for name in ("operator", "controller"):
        metadata = {"name": f"cadre-{name}-0", "labels": {LABEL: f"cadre-{name}"}}
        spec = {"nodeName": NODE, "containers": [{"name": name, "image": "registry.invalid/cadre"}]}
        reply = client.post(f"/api/v1/namespaces/{namespace}/pods", {"metadata": metadata, "spec": spec})
        assert reply.status == 201, reply.message
        ready = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
        client.patch(f"/api/v1/namespaces/{namespace}/pods/cadre-{name}-0/status", {"status": ready})
