"""What a run is started with, checked against what the workflow declares."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date

from cadre_api.v1alpha1 import Parameter, ParameterType

MAX_TEXT = 10_000
_NUMBER = re.compile(r"-?[0-9]{1,18}(\.[0-9]{1,9})?")


def check_parameters(
    declared: Sequence[Parameter], given: Mapping[str, object]
) -> tuple[dict[str, object], tuple[str, ...]]:
    """Values by name, each of its type, and what is wrong, one sentence each; texts become numbers where
    numbers are declared."""
    known = {parameter.name: parameter for parameter in declared}
    problems = [_unknown(name, known) for name in sorted(given.keys() - known.keys())]
    values: dict[str, object] = {}
    for name, parameter in known.items():
        raw = given.get(name, parameter.default)
        if raw is None:
            if parameter.required:
                problems.append(f"{name}: is required; give a {parameter.type.value}")
            values[name] = None
            continue
        try:
            values[name] = _READERS[parameter.type](raw)
        except ValueError as error:
            problems.append(f"{name}: {error}")
    return values, tuple(problems)


def _unknown(name: str, known: Mapping[str, Parameter]) -> str:
    return f"{name}: there is no such parameter; use {', '.join(sorted(known)) or 'none'}"


def _string(raw: object) -> object:
    if not isinstance(raw, str) or len(raw) > MAX_TEXT:
        raise ValueError(f"must be a text of {MAX_TEXT} characters at most")
    return raw


def _integer(raw: object) -> object:
    number = _number(raw)
    if isinstance(number, float) and not number.is_integer():
        raise ValueError("must be a whole number")
    return int(number)


def _number(raw: object) -> int | float:
    if isinstance(raw, bool):
        raise ValueError("must be a number")
    if isinstance(raw, str) and _NUMBER.fullmatch(raw):
        return float(raw) if "." in raw else int(raw)
    if isinstance(raw, int | float) and abs(raw) < 10**18:
        return raw
    raise ValueError("must be a number, such as 12 or 0.5")


def _boolean(raw: object) -> object:
    if isinstance(raw, bool):
        return raw
    if raw in ("true", "false"):
        return raw == "true"
    raise ValueError("must be true or false")


def _date(raw: object) -> object:
    try:
        return date.fromisoformat(raw if isinstance(raw, str) else "").isoformat()
    except ValueError:
        raise ValueError("must be a date such as 2027-01-31") from None


_READERS: Mapping[ParameterType, Callable[[object], object]] = {
    ParameterType.STRING: _string,
    ParameterType.INTEGER: _integer,
    ParameterType.NUMBER: _number,
    ParameterType.BOOLEAN: _boolean,
    ParameterType.DATE: _date,
}
