"""Guard rules of the protocol as the detector runs them: thresholds, own types, releases and additions."""

from __future__ import annotations

import pytest

from cadre_api.data_classes import class_of
from cadre_api.protocol.guard import GuardRecognizer, GuardRules, GuardTerm
from cadre_detect import Detector
from cadre_detect.entities import DATA_CLASSES, data_class_for
from cadre_detect.rules import check_recognizer, data_class_of, detect_config

TEXT = "Hanna Keller wrote to a.b@corp.example about case C1234."


def _found(rules: GuardRules, text: str = TEXT) -> list[tuple[str, str]]:
    detector = Detector(detect_config(rules))
    return [(f.entity_type, text[f.start : f.end]) for f in detector.scan(text)]


def test_a_threshold_holds_for_its_type_alone() -> None:
    assert ("PERSON", "Hanna Keller") in _found(GuardRules())
    strict = _found(GuardRules(thresholds={"PERSON": 0.99}))
    assert [kind for kind, _ in strict] == ["EMAIL_ADDRESS"]


def test_a_disabled_type_is_not_looked_for() -> None:
    assert [kind for kind, _ in _found(GuardRules(entity_actions={"EMAIL_ADDRESS": "Disabled"}))] == [
        "PERSON"
    ]


def test_an_own_recognizer_has_its_own_class() -> None:
    own = GuardRecognizer(name="case", pattern=r"\bC\d{4}\b", entity="CASE_FILE", data_class="PHI")
    rules = GuardRules(recognizers=(own,), entity_classes={"CASE_FILE": "PHI"})
    found = [f for f in Detector(detect_config(rules)).scan(TEXT) if f.entity_type == "CASE_FILE"]
    assert [(f.data_class, TEXT[f.start : f.end]) for f in found] == [("PHI", "C1234")]
    assert data_class_of(rules, "CASE_FILE") == "PHI"
    assert data_class_of(rules, "CREDIT_CARD") == "FINANCIAL"


def test_a_released_value_is_no_finding_of_that_type() -> None:
    released = (GuardTerm(text="Hanna Keller", entity_type="PERSON"),)
    assert [kind for kind, _ in _found(GuardRules(released=released))] == ["EMAIL_ADDRESS"]
    other = (GuardTerm(text="Hanna Keller", entity_type="ORGANIZATION"),)
    assert "PERSON" in {kind for kind, _ in _found(GuardRules(released=other))}
    of_any = (GuardTerm(text="hanna keller", entity_type=""),)
    assert "PERSON" not in {kind for kind, _ in _found(GuardRules(released=of_any))}


def test_a_release_does_not_reach_beyond_its_value() -> None:
    released = (GuardTerm(text="Keller", entity_type="PERSON"),)
    assert ("PERSON", "Hanna Keller") in _found(GuardRules(released=released))


def test_an_added_value_is_a_finding_of_its_type_whatever_is_released() -> None:
    added = (GuardTerm(text="case C1234", entity_type="MEDICAL_RECORD"),)
    rules = GuardRules(added=added, released=added, allow_list=("case C1234",))
    assert ("MEDICAL_RECORD", "case C1234") in _found(rules)


@pytest.mark.parametrize("pattern", ["(?=x)y", "(x", r"x{2000}", r"(?P<a>x)(?P=a)"])
def test_re2_itself_judges_a_pattern(pattern: str) -> None:
    assert "RE2 syntax" in check_recognizer(GuardRecognizer(name="bad", pattern=pattern, entity="X_Y"))


def test_a_check_that_every_row_of_digits_passes_modulo_97() -> None:
    own = GuardRecognizer(name="member", pattern=r"\b\d{6}\b", entity="MEMBER_NO", checksum="Mod97")
    found = _found(GuardRules(recognizers=(own,)), "members 000098 and 000099")
    assert found == [("MEMBER_NO", "000098")]


def test_classes_are_those_of_the_api() -> None:
    assert all(data_class_for(kind) == class_of(kind).value == name for kind, name in DATA_CLASSES.items())
