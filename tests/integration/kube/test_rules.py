"""What the API server refuses is what the models refuse: the same table of cases through the real thing."""

import pytest
import yaml

from cadre_api.crdgen import crd
from cadre_api.parse import parse_resource
from cadre_api.v1alpha1 import KINDS
from tests.integration.kube.cluster import REPOSITORY, Cluster, path_of
from tests.support.api_cases import BAD_VALUES, BROKEN_RULES, GOOD, GOOD_PATTERNS, LARGEST, Case
from tests.support.api_objects import Object, changed, full_object

pytestmark = [pytest.mark.kube, pytest.mark.timeout(1200)]

_EXAMPLES = sorted((REPOSITORY / "examples").glob("*/*.yaml"))


def rule_messages(schema: object) -> set[str]:
    """Messages of all CEL rules in a schema."""
    if isinstance(schema, dict):
        here = {rule["message"] for rule in schema.get("x-kubernetes-validations", ())}
        return here.union(*(rule_messages(child) for child in schema.values()))
    return set().union(*(rule_messages(child) for child in schema)) if isinstance(schema, list) else set()


@pytest.mark.parametrize("case", [*GOOD, *GOOD_PATTERNS, *LARGEST], ids=lambda case: case.name)
def test_good_objects_are_accepted(cluster: Cluster, case: Case) -> None:
    reply = cluster.create(case.obj, dry_run=True)
    assert reply.status == 201, reply.message


@pytest.mark.parametrize("case", BROKEN_RULES, ids=lambda case: case.name)
def test_broken_rules_are_refused_with_their_message(cluster: Cluster, case: Case) -> None:
    reply = cluster.create(case.obj, dry_run=True)
    assert reply.status == 422
    assert case.says in reply.message


@pytest.mark.parametrize("case", BAD_VALUES, ids=lambda case: case.name)
def test_bad_values_are_refused_by_field(cluster: Cluster, case: Case) -> None:
    reply = cluster.create(case.obj, dry_run=True)
    assert reply.status == 422
    assert case.says in reply.message


def test_every_rule_has_refused_something(cluster: Cluster) -> None:
    said = "\n".join(cluster.create(case.obj, dry_run=True).message for case in BROKEN_RULES)
    rules = set().union(*(rule_messages(crd(kind)) for kind in KINDS.values()))
    about_change = {"a node is a root (no parentRef) or not for its whole life; create a new node instead"}
    assert {message for message in rules if message not in said} == about_change


def test_being_a_root_never_changes(cluster: Cluster) -> None:
    root = changed(
        full_object("OrgNode"), metadata__name="root", spec={"type": "Organization", "title": "Acme"}
    )
    child = changed(full_object("OrgNode"), metadata__name="child")
    for obj in (root, child):
        assert cluster.create(obj).status == 201
    gains = cluster.client.patch(path_of(root), {"spec": {"parentRef": {"name": "child"}}})
    loses = cluster.client.patch(path_of(child), {"spec": {"parentRef": None}})
    moves = cluster.client.patch(path_of(child), {"spec": {"parentRef": {"name": "other"}}})
    for obj in (root, child):
        cluster.client.delete(path_of(obj))
    assert (gains.status, loses.status, moves.status) == (422, 422, 200)
    assert "for its whole life" in gains.message and "for its whole life" in loses.message


def example_objects() -> list[tuple[str, Object]]:
    return [
        (f"{file.parent.name}/{file.name}:{obj['kind']}/{obj['metadata']['name']}", obj)
        for file in _EXAMPLES
        for obj in yaml.safe_load_all(file.read_text())
        if isinstance(obj, dict) and str(obj.get("apiVersion", "")).startswith("cadre.dev/")
    ]


@pytest.mark.parametrize(
    ("name", "obj"), example_objects(), ids=lambda part: part if isinstance(part, str) else ""
)
def test_examples_are_accepted_by_both(cluster: Cluster, name: str, obj: Object) -> None:
    parse_resource(obj)
    changed(obj, metadata__namespace="default")
    reply = cluster.create(obj, dry_run=True)
    assert reply.status == 201, f"{name}: {reply.message}"
