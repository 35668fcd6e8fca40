"""Telephone numbers, accounts, cards, national numbers and dates of birth, and what only looks like them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadre_detect import DetectConfig, Detector
from cadre_detect.entities import DEFAULT_ENTITIES, PHI_ENTITIES

FOUND = [
    ("(581)896-0013x389", "PHONE_NUMBER", "(581)896-0013x389"),
    ("001-581-896-0013x3890", "PHONE_NUMBER", "001-581-896-0013x3890"),
    ("fax 550.857.3607 x12", "PHONE_NUMBER", "550.857.3607 x12"),
    ("06 12 34 56 78", "PHONE_NUMBER", "06 12 34 56 78"),
    ("Téléphone : 01.42.55.99.57", "PHONE_NUMBER", "01.42.55.99.57"),
    ("llame al 612 345 678", "PHONE_NUMBER", "612 345 678"),
    ("unter 0171 2345678", "PHONE_NUMBER", "0171 2345678"),
    ("mobile=0412 600 719", "PHONE_NUMBER", "0412 600 719"),
    ("+49 30 901820 4111 1111 1111 1111", "PHONE_NUMBER", "+49 30 901820"),
    ("+49 30 901820 4111 1111 1111 1111", "CREDIT_CARD", "4111 1111 1111 1111"),
    ("4111111111111111 5500000000000004", "CREDIT_CARD", "5500000000000004"),
    ("card 2221 0000 0000 0009 in use", "CREDIT_CARD", "2221 0000 0000 0009"),
    ("IBAN NL91ABNA0417164300 ok", "IBAN_CODE", "NL91ABNA0417164300"),
    ("GB82 WEST 1234 5698 7654 32, then", "IBAN_CODE", "GB82 WEST 1234 5698 7654 32"),
    ("SSN 536904399", "US_SSN", "536904399"),
    ("SSN on file: 078-05-1120", "US_SSN", "078-05-1120"),
    ("social security number 900 12 3456", "US_SSN", "900 12 3456"),
    ("Reference record: 912-78-1234", "US_SSN", "912-78-1234"),
    ("passport no. 912803456", "US_PASSPORT", "912803456"),
    ("NHS number 401 023 2137", "UK_NHS", "401 023 2137"),
    ("DNI 12345678Z", "ES_NIF", "12345678Z"),
    ("el 12345678Z firmó", "ES_NIF", "12345678Z"),
    ("codice fiscale RSSMRA85T10A562S", "IT_FISCAL_CODE", "RSSMRA85T10A562S"),
    ("PESEL 44051401359", "PL_PESEL", "44051401359"),
    ("dob=1985-03-12", "DATE_OF_BIRTH", "1985-03-12"),
    ("date of birth (March 12, 1985)", "DATE_OF_BIRTH", "March 12, 1985"),
    ("né le 12.03.1985", "DATE_OF_BIRTH", "12.03.1985"),
    ("Geburtsdatum: 12. März 1985", "DATE_OF_BIRTH", "12. März 1985"),
    ("token 123456789:AA" + "b3" * 16 + "x", "ACCESS_TOKEN", "123456789:AA" + "b3" * 16 + "x"),
    ("dop_v1_" + "a1" * 32, "ACCESS_TOKEN", "dop_v1_" + "a1" * 32),
    ("groq gsk_" + "Ab1" * 10, "API_KEY", "gsk_" + "Ab1" * 10),
    (
        "see hooks.slack.com/services/T0A/B0B/" + "x1" * 10,
        "ACCESS_TOKEN",
        "hooks.slack.com/services/T0A/B0B/" + "x1" * 10,
    ),
    ("2a02:1:2::9f", "IP_ADDRESS", "2a02:1:2::9f"),
]

NONE_OF_THEM = [
    "order 08210355, invoice 0304398371, part 0815-4711-22",
    "4111 1111 1111 1112 fails its check digit",
    "DE89370400440532013001 fails its check",
    "12.03.1985 and 1985-03-12 are just dates",
    "000-12-3456, 666-12-3456 and 123-45-6789 were never issued",
    "912 78 1234 boxes, part 912781234, build 912.78.1234",
    "12345678A has the wrong letter, 44051401359 stands alone",
    "population 82 521 653, distance 384 400 000",
    "release 10.14.3.2, version 2.0.0.1",
]


@pytest.fixture(scope="module")
def patterns() -> Detector:
    return Detector(DetectConfig(ner=False, entities=DEFAULT_ENTITIES | PHI_ENTITIES))


@pytest.mark.parametrize(("text", "entity_type", "value"), FOUND)
def test_found(patterns: Detector, text: str, entity_type: str, value: str) -> None:
    assert (entity_type, value) in [(f.entity_type, text[f.start : f.end]) for f in patterns.scan(text)]


JOINTS = [", ", "\n", "\t", "; ", " | ", " "]
SIDE_BY_SIDE = [
    "DE89370400440532013000",
    "GB82 WEST 1234 5698 7654 32",
    "FR1420041010050500013M02606",
    "4111 1111 1111 1111",
    "5500000000000004",
    "536-90-4399",
    "912-78-1234",
    "+49 30 901820",
    "(202) 555-0143",
    "+44 20 7946 0958",
    "81.2.69.142",
    "2a02:1:2::9f",
    "jon.whitfield@acme.example",
    "ghp_" + "aB3dE5gH7j" * 3 + "Kl4Mn6",
    "AKIAQ3EXAMPLE7XYZWVU",
]


@given(values=st.lists(st.sampled_from(SIDE_BY_SIDE), min_size=1, max_size=4), joint=st.sampled_from(JOINTS))
def test_values_side_by_side_are_all_found(patterns: Detector, values: list[str], joint: str) -> None:
    text = joint.join(values)
    rest = list(text)
    for found in patterns.scan(text):
        rest[found.start : found.end] = "\0" * (found.end - found.start)
    left = "".join(rest)
    assert not [value for value in values if value in left], text
    assert not any(c.isalnum() for c in left), text


def test_health_data_is_looked_for_only_where_a_policy_names_it() -> None:
    found = Detector(DetectConfig(ner=False)).scan("NHS number 4010232137")
    assert "UK_NHS" not in {finding.entity_type for finding in found}


@pytest.mark.parametrize("text", NONE_OF_THEM)
def test_left_alone(patterns: Detector, text: str) -> None:
    assert [(f.entity_type, text[f.start : f.end]) for f in patterns.scan(text)] == []
