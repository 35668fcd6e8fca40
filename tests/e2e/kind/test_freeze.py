"""Stopping an agent in the cluster: at once, seen by everyone, and it goes on where it stopped."""

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
    refused = company.cadre("h-keller", "task", "run", "--agent", "finance-1", "--dry-run", "A report.")
    assert refused.returncode == 1
    assert "Frozen" in refused.stdout + refused.stderr
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
