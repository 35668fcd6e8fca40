"""The chart as a release in the test cluster."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.e2e.cluster.kubectl import Kubectl
from tests.e2e.cluster.steps import CACHE, REPOSITORY, timed

Json = dict[str, Any]

NAMESPACE = "cadre-system"
RELEASE = "cadre"
CREDENTIALS = "model-keys"
"""The Secret that the release's controllers mount where a test wants one."""
ADMIN = ("--as=platform-admin", "--as-group=cadre:admins", "--as-group=system:masters")
"""kubectl as an admin of Cadre's tenants."""
GITOPS = "system:serviceaccount:gitops:sync"
"""The account of a tool that applies what Git says; the chart knows it as a machine."""


_SMALL: Json = {"resources": {"requests": {"cpu": "20m"}}}
"""Old and new pods of an upgrade stand beside each other on two cores."""


@dataclass(frozen=True)
class Wanted:
    """What to install."""

    images: Mapping[str, str]
    """Image names by target of the Dockerfile; `postgres` besides."""
    agents: tuple[str, ...]
    """Namespaces for agents."""
    egress: list[Json]
    """Where the controller may connect to."""
    connect: str
    """The group that may reach the controller."""
    chart: Path = REPOSITORY / "charts" / "cadre"
    former_guards: tuple[str, ...] = ()
    """Images of guards that still run."""
    credentials: tuple[str, ...] = ()
    """Secrets that the controller mounts; a chart of long ago knows none."""
    analyzer: bool = False
    """One that reads texts for all guards of a machine."""


@dataclass(frozen=True)
class Release:
    """The release `cadre` in `cadre-system`."""

    kubectl: Kubectl

    def install(self, wanted: Wanted) -> None:
        """Install or upgrade, and wait until everything is ready. Raises StepFailedError."""
        restricted = {"pod-security.kubernetes.io/enforce": "restricted"}
        self._namespace(NAMESPACE, restricted)
        values = CACHE / "values.json"
        values.write_text(json.dumps(_values(wanted)))
        try:
            with timed("helm upgrade --install, all ready"):
                chosen = ("--namespace", NAMESPACE, "--values", str(values), "--wait", "--timeout", "8m")
                self.kubectl.helm("upgrade", "--install", RELEASE, str(wanted.chart), *chosen)
        except BaseException:
            print(self.kubectl.state_of(NAMESPACE))
            raise

    def test(self) -> str:
        """Run the chart's own tests."""
        return self.kubectl.helm("test", RELEASE, "--namespace", NAMESPACE, "--timeout", "5m")

    def uninstall(self) -> None:
        """Remove the release."""
        with timed("helm uninstall"):
            self.kubectl.helm("uninstall", RELEASE, "--namespace", NAMESPACE, "--wait", "--timeout", "5m")

    def _namespace(self, name: str, labels: Mapping[str, str]) -> None:
        metadata = {"name": name, "labels": dict(labels)}
        self.kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})


def _values(wanted: Wanted) -> Json:
    named = {target: _image(name) for target, name in wanted.images.items() if target != "examples"}
    return {
        "images": named,
        "agentNamespaces": list(wanted.agents),
        "networkPolicies": {"controllerEgress": wanted.egress},
        "operator": _SMALL,
        "controller": {
            **_SMALL,
            "acceptedGuardImages": list(wanted.former_guards),
            **({"credentials": list(wanted.credentials)} if wanted.credentials else {}),
        },
        "identities": {"gitopsUsers": [GITOPS]},
        "rbac": {"connect": [{"kind": "Group", "name": wanted.connect}]},
        "backup": {"storage": {"size": "256Mi"}},
        "postgres": {**_SMALL, "storage": {"size": "1Gi"}},
        **({"analyzer": {**_SMALL, "enabled": True}} if wanted.analyzer else {}),
    }


def _image(name: str) -> Json:
    repository, _, tag = name.rpartition(":")
    return {"repository": repository, "tag": tag}
