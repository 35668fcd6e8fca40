"""Names of kinds as people write them, and what of an object's state is worth telling."""

import pytest

from cadre_api.v1alpha1 import API_VERSION, KINDS
from cadre_local import objects
from cadre_local.kube.client import PLURALS


def test_the_short_list_of_kinds_is_the_real_one() -> None:
    assert {name: kind.crd.plural for name, kind in KINDS.items()} == PLURALS
    assert objects.API_VERSION == API_VERSION


@pytest.mark.parametrize(
    ("word", "plural"),
    [
        ("agents", "agents"),
        ("Agent", "agents"),
        ("agents.cadre.dev", "agents"),
        ("cdnode", "orgnodes"),
        ("policy", "policies"),
        ("people", "persons"),
        ("person", "persons"),
        ("gizmo", ""),
        ("", ""),
    ],
)
def test_a_kind_has_many_names(word: str, plural: str) -> None:
    assert objects.plural_of(word) == plural


def with_conditions(**states: str) -> dict[str, object]:
    conditions = [
        {"type": kind, "status": s, "reason": f"{kind}Reason", "message": "m"} for kind, s in states.items()
    ]
    return {"status": {"conditions": conditions}}


def test_the_cause_is_told_before_its_consequence() -> None:
    assert objects.trouble(with_conditions(Ready="False", Accepted="False")) == "AcceptedReason: m"
    assert (
        objects.trouble(with_conditions(Ready="False", AwaitingApproval="True"))
        == "AwaitingApprovalReason: m"
    )
    assert objects.trouble(with_conditions(Ready="True", ControllerSynced="False", Stalled="False")) == ""
    assert objects.trouble({}) == ""
