"""The guard's rules of an agent: the strictest on the path wins, and only the top can allow a term."""

import pytest
from pydantic import ValidationError

from cadre_api.v1alpha1 import PolicyGuard
from cadre_core.bundle import guard_rules, rules_of_policy
from cadre_core.model import GuardSpec
from tests.unit.core.build import Docs, company, resource, set_field, snapshot


def guarded(docs: Docs, node: str, guard: dict, name: str = "", **more: object) -> Docs:
    name = name or f"g-{node}"
    spec = {"targets": [{"nodeRef": {"name": node}}], "guard": guard, **more}
    docs[f"Policy/{name}"] = resource("Policy", name, spec)
    return docs


def of(docs: Docs, agent: str = "co/fin-1") -> GuardSpec:
    return snapshot(docs).agents[agent].guard


def action(guard: GuardSpec, entity: str) -> str:
    return guard.entity_actions.get(entity, guard.mode)


def test_defaults() -> None:
    guard = of(company())
    assert guard.mode == "Mask"
    assert action(guard, "PERSON") == "Mask"
    assert action(guard, "API_KEY") == "Block"
    assert action(guard, "URL") == "Disabled"
    assert action(guard, "CREDIT_CARD") == "Block"
    assert guard.clearance == {"INTERNAL", "FINANCIAL"}


@pytest.mark.parametrize(
    ("profile", "root", "node", "expected"),
    [
        ("Mask", None, None, "Mask"),
        ("Disabled", None, None, "Disabled"),
        ("Disabled", "Detect", None, "Detect"),
        ("Mask", "Block", "Detect", "Block"),
        ("Detect", "Disabled", "Mask", "Mask"),
    ],
)
def test_strictest_mode(profile: str, root: str | None, node: str | None, expected: str) -> None:
    docs = company()
    set_field(docs, "RoleProfile/base", "guard.mode", profile)
    for place, mode in (("co", root), ("finance", node)):
        if mode:
            guarded(docs, place, {"mode": mode})
    assert of(docs).mode == expected


def test_strictest_per_entity_and_class() -> None:
    docs = guarded(company(), "co", {"classes": [{"name": "PII", "action": "Block"}]})
    guarded(docs, "finance", {"entities": [{"type": "PERSON", "action": "Detect"}]})
    assert action(of(docs), "PERSON") == "Block"
    assert action(of(docs), "IBAN_CODE") == "Mask"
    docs = guarded(company(), "finance", {"classes": [{"name": "CREDENTIALS", "action": "Mask"}]})
    assert action(of(docs), "API_KEY") == "Mask"
    assert action(of(docs, "co/mkt-1"), "API_KEY") == "Block"


def test_what_does_not_apply_here_does_not_count() -> None:
    docs = guarded(company(), "marketing", {"mode": "Block"})
    guarded(docs, "ops", {"mode": "Block"}, targets=[{"nodeRef": {"name": "ops"}, "scope": "Node"}])
    guarded(docs, "co", {"mode": "Block"}, enforcement="DryRun")
    assert of(docs).mode == "Mask"


def test_recognizers_and_deny_lists_add_up() -> None:
    one = {"name": "project", "pattern": r"PRJ-\d{5}", "entity": "PROJECT"}
    two = {"name": "case", "pattern": r"CASE-\d+", "entity": "CASE_FILE", "dataClass": "PHI"}
    docs = guarded(company(), "co", {"recognizers": [one], "denyList": ["Orion"]})
    guarded(docs, "finance", {"recognizers": [two], "denyList": ["Lyra"]})
    guard = of(docs)
    assert [each.name for each in guard.recognizers] == ["case", "project"]
    assert guard.deny_list == ("Lyra", "Orion")
    assert guard.entity_classes == {"CASE_FILE": "PHI"}


@pytest.mark.parametrize(
    ("root", "node", "expected"),
    [
        (None, None, ()),
        (["Acme"], None, ("Acme",)),
        (None, ["Acme"], ("Acme",)),
        (["Acme", "Zeta"], ["Acme", "Mine"], ("Acme",)),
        ([], ["Mine"], ()),
        (["Acme"], [], ("Acme",)),
    ],
)
def test_a_lower_level_cannot_allow_what_a_higher_one_does_not(
    root: list[str] | None, node: list[str] | None, expected: tuple[str, ...]
) -> None:
    docs = company()
    for place, terms in (("co", root), ("finance", node)):
        if terms is not None:
            guarded(docs, place, {"mode": "Mask", "allowList": terms})
    assert of(docs).allow_list == expected


def test_clearance_of_the_nearest_profile_that_states_one() -> None:
    assert of(company(), "co/mkt-1").clearance == {"INTERNAL"}
    docs = set_field(company(), "RoleProfile/finance", "guard.clearance", ["PII"])
    assert of(docs).clearance == {"PII"}


def test_naming_a_class_switches_its_opt_in_recognisers_on() -> None:
    docs = company()
    guarded(docs, "finance", {"mode": "Mask", "classes": [{"name": "PHI", "action": "Mask"}]})
    assert of(docs).entity_actions["MEDICAL_CONDITION"] == "Mask"
    assert "MEDICAL_CONDITION" not in of(company()).entity_actions


RECOGNIZER = {
    "name": "project",
    "entity": "PROJECT_CODE",
    "dataClass": "PHI",
    "pattern": r"PRJ-\d{5}",
    "terms": ["Nightfall"],
    "checksum": "Luhn",
    "context": ["project"],
    "scorePercent": 50,
}


def test_a_recognizer_reaches_the_bundle_whole() -> None:
    docs = guarded(company(), "co", {"recognizers": [RECOGNIZER], "languageModel": False})
    compiled = snapshot(docs)
    rules = guard_rules(compiled, compiled.agents["co/fin-1"])
    (found,) = rules.recognizers
    assert (found.pattern, found.terms, found.checksum, found.context, found.score, found.data_class) == (
        r"PRJ-\d{5}", ("Nightfall",), "Luhn", ("project",), 0.5, "PHI",
    )  # fmt: skip
    assert rules.entity_classes == {"PROJECT_CODE": "PHI"}
    assert not rules.language_model
    alone = rules_of_policy(PolicyGuard.model_validate({"recognizers": [RECOGNIZER]}))
    assert alone.recognizers == rules.recognizers


@pytest.mark.parametrize(
    ("root", "node", "expected"),
    [
        (None, 20, {"PERSON": 0.2}),
        (None, 80, {}),
        (80, None, {"PERSON": 0.8}),
        (80, 60, {"PERSON": 0.6}),
        (20, 80, {"PERSON": 0.2}),
    ],
)
def test_only_the_top_can_raise_a_threshold(
    root: int | None, node: int | None, expected: dict[str, float]
) -> None:
    docs = guarded(company(), "co", {"mode": "Mask"})
    for place, percent in (("co", root), ("finance", node)):
        if percent is not None:
            entry = {"type": "PERSON", "action": "Mask", "thresholdPercent": percent}
            guarded(docs, place, {"entities": [entry]}, name=f"t-{place}")
    assert of(docs).thresholds == expected


@pytest.mark.parametrize(
    ("root", "node", "expected"), [(False, None, False), (None, False, True), (False, True, True)]
)
def test_only_the_top_can_switch_the_language_model_off(
    root: bool | None, node: bool | None, expected: bool
) -> None:
    docs = guarded(company(), "co", {"mode": "Mask"})
    for place, value in (("co", root), ("finance", node)):
        if value is not None:
            guarded(docs, place, {"languageModel": value}, name=f"m-{place}")
    assert of(docs).language_model is expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pattern": "x*"}, "does not match the empty text"),
        ({"pattern": "(?=x)y"}, "valid RE2"),
        ({"pattern": None, "terms": None}, "pattern, terms"),
        ({"checksum": "Crc"}, "Luhn"),
        ({"scorePercent": 0}, "greater"),
    ],
)
def test_a_recognizer_that_cannot_work_is_refused(change: dict[str, object], message: str) -> None:
    stated = {name: value for name, value in {**RECOGNIZER, **change}.items() if value is not None}
    with pytest.raises(ValidationError, match=message):
        PolicyGuard.model_validate({"recognizers": [stated]})
