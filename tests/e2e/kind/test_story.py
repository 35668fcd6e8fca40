"""The story of the example, told in the cluster by its people at their terminals, with real goose pods."""

import json
from typing import Any

import pytest

from cadre_local.demo.seeded import leaks, seeded_values
from tests.e2e.cluster import acme
from tests.e2e.cluster.companies import model_saw
from tests.e2e.cluster.kubectl import wait_for
from tests.e2e.cluster.people import People
from tests.e2e.cluster.steps import timed
from tests.e2e.kind.conftest import Lab

pytestmark = pytest.mark.timeout(1800)

_ACCOUNT = "GB33BUKB20201555555555"


def test_the_campaign_gets_its_budget(lab: Lab, company: People) -> None:
    """Lena asks, marketing asks finance, Hanna approves, the ledger books once, the model saw codes."""
    before = len(acme.booked(lab.kubectl))
    with timed("the story, from the request to the result"):
        task = begin(company)
        approve(company)
        ended = company.json("l-brandt", "task", "watch", task, "--timeout", "240")
    assert ended["state"] == "Succeeded"
    assert "18000" in ended["result"].replace(",", "").replace(".", "")
    entries = acme.booked(lab.kubectl)[before:]
    assert [(entry["amount"], entry["iban"]) for entry in entries] == [(18000, _ACCOUNT)]
    assert leaks(seeded_values(acme.EXAMPLE), model_saw(lab.kubectl, "scripted").encode()) == []
    assert _ACCOUNT not in json.dumps(company.json("l-brandt", "task", "show", task))


def begin(people: People) -> str:
    """Lena's request; the task's id."""
    asked = acme.story("campaign")
    created = people.json(asked["requester"], "task", "run", "--role", asked["role"], asked["prompt"])
    return str(created["id"])


def approve(people: People) -> None:
    """Wait until a posting waits for Hanna, and let it through."""
    approver = acme.story("campaign")["approver"]
    people.done(approver, "approve", asked_of(people, approver), "--yes", "-m", "within the plan")


def asked_of(people: People, approver: str) -> str:
    """Wait until one call waits for somebody; its id."""
    waiting: list[Any] = []

    def asks() -> bool:
        waiting[:] = people.json(approver, "approvals")["items"]
        return bool(waiting)

    wait_for(f"a call waits for {approver}", asks, 240)
    assert len(waiting) == 1
    return str(waiting[0]["id"])
