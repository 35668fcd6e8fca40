"""One difference, and whether it gives or takes; what cannot be judged counts as giving."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Change(StrEnum):
    """What a new chart means for an agent."""

    ADDED = "Added"
    REMOVED = "Removed"
    WIDENED = "Widened"
    """It may do more, or something that cannot be compared: consent is asked again."""
    NARROWED = "Narrowed"
    """It may do less and nothing more: applies at once."""
    CHANGED = "Changed"
    """Other words, same rights."""
    SAME = "Same"


@dataclass(frozen=True, slots=True)
class AgentChange:
    """The change of one agent, with a line for each difference (`+` gives, `-` takes, `~` alters)."""

    agent: str
    change: Change
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Finding:
    """A difference and its direction."""

    change: Change
    line: str


def wider(what: str) -> Finding:
    """Note something given."""
    return Finding(Change.WIDENED, f"+ {what}")


def narrower(what: str) -> Finding:
    """Note something taken."""
    return Finding(Change.NARROWED, f"- {what}")


def altered(what: str, rights: bool = False) -> Finding:
    """Note something that is merely different; a difference in rights counts as given."""
    return Finding(Change.WIDENED if rights else Change.CHANGED, f"~ {what}")


def members(what: str, old: Iterable[str], new: Iterable[str], gives: bool = True) -> Iterable[Finding]:
    """Compare two sets; `gives` = a new member widens (a removed one narrows), else the other way round."""
    before, after = set(old), set(new)
    added, removed = (Change.WIDENED, Change.NARROWED) if gives else (Change.NARROWED, Change.WIDENED)
    yield from (Finding(added, f"+ {what} {name}") for name in sorted(after - before))
    yield from (Finding(removed, f"- {what} {name}") for name in sorted(before - after))


def redefined(what: str, old: Mapping[str, str], new: Mapping[str, str]) -> Iterable[Finding]:
    """Note members of both whose definition differs."""
    both = sorted(old.keys() & new.keys())
    yield from (
        altered(f"{what} {name} is defined differently", True) for name in both if old[name] != new[name]
    )


def verdict(findings: Iterable[Finding]) -> Change:
    """Sum up: anything that widens makes it Widened."""
    kinds = {finding.change for finding in findings}
    for change in (Change.WIDENED, Change.NARROWED, Change.CHANGED):
        if change in kinds:
            return change
    return Change.SAME
