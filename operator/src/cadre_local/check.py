"""One thing that was checked, on a desktop or in a cluster."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Check:
    """The outcome of one check: `Ok`, `Warn` (works with less) or `Fail`."""

    name: str
    result: str
    message: str
    fix: str = ""
