"""A real Kubernetes API (etcd and kube-apiserver, no nodes) for tests, started in seconds on free ports."""

import json
import secrets
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import urllib3
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.support.certs import Authority
from tests.support.gobuild import APISERVER, ETCD, ProgramUnavailableError, build
from tests.support.ports import free_ports

ADMIN_GROUP = "system:masters"


@dataclass(frozen=True)
class Reply:
    """An answer of the API server."""

    status: int
    body: dict[str, Any]
    warnings: tuple[str, ...] = ()
    """Texts of its `Warning` headers."""

    @property
    def message(self) -> str:
        """Why a request was refused."""
        return str(self.body.get("message", ""))


class KubeClient:
    """Plain requests as one user; nothing between a test and what the server says."""

    def __init__(self, url: str, certificate: Path, token: str) -> None:
        self._url = url
        self._pool = urllib3.PoolManager(ca_certs=str(certificate), retries=False, timeout=30)
        self._headers = {"Authorization": f"Bearer {token}"}

    def request(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/json",
        accept: str = "application/json",
    ) -> Reply:
        """Send one request and read the JSON answer."""
        data = None if body is None else json.dumps(body)
        headers = {**self._headers, "Content-Type": content_type, "Accept": accept}
        response = self._pool.request(method, self._url + path, body=data, headers=headers)
        warnings = (
            value.partition('"')[2].rpartition('"')[0] for value in response.headers.getlist("Warning")
        )
        return Reply(response.status, _json(response.data), tuple(warnings))

    def get(self, path: str) -> Reply:
        """Read."""
        return self.request("GET", path)

    def as_table(self, path: str) -> Reply:
        """Read a list as `kubectl get` does."""
        return self.request("GET", path, accept="application/json;as=Table;v=v1;g=meta.k8s.io")

    def post(self, path: str, body: object) -> Reply:
        """Create."""
        return self.request("POST", path, body)

    def put(self, path: str, body: object) -> Reply:
        """Replace."""
        return self.request("PUT", path, body)

    def patch(self, path: str, body: object) -> Reply:
        """Merge-patch."""
        return self.request("PATCH", path, body, "application/merge-patch+json")

    def apply(self, path: str, body: object, manager: str = "tests") -> Reply:
        """Server-side apply."""
        return self.request(
            "PATCH", f"{path}?fieldManager={manager}&force=true", body, "application/apply-patch+yaml"
        )

    def delete(self, path: str) -> Reply:
        """Delete."""
        return self.request("DELETE", path)

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def _json(data: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(data)
    except ValueError:
        return {"message": data.decode(errors="replace")}
    return parsed if isinstance(parsed, dict) else {"value": parsed}


@dataclass
class KubeServer:
    """A running API server; `client()` is its admin."""

    url: str
    certificate: Path
    users: dict[str, str] = field(repr=False)
    authority: Authority = field(repr=False)
    """Signs users."""

    def client(self, user: str = "admin") -> KubeClient:
        """Return a client of a user; the users besides admin start without any right."""
        return KubeClient(self.url, self.certificate, self.users[user])

    def write_kubeconfig(self, path: Path, user: str = "admin") -> Path:
        """Write a kubeconfig for programs that want a file."""
        return self.write_kubeconfig_of(path, user, {"token": self.users[user]})

    def write_kubeconfig_of(
        self, path: Path, user: str, credentials: dict[str, object], namespace: str = "default"
    ) -> Path:
        """Write a kubeconfig with any credentials that one may hold."""
        cluster = {"server": self.url, "certificate-authority": str(self.certificate)}
        context = {"cluster": "test", "user": user, "namespace": namespace}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "test", "cluster": cluster}],
            "users": [{"name": user, "user": credentials}],
            "contexts": [{"name": "test", "context": context}],
            "current-context": "test",
        }
        path.write_text(yaml.safe_dump(config))
        return path


def wait_until(what: str, test: Callable[[], bool], seconds: float = 120) -> None:
    """Poll until `test` holds; fail with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while not test():
        if time.monotonic() > deadline:
            raise TimeoutError(f"still waiting after {seconds} s for: {what}")
        time.sleep(0.05)


@contextmanager
def running_kube(folder: Path, flags: Sequence[str] = ()) -> Iterator[KubeServer]:
    """Run etcd and kube-apiserver with all state in `folder`. Raises ProgramUnavailableError."""
    etcd, apiserver = build(ETCD), build(APISERVER)
    etcd_port, peer_port, port = free_ports(3)
    users = {name: secrets.token_hex(16) for name in ("admin", "lead", "gitops")}
    certificate, authority = folder / "certs" / "apiserver.crt", Authority.create(folder / "users")
    server = KubeServer(f"https://127.0.0.1:{port}", certificate, users, authority)
    with ExitStack() as stack:
        stack.enter_context(_process(_etcd_command(etcd, folder, etcd_port, peer_port), folder / "etcd.log"))
        command = [*_apiserver_command(apiserver, folder, port, etcd_port, users), *flags]
        process = stack.enter_context(_process(command, folder / "apiserver.log"))
        _wait_ready(server, process, folder / "apiserver.log")
        yield server


def _etcd_command(program: Path, folder: Path, port: int, peer_port: int) -> list[str]:
    client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peer_port}"
    return [
        str(program),
        f"--data-dir={folder / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
    ]


def _apiserver_command(
    program: Path, folder: Path, port: int, etcd_port: int, users: dict[str, str]
) -> list[str]:
    private, public = _service_account_keys(folder)
    tokens = folder / "tokens.csv"
    lines = [f"{token},{user},{user}" for user, token in users.items()]
    lines[0] += f",{ADMIN_GROUP}"
    tokens.write_text("\n".join(lines) + "\n")
    return [
        str(program),
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certs'}",
        f"--token-auth-file={tokens}",
        f"--client-ca-file={folder / 'users' / 'ca.crt'}",
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={public}",
        f"--service-account-signing-key-file={private}",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--disable-admission-plugins=ServiceAccount",
    ]


def _service_account_keys(folder: Path) -> tuple[Path, Path]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private, public = folder / "sa.key", folder / "sa.pub"
    private.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.NoEncryption(),
        )
    )
    public.write_bytes(
        key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
    )
    return private, public


@contextmanager
def _process(command: list[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a program with its output in `log`; end it, by force if it lingers."""
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.terminate()
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_ready(server: KubeServer, process: subprocess.Popen[bytes], log: Path) -> None:
    def ready() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"kube-apiserver ended at once: {log.read_text()[-2000:]}")
        if not server.certificate.exists():
            return False
        client = server.client()
        try:
            return client.get("/readyz").status == 200
        except (urllib3.exceptions.HTTPError, OSError):
            return False
        finally:
            client.close()

    wait_until("kube-apiserver to be ready", ready, seconds=240)


@pytest.fixture(scope="package")
def kube_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeServer]:
    """A real, empty API server for a folder of tests; skips, with the reason, where it cannot be built."""
    with ExitStack() as stack:
        try:
            server = stack.enter_context(running_kube(tmp_path_factory.mktemp("kube")))
        except ProgramUnavailableError as error:
            pytest.skip(f"no kube-apiserver: {error}")
        yield server
