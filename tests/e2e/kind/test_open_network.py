"""A network plugin that takes policies and enforces none: agents must not start on it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.cluster import acme
from tests.e2e.cluster.companies import condition
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.people import People
from tests.e2e.kind.conftest import Lab

pytestmark = pytest.mark.timeout(1800)

_HOOKS = {"POSTROUTING": "POD-FORWARD", "INPUT": "POD-NODE"}
"""Where the node gives packets to what enforces policies here."""
_POD = "agent-finance-1-0"


def test_an_agent_never_starts_where_policies_do_not_hold(lab: Lab, company: People) -> None:
    """EgressSealed=False and no agent container; when policies hold again the agent gets ready by itself."""
    kubectl = lab.kubectl
    if not kubectl.succeeds("-n", "kube-system", "get", "daemonset", "netpol"):
        pytest.skip("this cluster's network plugin is not ours to break")
    company.done("m-ruiz", "suspend", "finance-1", timeout=400)
    gone = ("get", "pod", _POD, "-n", acme.NAMESPACE)
    wait_for("the pod is gone", lambda: not kubectl.succeeds(*gone), 180)
    with _nothing_enforced(kubectl):
        company.done("m-ruiz", "resume", "finance-1", "--no-wait")
        wait_for("the operator says so", lambda: _sealed(kubectl) == "False", 240)
        assert not _agent_was_started(kubectl)
    wait_for("every agent is Ready", lambda: acme.ready(kubectl), 420)
    assert _sealed(kubectl) == "True"


@contextmanager
def _nothing_enforced(kubectl: Kubectl) -> Iterator[None]:
    try:
        for hook, chain in _HOOKS.items():
            _tables(kubectl, "--delete", hook, chain)
        yield
    except BaseException:
        print(kubectl.state_of(acme.NAMESPACE))
        raise
    finally:
        for hook, chain in _HOOKS.items():
            _tables(kubectl, "--append", hook, chain)


def _tables(kubectl: Kubectl, verb: str, hook: str, chain: str) -> None:
    rule = ("iptables", "--wait", "10", "--table", "mangle", verb, hook, "--jump", chain)
    kubectl("-n", "kube-system", "exec", "daemonset/netpol", "--", *rule)


def _sealed(kubectl: Kubectl) -> str:
    return condition(kubectl, "agents", "finance-1", acme.NAMESPACE, "EgressSealed")


def _agent_was_started(kubectl: Kubectl) -> bool:
    found = kubectl.get("pod", _POD, "-n", acme.NAMESPACE)["status"]["containerStatuses"]
    agent = next(item for item in found if item["name"] == "agent")
    return "waiting" not in agent["state"] or bool(agent.get("containerID"))
