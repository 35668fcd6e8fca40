"""RE2 behind a typed face: patterns that cannot be made to run for minutes by the text they are run on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol, cast

import re2


class Match(Protocol):
    """The part of a match object in use."""

    def group(self, index: int = 0, /) -> str:
        """Text of a group."""

    def span(self, index: int = 0, /) -> tuple[int, int]:
        """Start and end of a group, in characters; (-1, -1) when it took no part."""


class Pattern(Protocol):
    """The part of a compiled pattern in use."""

    groups: int

    def finditer(self, text: str, /) -> Iterator[Match]:
        """Matches from left to right."""

    def search(self, text: str, /) -> Match | None:
        """The first match."""


def compile_pattern(pattern: str) -> Pattern:
    """Compile RE2 syntax; raises ValueError for what RE2 refuses (look-around, back-references)."""
    options = re2.Options()
    options.log_errors = False
    try:
        return cast("Pattern", re2.compile(pattern, options))
    except re2.error as error:
        raise ValueError(str(error)) from error
