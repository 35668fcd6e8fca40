"""Tokens of one person's values show a common part, and only where the values or the chart say so."""

from __future__ import annotations

import pytest

from cadre_detect import TOKEN_RE, make_token
from cadre_detect.linking import People
from cadre_detect.tokens import LINK_LENGTH

KEY = b"k" * 32
CHART = People([("Hanna Keller", "hk@acme.example"), ("Max Ruiz", ""), ("Eva Ruiz", "eva@acme.example")])


def _shared(entity_type: str, value: str, people: People = CHART) -> str:
    token = make_token(KEY, "1", entity_type, value, people.link(entity_type, value))
    assert TOKEN_RE.fullmatch(token)
    start = token.index("x") + 2
    return token[start : start + LINK_LENGTH]


@pytest.mark.parametrize(
    ("entity_type", "value"),
    [
        ("PERSON", "KELLER, Hanna"),
        ("PERSON", "Frau Dr. Hanna Keller"),
        ("PERSON", "Keller"),
        ("PERSON", "H. Keller"),
        ("EMAIL_ADDRESS", "HK@acme.example"),
        ("EMAIL_ADDRESS", "hanna.keller@elsewhere.example"),
    ],
)
def test_spellings_of_a_person_of_the_chart_are_linked(entity_type: str, value: str) -> None:
    assert _shared(entity_type, value) == _shared("PERSON", "Hanna Keller")
    assert make_token(KEY, "1", entity_type, value) != make_token(KEY, "1", "PERSON", "Hanna Keller")


def test_a_family_name_of_two_persons_links_to_neither() -> None:
    assert CHART.link("PERSON", "Ruiz") == ""
    assert _shared("PERSON", "Max Ruiz") != _shared("PERSON", "Eva Ruiz")


def test_strangers_are_linked_by_their_full_name_alone() -> None:
    nobody = People([])
    assert _shared("PERSON", "Jörg Müller", nobody) == _shared(
        "EMAIL_ADDRESS", "joerg_mueller@x.example", nobody
    )
    assert nobody.link("PERSON", "Müller") == nobody.link("EMAIL_ADDRESS", "info@x.example") == ""
    assert nobody.link("PHONE_NUMBER", "Jörg Müller") == ""


def test_a_link_does_not_make_two_values_one_token() -> None:
    spellings = ["Hanna Keller", "Keller, Hanna", "HANNA KELLER", "hanna keller"]
    tokens = {make_token(KEY, "1", "PERSON", each, CHART.link("PERSON", each)) for each in spellings}
    assert len(tokens) == len(spellings)
