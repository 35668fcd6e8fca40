"""Processes across departments on a laptop: an incident of which legal sees no names, and a survey."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cadre_api.protocol.tasks import ApprovalView
from cadre_api.protocol.workflows import ExecutionState, ExecutionView
from tests.integration.story.stack import Stack, patiently, running, wait_for
from tests.support.encodings import appears, leaks
from tests.support.goose import find_goose
from tests.support.scripted import ACME

pytestmark = [pytest.mark.goose, pytest.mark.postgres, pytest.mark.timeout(300)]

EXAMPLE = ACME.parent / "07-processes"
PERSON, MAIL = "Clara Dunmore", "clara@dunmore.example"


@dataclass
class Yard(Stack):
    """The shipyard of the example."""

    def write_chart(self, **changes: object) -> None:
        """Copy it and point it at our ports."""
        self.chart.mkdir()
        text = (EXAMPLE / "company.yaml").read_text().replace(":7460/", f":{self.model}/")
        (self.chart / "company.yaml").write_text(text)

    def up(self, scenario: Path = EXAMPLE / "story" / "scenario.yaml") -> None:
        """`cadre up` until everything is ready."""
        super().up(scenario)

    def begin(self, workflow: str, *parameters: str) -> str:
        """Nina begins a run; returns its id."""
        given = [word for parameter in parameters for word in ("--param", parameter)]
        run = self.cadre("workflow", "run", workflow, *given, "-o", "json", persona="nina")
        return str(json.loads(run)["id"])

    def ended(self, run: str) -> ExecutionView:
        """The run at its end, as Nina may read it."""
        api = self.api("nina")

        def look() -> ExecutionView | None:
            found = patiently(lambda: api.execution(run), None)
            return found if found is not None and found.ended_at is not None else None

        return wait_for(look, "end of the run", 120, self.logs)


@pytest.fixture(scope="module")
def yard() -> Iterator[Stack]:
    """A running shipyard."""
    with running(str(find_goose()), Yard) as stack:
        yield stack


def asked(yard: Yard, person: str) -> ApprovalView:
    """What somebody is asked."""
    api = yard.api(person)

    def look() -> ApprovalView | None:
        return next(iter(patiently(lambda: api.approvals("Pending"), ())), None)

    return wait_for(look, f"approval for {person}", 120, yard.logs)


def test_an_incident_reaches_legal_without_names_and_counsel_with_them(yard: Yard) -> None:
    run = yard.begin("incident", f"report=Mail of {PERSON} ({MAIL}) was open for 3 hours.")
    approval = asked(yard, "omar")
    assert PERSON in str(approval.arguments["results"])
    assert approval.approvers == ("yard/omar",)
    yard.cadre("approve", approval.id, "--yes", persona="omar")
    done = yard.ended(run)
    assert done.state is ExecutionState.SUCCEEDED
    assert {step.name: step.state for step in done.steps} == dict.fromkeys(
        ("facts", "judgement", "counsel", "notify"), "Succeeded"
    )
    facts = next(step for step in done.steps if step.name == "facts")
    assert facts.result == f"The mail of {PERSON}, {MAIL}, could be read by strangers for 3 hours."
    assert leaks([PERSON, MAIL], yard.scripted.raw()) == {}
    assert leaks([PERSON, MAIL], yard.dump()) == {}
    assert "ok" in yard.cadre("audit", "verify").lower()
    assert appears(MAIL, yard.agent_memory("yard/engineering-1"))
    assert leaks([PERSON, MAIL], yard.agent_memory("yard/legal-1")) == {}


def test_a_survey_of_two_departments_ends_in_one_figure(yard: Yard) -> None:
    done = yard.ended(yard.begin("survey"))
    assert done.state is ExecutionState.SUCCEEDED
    assert (
        sorted(step.name for step in done.steps if step.kind == "task") == ["builders"] * 3 + ["lawyers"] * 3
    )
    figure = next(step.result for step in done.steps if step.name == "sum")
    assert figure == {"asked": 6, "good": 2}
    assert next(step.result for step in done.steps if step.name == "tell") == {"sent": 1}
