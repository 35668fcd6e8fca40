"""Stopping an agent in the cluster: at once or in order, seen by everyone, and it goes on afterwards."""

import time

import pytest

from tests.e2e.cluster import acme
from tests.e2e.cluster.kubectl import Kubectl, wait_for
from tests.e2e.cluster.people import People
from tests.e2e.kind.conftest import Lab
from tests.e2e.kind.test_story import asked_of, begin

pytestmark = pytest.mark.timeout(1800)


def test_a_frozen_agent_stops_and_goes_on(lab: Lab, company: People) -> None:
    """Frozen while its posting waits: nothing is booked though it was approved; thawed, it is booked once."""
    kubectl, before = lab.kubectl, len(acme.booked(lab.kubectl))
    task = begin(company)
    posting = asked_of(company, "h-keller")
    start = time.monotonic()
    company.done("h-keller", "freeze", "agent", "finance-1", "-m", "audit")
    wait_for("the chart shows it", lambda: _phase(kubectl) == "Frozen", 60)
    print(f"e2e: frozen, command and all, shown in the chart after {time.monotonic() - start:.1f} s")
    assert "audit" in company.done("l-brandt", "freeze", "list")
    company.done("h-keller", "approve", posting, "--yes")
    assert company.json("l-brandt", "task", "show", task)["task"]["state"] in ("Running", "Waiting")
    assert len(acme.booked(kubectl)) == before
    company.done("h-keller", "thaw", "agent", "finance-1")
    ended = company.json("l-brandt", "task", "watch", task, "--timeout", "240")
    assert ended["state"] == "Succeeded"
    assert len(acme.booked(kubectl)) == before + 1
    wait_for("the chart forgets it", lambda: _phase(kubectl) != "Frozen", 60)


def _phase(kubectl: Kubectl) -> str:
    agent = kubectl.get("agents.cadre.dev", "finance-1", "-n", acme.NAMESPACE)
    return str(agent.get("status", {}).get("phase", ""))


def test_a_suspended_agent_leaves_and_comes_back(lab: Lab, company: People) -> None:
    """An idle agent's pod is gone long before its grace period ends; resumed, it is Ready again."""
    start = time.monotonic()
    company.done("m-ruiz", "suspend", "finance-1", timeout=400)
    pod = ("get", "pod", "agent-finance-1-0", "-n", acme.NAMESPACE)
    wait_for("the pod is gone", lambda: not lab.kubectl.succeeds(*pod), 120)
    print(f"e2e: suspended and gone after {time.monotonic() - start:.1f} s")
    start = time.monotonic()
    company.done("m-ruiz", "resume", "finance-1", timeout=400)
    wait_for("every agent is Ready", lambda: acme.ready(lab.kubectl), 180)
    print(f"e2e: resumed and Ready after {time.monotonic() - start:.1f} s")
