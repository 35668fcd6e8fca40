"""Reading the quantities of the API: durations, money and resource quantities are strings in YAML.

Strings keep YAML exact (no float money) and look as Kubernetes users expect; code reads them here.
"""

import re
from datetime import timedelta
from decimal import Decimal

DURATION_PATTERN = r"^([0-9]{1,9}(\.[0-9]{1,3})?(ms|s|m|h))+$"
MONEY_PATTERN = r"^(0|[1-9][0-9]{0,11})(\.[0-9]{1,6})?$"
QUANTITY_PATTERN = r"^[0-9]{1,15}(\.[0-9]{1,9})?(m|k|Ki|M|Mi|G|Gi|T|Ti|P|Pi|E|Ei)?$"

_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h)")
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000}
_SUFFIXES = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000)}
_SUFFIXES |= {name: Decimal(1000) ** (i + 2) for i, name in enumerate("MGTPE")}
_SUFFIXES |= {f"{name}i": Decimal(1024) ** (i + 1) for i, name in enumerate("KMGTPE")}


def parse_duration(text: str) -> timedelta:
    """Read a Go duration such as `30m`, `8h` or `1h30m` (units h, m, s, ms); ValueError if it is none."""
    if not re.fullmatch(DURATION_PATTERN[1:-1], text):
        raise ValueError(
            f"{text!r} is not a duration: write numbers with h, m, s or ms, such as 30m or 1h30m"
        )
    total = sum((Decimal(n) * _MILLISECONDS[unit] for n, unit in _PART.findall(text)), Decimal(0))
    try:
        return timedelta(microseconds=int(total * 1000))
    except OverflowError as error:
        raise ValueError(f"{text!r} is too long for a duration") from error


def parse_money(text: str) -> Decimal:
    """Read a non-negative decimal amount such as `250.00`, exactly; ValueError if it is none."""
    if not re.fullmatch(MONEY_PATTERN[1:-1], text):
        raise ValueError(
            f'{text!r} is not an amount: write a decimal with a point and quotes, such as "250.00"'
        )
    return Decimal(text)


def parse_quantity(text: str) -> Decimal:
    """Read a Kubernetes quantity such as `500m` or `1Gi` in its base unit (cores, bytes); ValueError if
    none."""
    if not re.fullmatch(QUANTITY_PATTERN[1:-1], text):
        raise ValueError(f"{text!r} is not a quantity: write a number with a suffix, such as 500m or 1Gi")
    number = text.rstrip("mkKMGTPEi")
    return Decimal(number) * _SUFFIXES[text[len(number) :]]
