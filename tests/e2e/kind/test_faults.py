"""Parts are killed in the middle of the story: everything comes back, and it ends once and as ever."""

from collections.abc import Callable

import pytest

from tests.e2e.cluster import acme
from tests.e2e.cluster.host import docker
from tests.e2e.cluster.kind import NODE
from tests.e2e.cluster.kubectl import Json, Kubectl, wait_for
from tests.e2e.cluster.people import People
from tests.e2e.cluster.release import NAMESPACE
from tests.e2e.kind.conftest import Lab
from tests.e2e.kind.test_story import approve, asked_of, begin

pytestmark = pytest.mark.timeout(1800)

Kill = Callable[[Kubectl], None]
_NAMESPACES = (NAMESPACE, acme.NAMESPACE, acme.STAND_INS)


def _leader(kubectl: Kubectl) -> None:
    holder = kubectl.get("lease", "cadre-operator", "-n", NAMESPACE)["spec"]["holderIdentity"]
    _kill(kubectl, NAMESPACE, str(holder).partition("_")[0], "operator")


def _controller(kubectl: Kubectl) -> None:
    pods = kubectl.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/name=cadre-controller")["items"]
    _kill(kubectl, NAMESPACE, str(pods[0]["metadata"]["name"]), "controller")


def _guard(kubectl: Kubectl) -> None:
    _kill(kubectl, acme.NAMESPACE, "agent-finance-1-0", "guard")


def _postgres(kubectl: Kubectl) -> None:
    _kill(kubectl, NAMESPACE, "cadre-postgres-0", "postgres")


def _node(kubectl: Kubectl) -> None:
    """Every process of the cluster dies at once, the API server and etcd among them."""
    before = _running(kubectl)
    docker("restart", "--time", "0", NODE)
    wait_for("the API server is back", lambda: kubectl.succeeds("get", "--raw", "/readyz", timeout=20), 240)
    wait_for("every container runs again", lambda: _again(kubectl, before), 300)
    wait_for("every agent is Ready", lambda: acme.ready(kubectl), 300)
    for name in ("cadre-operator", "cadre-controller"):
        kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{name}", "--timeout=180s")


def _marks(name: str) -> list[pytest.MarkDecorator]:
    """Minutes, where the others take one."""
    return [pytest.mark.nightly] if name == "node" else []


KILLS: dict[str, Kill] = {
    "leader": _leader,
    "controller": _controller,
    "guard": _guard,
    "postgres": _postgres,
    "node": _node,
}


@pytest.mark.parametrize("kill", [pytest.param(KILLS[name], id=name, marks=_marks(name)) for name in KILLS])
def test_the_story_ends_once_though_a_part_is_killed(lab: Lab, company: People, kill: Kill) -> None:
    """SIGKILL while the posting waits for approval; it is approved, booked once, and all is ready again."""
    kubectl, before = lab.kubectl, len(acme.booked(lab.kubectl))
    task = begin(company)
    asked_of(company, "h-keller")
    kill(kubectl)
    approve(company)
    ended = company.json("l-brandt", "task", "watch", task, "--timeout", "280")
    assert ended["state"] == "Succeeded"
    assert len(acme.booked(kubectl)) == before + 1
    wait_for("every agent is Ready", lambda: acme.ready(kubectl), 180)
    for name in ("cadre-operator", "cadre-controller"):
        kubectl("-n", NAMESPACE, "rollout", "status", f"deployment/{name}", "--timeout=180s")


def _again(kubectl: Kubectl, before: set[str]) -> bool:
    now = _running(kubectl)
    return not before & now and len(now) >= len(before)


def _running(kubectl: Kubectl) -> set[str]:
    """The ids of all containers that run for the company, as far as the API server knows."""
    pods = [pod for name in _NAMESPACES for pod in kubectl.get("pods", "-n", name)["items"]]
    every = [item for pod in pods for item in _containers(pod["status"])]
    return {str(item["containerID"]) for item in every if "running" in item["state"]}


def _containers(status: Json) -> list[Json]:
    found: list[Json] = status.get("containerStatuses", []) + status.get("initContainerStatuses", [])
    return found


def _kill(kubectl: Kubectl, namespace: str, pod: str, container: str) -> None:
    """SIGKILL a container's first process, from its node."""
    found = _container(kubectl, namespace, pod, container)
    identity = str(found["containerID"]).removeprefix("containerd://")
    docker("exec", NODE, "ctr", "-n", "k8s.io", "tasks", "kill", "--signal", "SIGKILL", identity)

    def again() -> bool:
        now = _container(kubectl, namespace, pod, container)
        return bool(now["restartCount"] > found["restartCount"])

    wait_for(f"{container} of {pod} is started again", again, 120)


def _container(kubectl: Kubectl, namespace: str, pod: str, container: str) -> Json:
    status = kubectl.get("pod", pod, "-n", namespace)["status"]
    return next(item for item in _containers(status) if item["name"] == container)
