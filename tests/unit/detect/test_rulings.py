"""What a person released is no finding any more, and nothing else is let through by it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cadre_api.protocol.guard import GuardRules, GuardTerm
from cadre_core.lapse import in_force
from cadre_detect import Detector
from cadre_detect.entities import CREDENTIALS, DATA_CLASSES
from cadre_detect.rules import detect_config
from tests.unit.detect.samples import SEEDED

VALUES = (*SEEDED.values(), "Keller", "Hanna", "Jörg von Müller", "Acme", "DE89", "901820", "PRJ-12345")
WORDS = (*VALUES, "HANNA KELLER", "hanna keller", "Hanna Keller-Smith", "wrote", "to", "key:", "-", ",", "\n")
TERMS = (
    GuardTerm(text="Hanna Keller", entity_type="PERSON"),
    GuardTerm(text="Jörg von Müller", entity_type="PERSON"),
)
TYPES = sorted(DATA_CLASSES)


def covered(rules: GuardRules, text: str) -> dict[int, set[str]]:
    """Character -> types of the findings on it."""
    found: dict[int, set[str]] = {}
    for finding in Detector(detect_config(rules)).scan(text):
        for place in range(finding.start, finding.end):
            found.setdefault(place, set()).add(finding.entity_type)
    return found


def occurrences(text: str, value: str) -> set[int]:
    """Characters of a text that belong to the value, in any case."""
    low, needle = text.lower(), value.lower()
    starts = [i for i in range(len(low)) if low.startswith(needle, i)]
    return {i for start in starts for i in range(start, start + len(needle))}


@given(
    words=st.lists(st.sampled_from(WORDS), min_size=1, max_size=12),
    glue=st.sampled_from([" ", ", ", "", "/"]),
    value=st.sampled_from(VALUES),
    kind=st.sampled_from(TYPES),
)
def test_a_release_uncovers_nothing_but_its_value(words: list[str], glue: str, value: str, kind: str) -> None:
    text = glue.join(words)
    rules = GuardRules(terms=TERMS, language_model=False)
    term = GuardTerm(text=value, entity_type=kind)
    before = covered(rules, text)
    after = covered(rules.model_copy(update={"released": (term,)}), text)
    uncovered = before.keys() - after.keys()
    assert uncovered <= occurrences(text, value)
    assert all(kind in before[place] for place in uncovered)
    assert not uncovered or DATA_CLASSES[kind] != CREDENTIALS


@given(
    words=st.lists(st.sampled_from(WORDS), max_size=8),
    value=st.sampled_from(VALUES),
    kind=st.sampled_from(TYPES),
)
def test_what_is_added_is_found_whatever_is_released(words: list[str], value: str, kind: str) -> None:
    text = " ".join([*words, value])
    term = GuardTerm(text=value, entity_type=kind)
    rules = GuardRules(added=(term,), released=(term,), allow_list=(value,), language_model=False)
    found = covered(rules, text)
    assert set(range(len(text) - len(value), len(text))) <= found.keys()


def test_the_whole_of_a_released_name_is_released_its_parts_elsewhere_are_not() -> None:
    released = (GuardTerm(text="Hanna Keller", entity_type="PERSON"),)
    rules = GuardRules(terms=TERMS, released=released, language_model=False)
    text = "Hanna Keller is a brand; ask Keller, or Hanna Keller-Smith."
    assert covered(rules, text).keys() & set(range(12)) == set()
    assert covered(rules, text).keys() >= set(range(29, 35))


def test_secrets_and_what_policy_blocks_stay_whoever_signed_the_rules() -> None:
    key, mail = SEEDED["API_KEY"], SEEDED["EMAIL_ADDRESS"]
    text = f"{key} and {mail}"
    anything = tuple(GuardTerm(text=value, entity_type="") for value in (key, mail))
    named = (GuardTerm(text=key, entity_type="API_KEY"), GuardTerm(text=mail, entity_type="EMAIL_ADDRESS"))
    for released in (anything, named):
        rules = GuardRules(released=released, entity_actions={"EMAIL_ADDRESS": "Block"}, language_model=False)
        assert covered(rules, text) == covered(rules.model_copy(update={"released": ()}), text)
    blocked = GuardRules(mode="Block", released=anything, language_model=False)
    assert covered(blocked, text) == covered(rules, text)


def test_a_ruling_ends_by_itself() -> None:
    now = datetime(2031, 1, 1, tzinfo=UTC)
    short, long = (
        GuardTerm(text=text, entity_type="PERSON", until=now + timedelta(hours=hours))
        for text, hours in (("Ada", 1), ("Eve", 2))
    )
    rules = GuardRules(released=(short,), added=(long, GuardTerm(text="Bob", entity_type="PERSON")))
    assert in_force(rules, now) == (rules, short.until)
    later, then = in_force(rules, now + timedelta(hours=1))
    assert (later.released, later.added, then) == ((), rules.added, long.until)
    over, never = in_force(rules, now + timedelta(hours=2))
    assert (over.added, never) == (rules.added[1:], None)


def test_an_end_without_a_time_zone_is_no_rule() -> None:
    with pytest.raises(ValidationError):
        GuardTerm(text="Ada", entity_type="PERSON", until=datetime(2031, 1, 1))  # noqa: DTZ001
