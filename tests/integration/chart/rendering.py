"""The chart as helm renders it, once per set of values and session."""

import json
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[3]
CHART = REPOSITORY / "charts" / "cadre"
NAMESPACE = "cadre-system"
VERSION = "1.34.4"

Object = dict[str, Any]

MODES: dict[str, Object] = {
    "default": {},
    "namespaces": {"scope": "Namespaces", "namespaces": ["acme"], "agentNamespaces": ["acme-eu"]},
    "cert-manager": {"tls": {"mode": "CertManager"}, "analyzer": {"enabled": True}},
    "external-database": {
        "postgres": {"bundled": False, "external": {"secretName": "db", "caConfigMap": "db-ca"}},
        "keystore": {"existingSecret": "keys"},
    },
    "everything": {
        "createNamespace": True,
        "analyzer": {"enabled": True, "tolerations": [{"operator": "Exists"}]},
        "agentNamespaces": ["acme"],
        "images": {"registry": "registry.example.com/x", "tag": "1.2.3", "pullSecrets": ["pull"]},
        "identities": {
            "gitopsUsers": ["system:serviceaccount:argocd:*"],
            "issuerPrefixes": {"oidc:": "https://idp.acme.example"},
            "scalerUsers": ["keda"],
        },
        "controller": {
            "localHosts": ["10.0.0.0/8"],
            "acceptedGuardImages": ["cadre/guard:0"],
            "credentials": ["models", "erp.acme"],
        },
        "networkPolicies": {
            "publicFrom": [{"namespaceSelector": {}}],
            "metricsFrom": [{"namespaceSelector": {}}],
        },
        "rbac": {
            "connect": [
                {"kind": "Group", "name": "staff"},
                {"kind": "ServiceAccount", "name": "ci", "namespace": "ci"},
            ]
        },
        "monitoring": {
            "serviceMonitor": {"enabled": True},
            "prometheusRule": {"enabled": True},
            "dashboard": {"enabled": True},
        },
    },
    "smallest": {
        "operator": {"replicas": 1},
        "controller": {"replicas": 1},
        "backup": {"enabled": False},
        "networkPolicies": {"enabled": False},
        "protection": {"enabled": False},
        "flowControl": {"enabled": False},
        "rbac": {"aggregate": False},
        "crds": {"install": False},
    },
}
"""Values by name: together they take every branch of the templates."""


@dataclass
class Helm:
    """The real helm."""

    program: Path
    folder: Path
    _rendered: dict[str, list[Object]] = field(default_factory=dict)

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run helm without a cluster and without the user's own settings."""
        environment = {"HOME": str(self.folder), "PATH": "/usr/bin:/bin"}
        return subprocess.run(
            [str(self.program), *arguments], env=environment, capture_output=True, text=True, check=False
        )

    def template(self, values: Object) -> subprocess.CompletedProcess[str]:
        """Render with these values."""
        file = self.folder / "values.json"
        file.write_text(json.dumps(values))
        return self.run(
            "template", "cadre", str(CHART), f"-n={NAMESPACE}", f"--kube-version={VERSION}", f"-f={file}"
        )

    def render(self, mode: str) -> list[Object]:
        """Return the objects of a mode."""
        if mode not in self._rendered:
            done = self.template(MODES[mode])
            assert done.returncode == 0, done.stderr
            self._rendered[mode] = [obj for obj in yaml.safe_load_all(done.stdout) if obj]
        return self._rendered[mode]

    def find(self, mode: str, kind: str, name: str) -> Object:
        """Return one object of a mode."""
        found = [o for o in self.render(mode) if o["kind"] == kind and o["metadata"]["name"] == name]
        assert len(found) == 1, f"{kind} {name}: {len(found)} of them"
        return found[0]


def containers(obj: Object) -> list[Object]:
    """Return the containers of anything that makes pods."""
    return list(pod_spec(obj)["containers"])


def pod_spec(obj: Object) -> Object:
    """Return the specification of the pods of a workload."""
    spec = obj["spec"]
    while "containers" not in spec:
        spec = spec.get("jobTemplate", {}).get("spec") or spec["template"]["spec"]
    return spec


WORKLOADS = ("Deployment", "DaemonSet", "StatefulSet", "Job", "CronJob", "Pod")
