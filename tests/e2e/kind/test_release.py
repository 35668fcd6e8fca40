"""The chart on a cluster: it installs, its own tests pass, the example's agents get ready."""

import pytest

from tests.e2e.cluster import acme
from tests.e2e.cluster.people import People
from tests.e2e.cluster.release import NAMESPACE, Release
from tests.e2e.kind.conftest import Lab

pytestmark = pytest.mark.timeout(1800)


def test_the_release_is_ready_and_its_own_tests_pass(lab: Lab, release: Release) -> None:
    """Two operators, two controllers and the database are ready, and `helm test` says so too."""
    for name, replicas in (("cadre-operator", 2), ("cadre-controller", 2)):
        status = lab.kubectl.get("deployment", name, "-n", NAMESPACE)["status"]
        assert status["readyReplicas"] == replicas
    assert "Succeeded" in release.test()


def test_every_agent_of_the_example_gets_ready(lab: Lab, company: People) -> None:
    """`kubectl apply -k`: its running agents have ready pods, the others none; its people see them so."""
    pods = lab.kubectl.get("pods", "-n", acme.NAMESPACE)["items"]
    assert sorted(pod["metadata"]["name"] for pod in pods) == ["agent-finance-1-0", "agent-marketing-1-0"]
    told = company.done("l-brandt", "status")
    assert "finance-1" in told
    assert "marketing-1" in told
    assert "as acme/l-brandt of acme" in company.done("l-brandt", "doctor")
