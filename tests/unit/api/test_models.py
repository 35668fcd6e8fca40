"""Resources read from files: what is accepted, what is refused, and how the refusal reads."""

import pytest

from cadre_api.parse import InvalidResourceError, parse_resource
from cadre_api.v1alpha1 import KINDS
from tests.support.api_cases import BAD, BAD_VALUES, GOOD, GOOD_PATTERNS, LARGEST, Case
from tests.support.api_objects import changed, full_object


def refusal(obj: object) -> InvalidResourceError:
    with pytest.raises(InvalidResourceError) as caught:
        parse_resource(obj)
    return caught.value


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_object_reads_and_writes_the_same(kind: str) -> None:
    resource = parse_resource(full_object(kind))
    written = resource.model_dump(by_alias=True, exclude_none=True, exclude_unset=True, mode="json")
    assert parse_resource(written) == resource
    expected = full_object(kind)
    if kind == "Agent":
        expected["spec"]["resources"]["agent"]["limits"]["cpu"] = "2"
    assert written == expected


@pytest.mark.parametrize("case", [*GOOD, *GOOD_PATTERNS, *LARGEST], ids=lambda case: case.name)
def test_good_objects_are_accepted(case: Case) -> None:
    assert parse_resource(case.obj).kind == case.kind


@pytest.mark.parametrize("case", BAD, ids=lambda case: case.name)
def test_bad_objects_are_refused_with_the_reason(case: Case) -> None:
    assert case.says in str(refusal(case.obj))


@pytest.mark.parametrize("case", BAD_VALUES, ids=lambda case: case.name)
def test_a_refusal_names_the_field_and_only_it(case: Case) -> None:
    problems = refusal(case.obj).problems
    assert len({problem.path for problem in problems}) == 1
    assert case.says.split("[")[0] in problems[0].path


def test_resources_are_immutable_and_know_their_key() -> None:
    agent = parse_resource(full_object("Agent"))
    assert agent.key == ("Agent", "default", "finance-1")
    with pytest.raises(ValueError, match="frozen"):
        agent.metadata = agent.metadata  # type: ignore[misc]


def test_namespace_defaults() -> None:
    assert (
        parse_resource(changed(full_object("Agent"), metadata={"name": "a"})).metadata.namespace == "default"
    )


def test_all_problems_are_listed_at_once() -> None:
    obj = changed(
        full_object("OrgNode"), spec__type="Squad", spec__budget__amount=250.5, spec__members__1__role="Head"
    )
    assert {p.path for p in refusal(obj).problems} == {
        "spec.type",
        "spec.budget.amount",
        "spec.members[1].role",
    }


@pytest.mark.parametrize(
    ("kind", "changes", "text"),
    [
        (
            "Agent",
            {"spec__nodeRefs": {}},
            "spec.nodeRefs: there is no such field; did you mean nodeRef?",
        ),
        (
            "Agent",
            {"spec__runtime__acp__imgae": "x"},
            "spec.runtime.acp.imgae: there is no such field; did you mean image?",
        ),
        (
            "OrgNode",
            {"spec__members__0__person": "x"},
            "spec.members[0].person: there is no such field; did you mean personRef?",
        ),
        (
            "OrgNode",
            {"spec__budget__amount": 250.5},
            'spec.budget.amount: input should be a valid string; put the value in quotes: "250.5"',
        ),
        (
            "Agent",
            {"spec__scaling__idleAfter": "15 minutes"},
            (
                "spec.scaling.idleAfter: '15 minutes' has the wrong form; "
                "write a duration with h, m, s or ms, such as 30m or 1h30m"
            ),
        ),
        (
            "Agent",
            {"spec__lifecycle": False},
            "spec.lifecycle: False is not a value of this field; write Running or Suspended",
        ),
        (
            "Agent",
            {"metadata__name": "Finance 1"},
            (
                "metadata.name: 'Finance 1' has the wrong form; "
                "write lower-case letters, digits and dashes, such as finance-1"
            ),
        ),
    ],
)
def test_messages_say_what_to_do(kind: str, changes: dict[str, object], text: str) -> None:
    assert text in str(refusal(changed(full_object(kind), **changes))).splitlines()


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (None, "."),
        ([], "."),
        ({}, "apiVersion"),
        ({"apiVersion": "v1", "kind": "Agent"}, "apiVersion"),
        ({"apiVersion": "cadre.dev/v1alpha1", "kind": "Robot"}, "kind"),
        ({"apiVersion": "cadre.dev/v1alpha1", "kind": "Agent"}, "metadata"),
    ],
)
def test_what_is_no_resource_is_refused(obj: object, path: str) -> None:
    assert refusal(obj).problems[0].path == path


def test_objects_of_a_cluster_may_carry_unknown_fields() -> None:
    obj = changed(full_object("Agent"), metadata__managedFields=[], spec__future=1)
    assert parse_resource(obj, unknown="ignore") == parse_resource(full_object("Agent"))
