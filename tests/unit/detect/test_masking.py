"""Masking in two steps: what is planned is masked, what cannot be masked does not leave."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadre_detect import (
    Blocked,
    DetectionError,
    Finding,
    MaskPolicy,
    Mode,
    apply,
    decide_action,
    make_token,
    plan,
    restore_json,
)
from cadre_detect.jsonwalk import Json, WalkRules
from tests.unit.detect.samples import KEY, SEEDED, patterns_only, tokens_for, values_of

DETECTOR = patterns_only()
POLICY = MaskPolicy()
PIECES = st.sampled_from(
    [*SEEDED.values(), "plain words", '"quoted"', "back\\slash", "\n", "ünïcode", "{", "PRJ-12345"]
)
TEXTS = st.lists(PIECES, max_size=4).map(" ".join)
DOCUMENTS = st.recursive(
    TEXTS | st.none() | st.booleans() | st.integers(-1000, 1000),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def _mask(document: Json, rules: WalkRules | None = None) -> tuple[Json, dict[str, str]]:
    planned = plan(document, DETECTOR, POLICY, rules=rules or WalkRules())
    tokens = tokens_for(planned)
    return apply(planned, tokens), values_of(tokens)


@given(DOCUMENTS)
def test_restoring_undoes_masking(document: Json) -> None:
    masked, values = _mask(document)
    assert restore_json(masked, values) == document
    assert not any(json.dumps(value)[1:-1] in json.dumps(masked) for value in SEEDED.values())


@given(st.lists(st.sampled_from(sorted(SEEDED)), min_size=1, max_size=4))
def test_arguments_in_a_string_stay_json(kinds: list[str]) -> None:
    rules = WalkRules(embedded=frozenset({("arguments",)}))
    original = {"arguments": json.dumps({kind: f'say "{SEEDED[kind]}"\n' for kind in kinds})}
    masked, values = _mask(original, rules)
    assert isinstance(masked, dict) and set(json.loads(masked["arguments"])) == set(kinds)
    assert json.loads(restore_json(masked, values, rules)["arguments"]) == json.loads(original["arguments"])


def test_arguments_with_a_repeated_name_are_masked_as_text() -> None:
    rules = WalkRules(embedded=frozenset({("arguments",)}))
    masked, _ = _mask({"arguments": '{"to":"hanna.keller@acme.example","to":"nobody"}'}, rules)
    assert "hanna" not in str(masked)


def test_number_that_is_a_card_becomes_a_token() -> None:
    masked, values = _mask({"card": 4111111111111111, "count": 3})
    assert isinstance(masked, dict) and masked["count"] == 3
    assert restore_json(masked, values) == {"card": "4111111111111111", "count": 3}


def test_keys_and_unknown_fields_are_masked() -> None:
    masked, _ = _mask({"x-new-field": {"hanna.keller@acme.example": ["Hanna Keller"]}})
    assert "anna" not in str(masked)


def test_structural_positions_keep_their_words_but_hide_nothing() -> None:
    rules = WalkRules(structural=frozenset({("role",), ("tools",)}))
    tool = {"description": "Keller notes", "parameters": {"maximum": 2125550123, "required": ["Mark"]}}
    assert _mask({"role": "user", "tools": [tool]}, rules)[0] == {"role": "user", "tools": [tool]}
    hidden, _ = _mask({"role": "Hanna Keller", "tools": [{"name": "hanna.keller@acme.example"}]}, rules)
    assert "anna" not in str(hidden)


def test_found_once_is_masked_everywhere() -> None:
    class OnlyFirst:
        def scan(self, text: str, *, prose: bool = True) -> list[Finding]:
            found = text.startswith("From: Zyx Wvut")
            return [Finding("PERSON", 6, 14, 0.7, "PII")] if found else []

    document = ["From: Zyx Wvut", "cc zyx wvut", "Zyx%20Wvut", {"Zyx Wvut": 1}, "Zyx Wvuting"]
    planned = plan(document, OnlyFirst(), POLICY)
    masked = apply(planned, tokens_for(planned))
    assert isinstance(masked, list) and masked[4] == "Zyx Wvuting"
    assert "wvut" not in str(masked[:4]).lower()


def test_values_seen_earlier_are_masked_again() -> None:
    planned = plan("meet Zyx Wvut", DETECTOR, POLICY, seen=[("PERSON", "Zyx Wvut")])
    assert planned.entities == {("PERSON", "Zyx Wvut")}


def test_look_alike_is_rekeyed_and_an_issued_token_stays() -> None:
    issued = make_token(KEY, "1", "PERSON", "Keller")
    forged = "PERSONx1abcdefghjkmnpqrs"
    text = f"{issued} {forged} X{issued}"
    planned = plan(text, DETECTOR, POLICY, known_tokens={issued})
    assert planned.entities == {("TOKEN_LIKE", forged)}
    tokens = tokens_for(planned)
    masked = apply(planned, tokens)
    assert restore_json(masked, {**values_of(tokens), issued: "Keller"}) == f"Keller {forged} XKeller"


def test_modes_by_entity_then_class_then_default() -> None:
    policy = MaskPolicy(Mode.DETECT, {"FINANCIAL": Mode.MASK}, {"IBAN_CODE": Mode.BLOCK})
    kinds = [("PERSON", "PII"), ("CREDIT_CARD", "FINANCIAL"), ("IBAN_CODE", "FINANCIAL")]
    modes = [decide_action(Finding(kind, 0, 1, 1.0, data_class), policy) for kind, data_class in kinds]
    assert modes == [Mode.DETECT, Mode.MASK, Mode.BLOCK]


def test_detect_counts_and_masks_nothing() -> None:
    planned = plan("Hanna Keller", DETECTOR, MaskPolicy(Mode.DETECT))
    assert (planned.entities, planned.counts) == (frozenset(), {"PERSON": 1})
    assert apply(planned, {}) == "Hanna Keller"


def test_disabled_does_nothing() -> None:
    planned = plan("Hanna Keller PERSONx1abcdefghjkmnpqrs", DETECTOR, MaskPolicy(Mode.DISABLED))
    assert (planned.entities, planned.counts) == (frozenset(), {})


def test_block_names_types_and_no_value() -> None:
    policy = MaskPolicy(classes={"CREDENTIALS": Mode.BLOCK})
    with pytest.raises(Blocked) as caught:
        plan({"text": f"Hanna Keller {SEEDED['API_KEY']}"}, DETECTOR, policy)
    assert (caught.value.reason, caught.value.entity_types) == ("CredentialsBlocked", ("API_KEY",))
    assert SEEDED["API_KEY"] not in str(caught.value)


def test_a_missing_token_lets_nothing_out() -> None:
    with pytest.raises(DetectionError) as caught:
        apply(plan("Hanna Keller", DETECTOR, POLICY), {})
    assert caught.value.reason == "TokenMissing"


def test_bottomless_nesting_is_refused() -> None:
    document: Json = "x"
    for _ in range(100):
        document = [document]
    with pytest.raises(DetectionError) as caught:
        plan(document, DETECTOR, POLICY)
    assert caught.value.reason == "TooDeep"
