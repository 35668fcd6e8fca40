"""People at their terminals: a kubeconfig with a certificate each, and the command line."""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.cluster.kubectl import Kubectl, wait_for

Json = dict[str, Any]

STAFF = "staff"
ISSUER = "https://idp.acme.example"
_SIGNER = "kubernetes.io/kube-apiserver-client"


def user_name(person: str) -> str:
    """The API server's name for a person of the example company, as its OpenID Connect would give it."""
    return f"{ISSUER}#acme|{person}"


@dataclass
class People:
    """The staff of one company in one cluster."""

    kubectl: Kubectl
    namespace: str
    folder: Path
    """For kubeconfigs and remembered sign-ins."""
    user: Callable[[str], str] = user_name
    """The API server's name for a person."""
    kubeconfigs: dict[str, Path] = field(default_factory=dict)

    def let_in(self) -> None:
        """Give the staff what the chart has for people: the lead's role in the company's namespace."""
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cadre-lead"}
        subject = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": STAFF}
        self.kubectl.apply(
            {
                "apiVersion": "rbac.authorization.k8s.io/v1",
                "kind": "RoleBinding",
                "metadata": {"name": "staff", "namespace": self.namespace},
                "roleRef": role,
                "subjects": [subject],
            }
        )

    def cadre(self, person: str, *arguments: str, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Run `kubectl cadre` as a person."""
        return subprocess.run(
            [sys.executable, "-m", "cadre_local.cli.main", *arguments],
            env=self.environ(person),
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def done(self, person: str, *arguments: str, timeout: float = 300) -> str:
        """Run it; it must succeed. Its standard output."""
        ran = self.cadre(person, *arguments, timeout=timeout)
        assert ran.returncode == 0, f"{person}: {arguments}: {ran.returncode}\n{ran.stdout}\n{ran.stderr}"
        return ran.stdout

    def json(self, person: str, *arguments: str) -> Any:
        """Run it; it must succeed and answer in JSON."""
        return json.loads(self.done(person, *arguments, "-o", "json"))

    def environ(self, person: str) -> Mapping[str, str]:
        """What a person's terminal has."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("CADRE_")}
        chosen = {"CADRE_TARGET": "cluster", "KUBECONFIG": str(self.kubeconfig(person)), "COLUMNS": "160"}
        return inherited | chosen | {"XDG_CACHE_HOME": str(self.folder / "cache")}

    def as_(self, person: str) -> Kubectl:
        """kubectl as a person."""
        return Kubectl(self.kubectl.program, self.kubectl.helm_program, self.kubeconfig(person))

    def kubeconfig(self, person: str) -> Path:
        """The person's kubeconfig; the certificate is one that the cluster signs for a day."""
        if person not in self.kubeconfigs:
            file = self.folder / f"kubeconfig.{person}"
            file.write_text(yaml.safe_dump(self._configuration(person)))
            file.chmod(0o600)
            self.kubeconfigs[person] = file
        return self.kubeconfigs[person]

    def _configuration(self, person: str) -> Json:
        base: Json = yaml.safe_load(self.kubectl("config", "view", "--raw", "--minify", "--flatten"))
        key, certificate = self._certificate(person)
        credentials = {"client-key-data": key, "client-certificate-data": certificate}
        context = {"cluster": base["clusters"][0]["name"], "user": person, "namespace": self.namespace}
        return base | {
            "users": [{"name": person, "user": credentials}],
            "contexts": [{"name": person, "context": context}],
            "current-context": person,
        }

    def _certificate(self, person: str) -> tuple[str, str]:
        """(key, certificate), each PEM in base64."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [(NameOID.COMMON_NAME, self.user(person)), (NameOID.ORGANIZATION_NAME, STAFF)]
        subject = x509.Name([x509.NameAttribute(oid, value) for oid, value in names])
        asked = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        name = f"person-{self.namespace}-{person}"
        spec = {
            "request": _text(asked.public_bytes(serialization.Encoding.PEM)),
            "signerName": _SIGNER,
            "usages": ["client auth"],
            "expirationSeconds": 86400,
        }
        self.kubectl("delete", "csr", name, "--ignore-not-found")
        kind = {"apiVersion": "certificates.k8s.io/v1", "kind": "CertificateSigningRequest"}
        self.kubectl.apply({**kind, "metadata": {"name": name}, "spec": spec})
        self.kubectl("certificate", "approve", name)
        wait_for(f"a certificate for {person}", lambda: bool(self._signed(name)))
        plain = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return _text(plain), self._signed(name)

    def _signed(self, name: str) -> str:
        return str(self.kubectl.get("csr", name)["status"].get("certificate", ""))


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode()
