"""Processes across departments in the cluster: a month is closed, an incident judged, a survey summed."""

from pathlib import Path
from typing import Any

import pytest

from tests.e2e.cluster import companies
from tests.e2e.cluster.people import People
from tests.e2e.kind.conftest import Lab
from tests.e2e.kind.test_examples import people_of
from tests.e2e.kind.test_story import asked_of
from tests.support.encodings import leaks

pytestmark = pytest.mark.timeout(1800)

_EXAMPLE = companies.EXAMPLES / "07-processes"
_YARD = "yard"
_PERSON, _MAIL = "Clara Dunmore", "clara@dunmore.example"


def test_a_month_is_closed(lab: Lab, company: People) -> None:
    """Two departments at once, the head's signature, the report: each agent is a pod."""
    run = _begin(company, "m-ruiz", "month-end-close", "month=2027-01")
    company.done("h-keller", "approve", asked_of(company, "h-keller"), "--yes")
    ended = _ended(company, "m-ruiz", run)
    names = ["accruals", "invoices", "orders", "publish", "sign-off", "tell"]
    assert sorted(step["name"] for step in ended["steps"]) == names
    assert "The close of 2027-01 is published." in str(ended["steps"])


def test_legal_judges_an_incident_without_names_and_a_survey_is_one_figure(
    lab: Lab, release: object, tmp_path: Path
) -> None:
    """07: counsel sees whom it concerns, the model does not; six answers become one figure."""
    kubectl = lab.kubectl
    scenario = (_EXAMPLE / "story" / "scenario.yaml").read_text()
    address = companies.scripted_model(kubectl, _YARD, lab.images["examples"], scenario)
    objects = companies.documents(_EXAMPLE / "company.yaml", companies.model_at(address))
    companies.found(kubectl, (_YARD,), objects)
    for agent in ("engineering-1", "legal-1"):
        companies.wait_ready(kubectl, agent, _YARD)
    people = people_of(lab, _YARD, tmp_path)
    run = _begin(people, "nina", "incident", f"report=Mail of {_PERSON} ({_MAIL}) was open for 3 hours.")
    approval = asked_of(people, "omar")
    assert _PERSON in people.done("omar", "approvals", "-o", "json")
    people.done("omar", "approve", approval, "--yes")
    ended = _ended(people, "nina", run)
    facts = next(step["result"] for step in ended["steps"] if step["name"] == "facts")
    assert facts == f"The mail of {_PERSON}, {_MAIL}, could be read by strangers for 3 hours."
    survey = _ended(people, "nina", _begin(people, "nina", "survey"))
    figure = next(step["result"] for step in survey["steps"] if step["name"] == "sum")
    assert figure == {"asked": 6, "good": 2}
    assert leaks([_PERSON, _MAIL], companies.model_saw(kubectl, _YARD).encode()) == {}
    kubectl("delete", "namespace", _YARD, "--wait=false")


def _begin(people: People, who: str, workflow: str, *parameters: str) -> str:
    given = [word for parameter in parameters for word in ("--param", parameter)]
    return str(people.json(who, "workflow", "run", workflow, *given)["id"])


def _ended(people: People, who: str, run: str) -> Any:
    people.done(who, "workflow", "wait", run, "--timeout", "240")
    ended = people.json(who, "workflow", "show", run)
    assert ended["state"] == "Succeeded"
    return ended
