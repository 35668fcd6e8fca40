"""One lane of a stream: text that arrives in pieces, with tokens restored wherever the pieces were cut.

A lane holds back the longest suffix that could still become a token (at most 33 characters) and nothing else,
so that text flows as it comes. What never became a token is emitted as it stood; a truncated token is never
guessed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from typing_extensions import override

from cadre_detect.restore import resolve_match, restore_arguments, restore_text
from cadre_detect.tokens import ID_LENGTH, find_tokens, holdback

_BROKEN_OFF = r"\\(?:u[0-9a-fA-F]{0,3})?\Z"
_UNIT = re.compile(rf"[^\\]|\\u[0-9a-fA-F]{{4}}|{_BROKEN_OFF}|\\.", re.DOTALL)
_FOREIGN = "\0"
_CAPITAL = re.compile("[A-Z]")
"""What every token begins with."""
_SHORTEST = 4 + ID_LENGTH


class RestoreLane:
    """Restores plain text; `values` maps tokens to values and may grow while the lane is in use."""

    def __init__(self, values: Mapping[str, str]) -> None:
        self._values = values
        self._carry = ""

    def feed(self, delta: str) -> str:
        """What can be said for certain after this piece."""
        if not self._carry and not _CAPITAL.search(delta):
            return delta
        text = self._carry + delta
        cut = holdback(text)
        self._carry = text[cut:]
        return self._plain(text[:cut])

    def _plain(self, text: str) -> str:
        return restore_text(text, self._values) if len(text) >= _SHORTEST else text

    def flush(self) -> str:
        """What was held back, as it stands; the lane can be fed again."""
        rest, self._carry = self._carry, ""
        return rest


class SealedLane(RestoreLane):
    """Passes text as it is: signed, or not to be read by anyone but the model."""

    @override
    def feed(self, delta: str) -> str:
        """The piece itself."""
        return delta


class JsonRestoreLane(RestoreLane):
    """Restores the text of a JSON document (tool-call arguments), so that it parses whenever the original
    does.

    A token may arrive with its characters escaped (RFC 8259, 7); a value is written escaped.
    """

    @override
    def feed(self, delta: str) -> str:
        """What can be said for certain after this piece."""
        if "\\" not in delta and "\\" not in self._carry:
            return super().feed(delta)
        text = self._carry + delta
        units = _UNIT.findall(text)
        plain = "".join(map(_meaning, units))
        whole = len(units) - bool(units and re.match(_BROKEN_OFF, units[-1]))
        cut = holdback(plain[:whole])
        complete = sum(map(len, units[:cut]))
        self._carry = text[complete:]
        return self._restored(units[:cut], plain[:cut])

    @override
    def _plain(self, text: str) -> str:
        return restore_arguments(text, self._values) if len(text) >= _SHORTEST else text

    def _restored(self, units: list[str], plain: str) -> str:
        pieces: list[str] = []
        position = 0
        for match in find_tokens(plain):
            resolved = resolve_match(match.text, self._values)
            if resolved:
                glued, value = resolved
                pieces += units[position : match.start + len(glued)]
                pieces.append(json.dumps(value)[1:-1])
                position = match.end
        return "".join([*pieces, *units[position:]])


def _meaning(unit: str) -> str:
    """The character a unit stands for, if it can be part of a token."""
    if len(unit) == 1:
        return unit
    if len(unit) != 6:
        return _FOREIGN
    return chr(int(unit.removeprefix("\\u"), base=16))
