"""When a schedule is due: cron's five fields in a time zone, as pure arithmetic."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

HORIZON_DAYS = 366 * 9
"""29 February comes at least this often, also around a century."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_FIELDS: tuple[tuple[str, int, int, tuple[str, ...]], ...] = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day of month", 1, 31, ()),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 7, _DAYS),
)


class CronError(ValueError):
    """The expression or time zone cannot be read, or is never due; the message names the field."""


@dataclass(frozen=True, slots=True)
class Cron:
    """A parsed expression; make it with `parse_cron`."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """0 = Sunday."""
    either: bool
    """Both day fields are restricted: one of them is enough (POSIX crontab)."""

    def on(self, day: date) -> bool:
        """Whether it is due at some time of this day."""
        if day.month not in self.months:
            return False
        by_day, by_weekday = day.day in self.days, day.isoweekday() % 7 in self.weekdays
        return by_day or by_weekday if self.either else by_day and by_weekday


def parse_cron(text: str) -> Cron:
    """Read `minute hour day-of-month month day-of-week`: lists, ranges, steps, names. Raises CronError."""
    parts = text.split()
    if len(parts) != len(_FIELDS):
        raise CronError(f"{len(parts)} fields instead of 5: minute hour day-of-month month day-of-week")
    minutes, hours, days, months, weekdays = (
        _field(part, *field) for part, field in zip(parts, _FIELDS, strict=True)
    )
    either = not parts[2].startswith("*") and not parts[4].startswith("*")
    return Cron(
        tuple(sorted(minutes)), tuple(sorted(hours)), days, months, frozenset(d % 7 for d in weekdays), either
    )


def time_zone(name: str) -> tzinfo:
    """An IANA time zone. Raises CronError."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise CronError(f"there is no time zone {name}") from error


def next_due(cron: Cron, zone: tzinfo, after: datetime) -> datetime:
    """Return the first time after `after` (aware), in UTC. Raises CronError when it is never due.

    A wall time that a change of clocks skips is due when the gap ends; one that comes twice is due once.
    """
    local = after.astimezone(zone)
    for offset in range(-1, HORIZON_DAYS):
        day = local.date() + timedelta(days=offset)
        if cron.on(day):
            for moment in _moments(cron, day, zone):
                if moment > after:
                    return moment
    raise CronError("this date never comes")


def _moments(cron: Cron, day: date, zone: tzinfo) -> Iterator[datetime]:
    for hour in cron.hours:
        for minute in cron.minutes:
            yield _in_utc(datetime.combine(day, time(hour, minute)), zone)


def _in_utc(wall: datetime, zone: tzinfo) -> datetime:
    moment = wall.replace(tzinfo=zone).astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) == wall:
        return moment
    # skipped by the clocks: read with the offset before the change it lies behind the end of the gap
    before = wall.replace(tzinfo=zone).utcoffset()
    minute = timedelta(minutes=1)
    while (moment - minute).astimezone(zone).utcoffset() != before:
        moment -= minute
    return moment


def _field(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, _, step = part.partition("/")
        first, last = _span(span, name, low, high, names)
        stride = _number(step, name, 1, high, ()) if "/" in part else 1
        if "/" in part and span != "*" and "-" not in span:
            last = high
        found.update(range(first, last + 1, stride))
    return frozenset(found)


def _span(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> tuple[int, int]:
    if text == "*":
        return low, high
    start, dash, end = text.partition("-")
    first = _number(start, name, low, high, names)
    last = _number(end, name, low, high, names) if dash else first
    if last < first:
        raise CronError(f"{name}: {text} runs backwards")
    return first, last


def _number(text: str, name: str, low: int, high: int, names: tuple[str, ...]) -> int:
    if text.lower() in names:
        return names.index(text.lower()) + low
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and low <= int(text) <= high):
        raise CronError(f"{name}: {text or 'nothing'} is not within {low}-{high}")
    return int(text)
