"""Reading a chart: every problem with its place, and none hides another."""

import pytest

from cadre_core.load import parse_documents

GOOD = """
apiVersion: cadre.dev/v1alpha1
kind: Person
metadata: {name: ann, namespace: co}
spec: {displayName: Ann}
"""


def found(text: str, file: str = "a.yaml") -> list[tuple[int, str, str, str]]:
    _, problems = parse_documents([(file, text)])
    assert all(p.file == file for p in problems)
    return [(p.line, p.resource, p.field, p.reason) for p in problems]


def test_reads_several_documents_and_files_with_positions() -> None:
    text = "---\n# only a comment\n---\n" + GOOD + "---\n" + GOOD.replace("ann", "bob")
    resources, problems = parse_documents([("a.yaml", text), ("b.yaml", GOOD.replace("ann", "cid"))])
    assert problems == ()
    assert sorted(resources.objects["Person"]) == ["co/ann", "co/bob", "co/cid"]
    assert resources.where("Person", "co/ann", "spec.displayName").line == 8
    assert resources.where("Person", "co/cid", "spec.missing[3].deep").file == "b.yaml"


def test_all_problems_of_a_document_are_listed_with_line_and_fix() -> None:
    text = """apiVersion: cadre.dev/v1alpha1
kind: OrgNode
metadata: {name: co}
spec:
  type: organisation
  titel: A
  title: No
  members:
  - {personRef: {name: x}, roles: [On]}
  budget: {amount: 250.00, currency: USD}
"""
    _, problems = parse_documents([("org.yaml", text)])
    seen = {(p.line, p.field, p.reason): p.fix for p in problems}
    assert "Organization" in seen[5, "spec.type", "ValueNotSupported"]
    assert seen[6, "spec.titel", "FieldUnknown"] == "did you mean title?"
    assert seen[7, "spec.title", "YamlBoolean"] == 'write it in quotes: "No"'
    assert seen[9, "spec.members[0].roles[0]", "YamlBoolean"] == 'write it in quotes: "On"'
    assert seen[10, "spec.budget.amount", "WrongType"] == 'put the value in quotes: "250.0"'


def test_missing_field_bounds_and_rules_have_their_own_reasons() -> None:
    text = GOOD.replace("displayName: Ann", f"displayName: {'x' * 300}")
    assert [r for *_, r in found(text)] == ["OutOfBounds"]
    text = GOOD.replace("displayName: Ann", "displayName: Ann, email: nobody")
    assert [r for *_, r in found(text)] == ["ValueInvalid"]
    away = 'absences: [{name: w, from: "2026-02-01T00:00:00Z", to: "2026-01-01T00:00:00Z"}]'
    text = GOOD.replace("displayName: Ann", f"displayName: Ann, {away}")
    assert [r for *_, r in found(text)] == ["RuleBroken"]
    assert [r for *_, r in found(GOOD.replace("{displayName: Ann}", "{}"))] == ["FieldRequired"]


def test_the_same_thing_twice_says_where_the_first_is() -> None:
    _, problems = parse_documents([("a.yaml", GOOD), ("b.yaml", GOOD)])
    assert [(p.file, p.reason) for p in problems] == [("b.yaml", "DuplicateResource")]
    assert "a.yaml:2" in problems[0].message


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a: [1,\nb: 2", "BadYaml"),
        ("a: \x00", "BadYaml"),
        ("a: !!python/object:os.system {}", "UnknownApiVersion"),
        ("a: !!int zz", "BadValue"),
        ("- 1", "NotAResource"),
        ("just text", "NotAResource"),
        (GOOD.replace("v1alpha1", "v9"), "UnknownApiVersion"),
        (GOOD.replace("Person", "Persn"), "UnknownKind"),
        (GOOD.replace("kind: Person\n", ""), "UnknownKind"),
        (GOOD + "kind: Person\n", "DuplicateKey"),
        (GOOD + "on: 1\n", "KeyNotText"),
        ("[" * 20_000, "YamlBomb"),
        ("a: &a [*a]", "YamlBomb"),
        ("x" * (4 * 1024 * 1024 + 1), "FileTooLarge"),
    ],
)
def test_bad_documents(text: str, reason: str) -> None:
    assert reason in [r for *_, r in found(text)]


def test_alias_bomb_is_refused_quickly() -> None:
    levels = ["a: &a [x,x,x,x,x,x,x,x,x,x]"]
    levels += [f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]" for a, b in zip("abcdefgh", "bcdefghi", strict=True)]
    assert [r for *_, r in found("\n".join(levels))] == ["YamlBomb"]


def test_bad_yaml_does_not_hide_the_documents_before_it() -> None:
    text = GOOD.replace("displayName", "displaiName") + "---\na: [1,\n"
    assert sorted(r for *_, r in found(text)) == ["BadYaml", "FieldRequired", "FieldUnknown"]


def test_anchors_and_merge_keys_work() -> None:
    text = """
apiVersion: cadre.dev/v1alpha1
kind: Person
metadata: &m {name: ann, namespace: co}
spec:
  <<: [{displayName: Merged}, {email: a@b.example}]
  absences: [{name: w, from: 2026-01-01T00:00:00Z, to: 2026-02-01T00:00:00Z}]
"""
    resources, problems = parse_documents([("a.yaml", text)])
    assert problems == ()
    assert resources.objects["Person"]["co/ann"].spec.display_name == "Merged"


def test_order_of_files_does_not_change_the_problems() -> None:
    files = [("a.yaml", GOOD.replace("Ann", "[]")), ("b.yaml", "a: ["), ("c.yaml", "- 1")]
    assert parse_documents(files)[1] == parse_documents(files[::-1])[1]
