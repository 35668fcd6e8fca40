"""Reading a YAML mapping strictly: a scenario that says something unknown is refused, with place and fix.

A misspelt key in a test scenario would otherwise be a rule that silently never matches.
"""

import difflib
import re
from collections.abc import Callable, Mapping
from typing import TypeVar

T = TypeVar("T")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


class ScenarioError(ValueError):
    """The scenario file cannot be played; the message names the place and what is wrong with it."""


class Reader:
    """One mapping of the file, and where it is."""

    def __init__(self, value: object, path: str) -> None:
        """Wrap `value`; ScenarioError unless it is a mapping with text keys."""
        if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
            raise ScenarioError(f"{path or 'file'}: expected a mapping, found {_kind(value)}")
        self._items: dict[str, object] = dict(value)
        self.path = path

    def only(self, *known: str) -> None:
        """Refuse keys that are not in `known`."""
        for key in self._items:
            if key not in known:
                near = difflib.get_close_matches(key, known, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(known)}"
                raise ScenarioError(f"{self.at(key)}: unknown key; {hint}")

    def at(self, key: str) -> str:
        """Path of a key, for messages."""
        return f"{self.path}.{key}" if self.path else key

    def has(self, key: str) -> bool:
        """Whether the key is written and not null."""
        return self._items.get(key) is not None

    def raw(self, key: str) -> object:
        """Value as YAML gave it."""
        return self._items.get(key)

    def text(self, key: str, default: str | None = None) -> str:
        """Text; ScenarioError when it is missing and has no default."""
        return self._typed(key, str, "text", default)

    def integer(self, key: str, default: int | None = None) -> int:
        """Non-negative integer."""
        value = self._typed(key, int, "an integer", default)
        if isinstance(value, bool) or value < 0:
            raise ScenarioError(f"{self.at(key)}: expected an integer of 0 or more, found {value!r}")
        return value

    def flag(self, key: str) -> bool | None:
        """True, false, or None when not written."""
        return self._typed(key, bool, "true or false", False) if self.has(key) else None

    def seconds(self, key: str, default: float = 0.0) -> float:
        """Duration such as `250ms`, `2s` or `1m`, in seconds."""
        if not self.has(key):
            return default
        match = _DURATION.fullmatch(str(self._items[key]))
        if match is None:
            raise ScenarioError(f"{self.at(key)}: expected a duration such as 250ms or 2s")
        return float(match[1]) * _SECONDS[match[2]]

    def texts(self, key: str) -> tuple[str, ...]:
        """One text or a list of them."""
        value = self._items.get(key)
        if value is None:
            return ()
        found = value if isinstance(value, list) else [value]
        if not all(isinstance(item, str) for item in found):
            raise ScenarioError(f"{self.at(key)}: expected text or a list of texts")
        return tuple(found)

    def child(self, key: str) -> "Reader":
        """Nested mapping; empty when not written."""
        return Reader(self._items.get(key) or {}, self.at(key))

    def children(self, key: str, build: Callable[["Reader"], T]) -> tuple[T, ...]:
        """Nested list of mappings, each built by `build`."""
        value = self._items.get(key)
        if value is None:
            return ()
        if not isinstance(value, list):
            raise ScenarioError(f"{self.at(key)}: expected a list, found {_kind(value)}")
        return tuple(build(Reader(item, f"{self.at(key)}[{n}]")) for n, item in enumerate(value))

    def keys(self) -> tuple[str, ...]:
        """Keys as written."""
        return tuple(self._items)

    def _typed(self, key: str, wanted: type[T], words: str, default: T | None) -> T:
        value = self._items.get(key)
        if value is None:
            if default is None:
                raise ScenarioError(f"{self.at(key)}: missing; write {words}")
            return default
        if not isinstance(value, wanted):
            raise ScenarioError(f"{self.at(key)}: expected {words}, found {_kind(value)}")
        return value


def _kind(value: object) -> str:
    return "nothing" if value is None else f"{type(value).__name__} {value!r:.60}"
