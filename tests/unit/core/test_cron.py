"""Cron: fields, days, time zones and changes of clocks."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cadre_core.cron import CronError, next_due, parse_cron, time_zone

BERLIN = time_zone("Europe/Berlin")
START = datetime(2020, 1, 1, tzinfo=UTC)
AT = st.integers(0, 20 * 365 * 1440).map(lambda minutes: START + timedelta(minutes=minutes))
MINUTE = timedelta(minutes=1)


def field(low: int, high: int) -> st.SearchStrategy[str]:
    number = st.integers(low, high)
    span = st.tuples(number, number).map(lambda pair: f"{min(pair)}-{max(pair)}")
    stepped = st.tuples(st.one_of(st.just("*"), span), st.integers(1, high)).map(lambda p: f"{p[0]}/{p[1]}")
    return st.lists(st.one_of(number.map(str), span, stepped, st.just("*")), min_size=1, max_size=3).map(
        ",".join
    )


@given(field(0, 59), field(0, 23), field(0, 7), AT)
@settings(max_examples=60, deadline=None)
def test_the_next_time_matches_and_none_before_it_does(
    minute: str, hour: str, weekday: str, after: datetime
) -> None:
    cron = parse_cron(f"{minute} {hour} * * {weekday}")
    due = next_due(cron, UTC, after)
    assert due > after
    assert _matches(cron, due)
    probe = after.replace(second=0, microsecond=0) + MINUTE
    for _ in range(500):
        if probe >= due:
            break
        assert not _matches(cron, probe)
        probe += MINUTE


def _matches(cron: object, moment: datetime) -> bool:
    return bool(
        moment.minute in cron.minutes  # type: ignore[attr-defined]
        and moment.hour in cron.hours  # type: ignore[attr-defined]
        and cron.on(moment.date())  # type: ignore[attr-defined]
    )


@given(AT)
@settings(max_examples=100, deadline=None)
def test_each_time_follows_the_last_across_changes_of_clocks(after: datetime) -> None:
    cron = parse_cron("30 2 * * *")
    first = next_due(cron, BERLIN, after)
    second = next_due(cron, BERLIN, first)
    assert timedelta(hours=22) < second - first < timedelta(hours=26)


@pytest.mark.parametrize(
    ("after", "due"),
    [
        ("2026-03-28T12:00+00:00", "2026-03-29T01:00+00:00"),
        ("2026-03-29T01:00+00:00", "2026-03-30T00:30+00:00"),
        ("2026-10-25T00:30+00:00", "2026-10-26T01:30+00:00"),
    ],
)
def test_a_skipped_time_is_due_at_the_end_of_the_gap_and_a_doubled_one_once(after: str, due: str) -> None:
    cron = parse_cron("30 2 * * *")
    assert next_due(cron, BERLIN, datetime.fromisoformat(after)) == datetime.fromisoformat(due)


def test_names_both_day_fields_and_leap_days() -> None:
    friday = next_due(parse_cron("0 9 * jan-mar fri"), UTC, datetime(2026, 4, 1, tzinfo=UTC))
    assert friday == datetime(2027, 1, 1, 9, tzinfo=UTC)
    either = parse_cron("0 0 13 * 5")
    assert next_due(either, UTC, datetime(2026, 1, 3, tzinfo=UTC)) == datetime(2026, 1, 9, tzinfo=UTC)
    leap = next_due(parse_cron("0 0 29 2 *"), UTC, datetime(2097, 1, 1, tzinfo=UTC))
    assert leap == datetime(2104, 2, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "* * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "5-1 * * * *",
        "*/0 * * * *",
        "a * * * *",
        "٣ * * * *",
    ],
)
def test_what_cannot_be_read_is_told(text: str) -> None:
    with pytest.raises(CronError, match=r"field|minute|hour|day|month"):
        parse_cron(text)


def test_a_date_that_never_comes_and_a_zone_that_is_not() -> None:
    with pytest.raises(CronError, match="never"):
        next_due(parse_cron("0 0 31 2 *"), UTC, datetime(2026, 1, 1, tzinfo=UTC))
    with pytest.raises(CronError, match="Atlantis"):
        time_zone("Atlantis/Capital")
