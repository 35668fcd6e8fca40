"""What a session knows of its tokens, and what of it may be restored for the agent."""

import pytest

from cadre_api.protocol.guard import GuardRules, GuardTerm
from cadre_detect import DetectionError
from cadre_detect.masking import Mode
from cadre_detect.rules import detect_config, mask_policy
from cadre_detect.tokens import make_token
from cadre_guard.masking.pairs import SessionPairs
from cadre_guard.masking.rules import entity_of_token


def _token(kind: str, value: str) -> str:
    return make_token(b"k", "0", kind, value)


def test_only_values_within_clearance_can_be_restored() -> None:
    pairs = SessionPairs("s", frozenset({"PII"}))
    mail, iban = _token("EMAIL_ADDRESS", "a@b.c"), _token("IBAN_CODE", "DE1")

    pairs.learn(("EMAIL_ADDRESS", "a@b.c"), mail, "PII")
    pairs.learn(("IBAN_CODE", "DE1"), iban, "FINANCIAL")

    assert pairs.values == {mail: "a@b.c"}
    assert pairs.known == {mail, iban}
    assert pairs.tokens[("IBAN_CODE", "DE1")] == iban


def test_tokens_of_the_controller_may_pass_and_are_asked_for_once() -> None:
    pairs = SessionPairs("s", frozenset({"PII"}))
    person = _token("PERSON", "Ada")

    missing = pairs.admit([f"write to {person}", person])
    pairs.learn_restored(person, "Ada")

    assert missing.count(person) == 1
    assert person in pairs.known
    assert person not in pairs.admit([person])
    assert pairs.tokens[("PERSON", "Ada")] == person


@pytest.mark.parametrize("kind", ["PERSON", "EMAIL_ADDRESS", "IBAN_CODE", "CREDIT_CARD", "API_KEY", "US_SSN"])
def test_the_tag_of_a_token_names_its_type(kind: str) -> None:
    assert entity_of_token(_token(kind, "x")) == kind


def test_a_bundle_s_rules_become_the_detectors() -> None:
    actions = {"ORGANIZATION": "Mask", "MEDICAL_RECORD": "Disabled"}
    rules = GuardRules(
        mode="Detect",
        entity_actions=actions,
        terms=(GuardTerm(text="Ada", entity_type="PERSON"),),
        deny_list=("Falcon",),
    )

    config, policy = detect_config(rules), mask_policy(rules)

    assert "ORGANIZATION" in config.entities and "MEDICAL_RECORD" not in config.entities
    assert [term.text for term in (*config.terms, *config.deny_list)] == ["Ada", "Falcon"]
    assert (policy.default, policy.entities["ORGANIZATION"]) == (Mode.DETECT, Mode.MASK)


def test_a_mode_nobody_knows_is_refused() -> None:
    with pytest.raises(DetectionError) as caught:
        mask_policy(GuardRules(mode="Whatever"))

    assert caught.value.reason == "GuardRulesUnknown"


def test_the_oldest_pairs_go_and_what_they_masked_is_masked_anew() -> None:
    pairs = SessionPairs("s", frozenset({"PII"}))
    before = pairs.history
    for number in range(20_001):
        pairs.learn(("PERSON", f"n{number}"), f"PERSONx0{number:016d}", "PII")

    assert ("PERSON", "n0") not in pairs.tokens and ("PERSON", "n20000") in pairs.tokens
    assert pairs.learned == list(pairs.tokens)
    assert pairs.history is not before
    assert set(pairs.values.values()) == {value for _kind, value in pairs.tokens}
