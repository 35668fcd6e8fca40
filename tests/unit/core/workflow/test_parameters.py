"""Parameters of a run: typed, complete, known."""

import pytest

from cadre_api.v1alpha1 import Parameter
from cadre_core.workflow import check_parameters

DECLARED = tuple(
    Parameter.model_validate({"name": name, "type": kind, **more})
    for name, kind, more in (
        ("who", "String", {"required": True}),
        ("count", "Integer", {"default": "3"}),
        ("rate", "Number", {}),
        ("urgent", "Boolean", {}),
        ("day", "Date", {}),
    )
)


def test_values_get_their_types() -> None:
    given = {"who": "x", "rate": "0.5", "urgent": "true", "day": "2027-01-31"}
    values, problems = check_parameters(DECLARED, given)
    assert problems == ()
    assert values == {"who": "x", "count": 3, "rate": 0.5, "urgent": True, "day": "2027-01-31"}
    assert check_parameters(DECLARED, {"who": "x", "urgent": False, "count": 4.0})[0]["count"] == 4


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "who: is required"),
        ({"who": 5}, "who: must be a text"),
        ({"who": "x" * 10_001}, "who: must be a text"),
        ({"who": "x", "count": 1.5}, "count: must be a whole number"),
        ({"who": "x", "count": True}, "count: must be a number"),
        ({"who": "x", "rate": "fast"}, "rate: must be a number"),
        ({"who": "x", "rate": 10**400}, "rate: must be a number"),
        ({"who": "x", "urgent": "yes"}, "urgent: must be true or false"),
        ({"who": "x", "day": "31.1."}, "day: must be a date"),
        ({"who": "x", "day": 5}, "day: must be a date"),
        ({"who": "x", "whom": "y"}, "whom: there is no such parameter; use count, day"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, object], named: str) -> None:
    _, problems = check_parameters(DECLARED, given)
    assert any(problem.startswith(named) for problem in problems), problems
