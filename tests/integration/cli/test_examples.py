"""The examples as their READMEs tell them, person by person, on a real API server with the operator."""

import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.cli.terminal import in_terminal
from tests.integration.cli.town import environ_of
from tests.integration.operator.site import Site, open_site
from tests.support.kube import KubeServer, wait_until

pytestmark = [pytest.mark.kube, pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")]
EXAMPLES = Path(__file__).parents[3] / "examples"


@dataclass
class Company:
    """An example's namespaces with an operator, and its people's terminals."""

    site: Site
    namespace: str
    issuer: str

    def cadre(self, person: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `kubectl cadre` as a person of the example; `root` is the cluster's administrator."""
        user = person if person == "root" else f"{self.issuer}#{person}"
        groups = ["system:masters"] if person == "root" else ["staff"]
        certificate, key = self.site.server.authority.user(user, groups)
        file = self.site.folder / f"kubeconfig.{person}"
        credentials: dict[str, object] = {"client-certificate": str(certificate), "client-key": str(key)}
        self.site.server.write_kubeconfig_of(file, person, credentials, self.namespace)
        return in_terminal(arguments, environ_of(self.site, file), EXAMPLES)

    def done(self, person: str, *arguments: str) -> str:
        """Run it; it must succeed. Its standard output."""
        result = self.cadre(person, *arguments)
        assert result.returncode == 0, f"{arguments}: {result.stdout}\n{result.stderr}"
        return result.stdout

    def agent(self, namespace: str, name: str) -> dict[str, object]:
        """An Agent's status."""
        reply = self.site.client.get(f"/apis/cadre.dev/v1alpha1/namespaces/{namespace}/agents/{name}")
        found: dict[str, object] = reply.body.get("status") or {}
        return found

    def accepted(self, plural: str, name: str) -> bool:
        """Whether the operator knows an object and all that it refers to."""
        path = f"/apis/cadre.dev/v1alpha1/namespaces/{self.namespace}/{plural}/{name}"
        conditions = (self.site.client.get(path).body.get("status") or {}).get("conditions", ())
        return any(c["type"] == "Accepted" and c["status"] == "True" for c in conditions)

    def wait_phase(self, namespace: str, name: str, phase: str) -> None:
        """Wait for an agent."""
        wait_until(f"{name} to be {phase}", lambda: self.agent(namespace, name).get("phase") == phase)


@contextmanager
def company(server: KubeServer, folder: Path, issuer: str, *namespaces: str) -> Iterator[Company]:
    """The namespaces of an example, served by an operator."""
    with open_site(server, folder) as site:
        for name in namespaces:
            assert site.client.post("/api/v1/namespaces", {"metadata": {"name": name}}).status == 201
        site.operator(CADRE_WATCH_NAMESPACES=",".join((site.namespace, *namespaces)))
        yield Company(site, namespaces[0], issuer)


@pytest.fixture
def opened(prepared: KubeServer, tmp_path: Path) -> Iterator[Callable[..., Company]]:
    """Opens one company."""
    with_them = []

    def opener(issuer: str, *namespaces: str) -> Company:
        manager = company(prepared, tmp_path, issuer, *namespaces)
        with_them.append(manager)
        return manager.__enter__()

    yield opener
    for manager in with_them:
        manager.__exit__(None, None, None)


def test_02_minimal(opened: Callable[..., Company]) -> None:
    tiny = opened("https://idp.tiny.example", "tiny")
    assert "5 created" in tiny.done("root", "apply", "-f", "02-minimal")
    tiny.wait_phase("tiny", "helper-1", "Starting")
    tree = tiny.done("ada", "status")
    assert "Tiny Organization tiny" in tree and "helper-1" in tree
    assert "0 agents to change, 1 to stay" in tiny.done(
        "ada", "plan", "-f", "02-minimal", "--detailed-exitcode"
    )


def test_03_department_request(opened: Callable[..., Company]) -> None:
    lumen = opened("https://idp.lumen.example", "lumen")
    request = ("apply", "-f", "03-department-request/request")
    assert "9 created" in lumen.done("root", "apply", "-f", "03-department-request/company.yaml")
    wait_until("the unit to be accepted", lambda: lumen.accepted("orgnodes", "finance"))
    refused = lumen.cadre("o-hayes", *request)
    assert refused.returncode == 1 and "NotEntitled" in refused.stdout and "m-ruiz" in refused.stdout
    assert "invoices-1" in lumen.done("m-ruiz", *request)
    lumen.wait_phase("lumen", "invoices-1", "AwaitingApproval")
    assert "agent/invoices-1" in lumen.done("m-ruiz", "approvals")
    own = lumen.cadre("m-ruiz", "approve", "agent/invoices-1", "--yes")
    assert own.returncode == 1 and "NotEntitled" in own.stderr and "h-keller" in own.stderr
    shown = lumen.done("h-keller", "approve", "agent/invoices-1", "--yes")
    assert "Matches supplier invoices" in shown and "has your consent" in shown
    lumen.wait_phase("lumen", "invoices-1", "Suspended")
    again = lumen.cadre("h-keller", "approve", "agent/invoices-1", "--yes")
    assert again.returncode == 4 and "NothingWaits" in again.stderr


def test_05_any_acp_agent(opened: Callable[..., Company]) -> None:
    kiln = opened("https://idp.kiln.example", "kiln")
    assert "6 created" in kiln.done("root", "apply", "-f", "05-any-acp-agent")
    kiln.wait_phase("kiln", "clerk-1", "Starting")
    path = "/apis/apps/v1/namespaces/kiln/statefulsets/agent-clerk-1"
    (agent,) = kiln.site.client.get(path).body["spec"]["template"]["spec"]["containers"]
    assert agent["image"] == "cadre/plain-agent:1"
    assert agent["command"][:2] == ["/opt/cadre/cadre-shim", "stdio"]
    assert agent["command"][-1] == "plain-agent"


def test_06_namespaces(opened: Callable[..., Company]) -> None:
    north = opened("https://idp.north.example", "north", "north-iberia", "north-gulf")
    assert "4 created" in north.done("root", "apply", "-f", "06-namespaces/company.yaml")
    assert "3 created" in north.done("root", "apply", "-f", "06-namespaces/iberia.yaml")
    north.wait_phase("north-iberia", "textos-1", "Starting")
    tree = north.done("v-odell", "status")
    assert tree.index("North") < tree.index("Iberia") < tree.index("textos-1")
    assert "north-gulf" not in north.done("c-vega", "get", "nodes", "-A")
    done = north.done("c-vega", "suspend", "textos-1", "-n", "north-iberia", "--no-wait")
    assert "north-iberia/textos-1: Suspended" in done
    refused = north.cadre("v-odell", "suspend", "textos-1", "-n", "north-iberia", "--no-wait")
    assert refused.returncode in (0, 1)


def test_07_processes(opened: Callable[..., Company]) -> None:
    yard = opened("https://idp.yard.example", "yard")
    assert "14 created" in yard.done("root", "apply", "-f", "07-processes")
    yard.wait_phase("yard", "legal-1", "Starting")
    assert "Shipyard" in yard.done("nina", "status")
