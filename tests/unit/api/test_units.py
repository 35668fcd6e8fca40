"""Durations, money and quantities are read exactly, or refused."""

from datetime import timedelta
from decimal import Decimal

import pytest

from cadre_api.units import parse_duration, parse_money, parse_quantity


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("30m", timedelta(minutes=30)),
        ("8h", timedelta(hours=8)),
        ("1h30m", timedelta(minutes=90)),
        ("1.5h", timedelta(minutes=90)),
        ("250ms", timedelta(milliseconds=250)),
        ("0s", timedelta()),
        ("120s", timedelta(minutes=2)),
    ],
)
def test_durations(text: str, expected: timedelta) -> None:
    assert parse_duration(text) == expected


@pytest.mark.parametrize(
    "text", ["", "30", "1d", "-1h", "1 h", "h", "1h ", "1.h", "٣m", "999999999h999999999h\n"]
)
def test_what_is_no_duration_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        parse_duration(text)


def test_a_duration_beyond_reason_is_refused() -> None:
    with pytest.raises(ValueError, match="too long"):
        parse_duration("999999999h" * 100)


def test_money_is_exact() -> None:
    assert parse_money("0.10") + parse_money("0.20") == Decimal("0.30")


@pytest.mark.parametrize("text", ["", "-1", "1,5", "1e3", ".5", "01", "1.", "NaN", "1.1234567", "1\n"])
def test_what_is_no_money_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not an amount"):
        parse_money(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("500m", "0.5"), ("2", "2"), ("1Gi", "1073741824"), ("1.5k", "1500"), ("1E", "1e18")],
)
def test_quantities(text: str, expected: str) -> None:
    assert parse_quantity(text) == Decimal(expected)


@pytest.mark.parametrize("text", ["", "1 Gi", "1g", "m", "-1", "1GiB"])
def test_what_is_no_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a quantity"):
        parse_quantity(text)
