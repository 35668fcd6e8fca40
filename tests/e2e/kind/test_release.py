"""The chart on a cluster: it installs, its own tests pass, the example's agents get ready, and it leaves."""

from collections.abc import Iterator

import pytest

from tests.e2e.cluster import acme
from tests.e2e.cluster.kubectl import wait_for
from tests.e2e.cluster.release import ADMIN, NAMESPACE, Release
from tests.e2e.kind.conftest import Lab

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture(scope="module")
def release(lab: Lab) -> Iterator[Release]:
    """The chart, installed with the stand-ins of the example in its network."""
    installed = Release(lab.kubectl)
    with lab.kubectl.namespace(acme.STAND_INS):
        lab.kubectl.apply(*acme.stand_ins(lab.images["examples"]))
        installed.install(lab.images, (acme.NAMESPACE,), acme.controller_egress())
        yield installed


def test_the_release_is_ready_and_its_own_tests_pass(lab: Lab, release: Release) -> None:
    """Two operators, two controllers and the database are ready, and `helm test` says so too."""
    for name, replicas in (("cadre-operator", 2), ("cadre-controller", 2)):
        status = lab.kubectl.get("deployment", name, "-n", NAMESPACE)["status"]
        assert status["readyReplicas"] == replicas
    assert "Succeeded" in release.test()


def test_every_agent_of_the_example_gets_ready(lab: Lab, release: Release) -> None:
    """The example is applied by an admin; its running agents have ready pods, the others none."""
    kubectl = lab.kubectl
    kubectl.apply_as(ADMIN, *acme.resources())

    def ready() -> bool:
        agents = kubectl.get("agents.cadre.dev", "-n", acme.NAMESPACE)["items"]
        return len(agents) == 6 and all(_settled(agent) for agent in agents)

    try:
        wait_for("every agent is Ready, or Suspended as it wishes", ready, seconds=420)
    except TimeoutError:
        print(kubectl.state_of(acme.NAMESPACE), kubectl.state_of(NAMESPACE))
        raise
    pods = kubectl.get("pods", "-n", acme.NAMESPACE)["items"]
    assert sorted(pod["metadata"]["name"] for pod in pods) == ["agent-finance-1-0", "agent-marketing-1-0"]


def _settled(agent: dict[str, object]) -> bool:
    status = agent.get("status")
    conditions = status.get("conditions", []) if isinstance(status, dict) else []
    held = {condition["type"]: condition["status"] for condition in conditions}
    spec = agent["spec"]
    suspended = isinstance(spec, dict) and spec.get("lifecycle") == "Suspended"
    return held.get("Accepted") == "True" and (suspended or held.get("Ready") == "True")
