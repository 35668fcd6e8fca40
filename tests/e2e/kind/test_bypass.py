"""Around the guard there is no way: from inside an agent's container, and from outside into it."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.e2e.cluster import acme
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.people import People
from tests.e2e.cluster.pods import idle, web_server
from tests.e2e.cluster.release import NAMESPACE
from tests.e2e.cluster.steps import StepFailedError
from tests.e2e.kind.conftest import Lab

pytestmark = pytest.mark.timeout(1800)

_GLASS = ("--as=on-call", "--as-group=system:masters", "--as-group=cadre:break-glass")
_POD = "agent-finance-1-0"
_CONNECT = "exec 3<>/dev/tcp/{host}/{port}"
Target = tuple[str, int]


def test_an_agent_reaches_its_guard_and_nothing_else(lab: Lab, company: People) -> None:
    """What a pod without policy reaches, the agent's container does not: each target is shown open first."""
    kubectl = lab.kubectl
    with _neighbour(kubectl) as neighbour:
        targets = _targets(kubectl) | {"a pod of another namespace": (neighbour, 8080)}
        for what, (host, port) in targets.items():
            free = ("-n", "neighbour", "exec", "free", "--", "nc", "-w", "5", host, str(port), "-e", "true")
            wait_for(f"{what} answers a free pod", lambda c=free: kubectl.succeeds(*c))  # type: ignore[misc]
        assert _in_agent(kubectl, _CONNECT.format(host="127.0.0.1", port=8101))
        reached = [
            what
            for what, (host, port) in targets.items()
            if _in_agent(kubectl, _CONNECT.format(host=host, port=port))
        ]
        assert reached == []


def test_an_agent_has_no_names_and_no_credentials(lab: Lab, company: People) -> None:
    """No name resolves but its own, no account is mounted, and nothing but its own can be written."""
    kubectl = lab.kubectl
    resolves = "getent hosts {0}"
    assert _in_agent(kubectl, resolves.format("localhost"))
    names = ("kubernetes.default.svc", f"scripted.{acme.STAND_INS}.svc", "example.com")
    assert [name for name in names if _in_agent(kubectl, resolves.format(name))] == []
    assert not _in_agent(kubectl, "ls /var/run/secrets/kubernetes.io /var/run/secrets/cadre.dev")
    assert not _in_agent(kubectl, "touch /usr/x /run/cadre/x")


def test_nobody_acts_as_an_agent_from_outside(lab: Lab, company: People) -> None:
    """Its account's tokens, pods with its account, and ways into its pod are refused, for admins as well."""
    kubectl = lab.kubectl
    foreign = idle("foreign", acme.NAMESPACE)
    foreign["spec"]["serviceAccountName"] = "agent-finance-1"
    with pytest.raises(StepFailedError, match="only the replicas of an Agent use its account"):
        kubectl.apply(foreign)
    in_acme = ("-n", acme.NAMESPACE)
    with pytest.raises(StepFailedError, match="tokens of agents' accounts are made for their own pods"):
        kubectl(*in_acme, "create", "token", "agent-finance-1", "--audience=cadre-controller")
    with pytest.raises(StepFailedError, match="agents' pods are sealed"):
        kubectl(*in_acme, "exec", _POD, "-c", "agent", "--", "true")
    with pytest.raises(StepFailedError, match="agents' pods are sealed"):
        kubectl(*in_acme, "debug", _POD, "--profile=restricted", "--image=cadre-e2e/tools:1", "--", "true")
    with pytest.raises(StepFailedError, match="the operator keeps this as the Agent says"):
        kubectl(*in_acme, "delete", "networkpolicy", "agent-finance-1")
    with pytest.raises(StepFailedError, match="forbidden"):
        company.as_("m-ruiz")(*in_acme, "exec", _POD, "-c", "agent", "--", "true")


def _targets(kubectl: Kubectl) -> dict[str, Target]:
    def service(name: str, namespace: str) -> str:
        return str(kubectl.get("service", name, "-n", namespace)["spec"]["clusterIP"])

    return {
        "the API server": (service("kubernetes", "default"), 443),
        "DNS": (service("kube-dns", "kube-system"), 53),
        "the controller's public port": (service("cadre-controller", NAMESPACE), 443),
        "the model": (service("scripted", acme.STAND_INS), 8080),
        "the ledger": (service("ledger", acme.STAND_INS), 8081),
    }


@contextmanager
def _neighbour(kubectl: Kubectl) -> Iterator[str]:
    with kubectl.namespace("neighbour") as namespace:
        kubectl.apply(web_server("web", namespace), idle("free", namespace))
        kubectl("-n", namespace, "wait", "--for=condition=Ready", "pod", "--all", "--timeout=120s")
        yield str(kubectl.get("pod", "web", "-n", namespace)["status"]["podIP"])


def _in_agent(kubectl: Kubectl, script: str) -> bool:
    command = ("-n", acme.NAMESPACE, "exec", _POD, "-c", "agent", "--", "timeout", "5", "bash", "-c", script)
    return kubectl.succeeds(*_GLASS, *command)
