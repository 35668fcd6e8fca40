"""Frames that differ from an earlier one in a single string need no parser.

A model's stream is thousands of frames with the same bytes around one short string. Once such a frame was
read in full, later ones are recognised by those bytes, and the string is taken out and put back in place.
Whether the string is the only difference is proven by parsing when the shape is learnt, never assumed.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NamedTuple

from cadre_detect.jsonwalk import Json

_MARK = "cadre-shape-mark"
_STRING = re.compile(r'(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*+')
_NUMBER = re.compile(r"\d{1,15}")
_QUOTED = re.compile(r'"[A-Za-z0-9:.+-]*"')
_VARYING = re.compile(
    r'("(?:sequence_number|created|promptTokenCount|candidatesTokenCount|totalTokenCount|thoughtsTokenCount)"'
    r": ?)\d{1,15}(?=[,}])"
    r'|("(?:obfuscation|created_at)": ?)"[A-Za-z0-9:.+-]*"'
)
"""Members that change from frame to frame and mean nothing to what is restored or recorded."""


class Delta(NamedTuple):
    """The one string of a frame that a lane reads: its member name and its text."""

    member: str
    text: str


@dataclass(frozen=True, slots=True)
class Shape:
    """The text around the string: literally, but for members that vary."""

    head: tuple[str | re.Pattern[str], ...]
    tail: tuple[str | re.Pattern[str], ...]

    def find(self, data: str) -> tuple[int, int] | None:
        """Where the string stands in a frame of this shape; None when the frame has another."""
        start = _past(data, 0, self.head)
        if start < 0:
            return None
        match = _STRING.match(data, start)
        end = match.end() if match else start
        return (start, end) if _past(data, end, self.tail) == len(data) else None


def learn(data: str, frame: Json, delta: Delta) -> Shape | None:
    """The shape of a frame whose only news is this delta; None when its place in the text is not certain."""
    found = re.findall(
        f"{re.escape(json.dumps(delta.member))}: ?(?={re.escape(json.dumps(delta.text))})", data
    )
    if len(found) != 1 or "\\" in json.dumps(delta.text) or not delta.text:
        return None
    start = data.index(found[0] + json.dumps(delta.text)) + len(found[0]) + 1
    head, tail = data[:start], data[start + len(delta.text) :]
    places = _Places(delta)
    if json.loads(head + _MARK + tail) != places.marked(frame) or places.count != 1:
        return None
    return Shape(_template(head), _template(tail))


def decoded(text: str) -> str:
    """What the inside of a JSON string says."""
    plain: str = json.loads(f'"{text}"') if "\\" in text else text
    return plain


class _Places:
    def __init__(self, delta: Delta) -> None:
        self._delta = delta
        self.count = 0

    def marked(self, node: Json) -> Json:
        """A copy with the mark wherever the member has the text; counts the places."""
        if isinstance(node, dict):
            return {name: self._member(name, value) for name, value in node.items()}
        if isinstance(node, list):
            return [self.marked(item) for item in node]
        return node

    def _member(self, name: str, value: Json) -> Json:
        if name == self._delta.member and value == self._delta.text:
            self.count += 1
            return _MARK
        return self.marked(value)


def _template(text: str) -> tuple[str | re.Pattern[str], ...]:
    pieces: list[str | re.Pattern[str]] = []
    position = 0
    for match in _VARYING.finditer(text):
        name = match[1] or match[2]
        pieces += [text[position : match.start()] + name, _NUMBER if match[1] else _QUOTED]
        position = match.end()
    return (*pieces, text[position:])


def _past(data: str, position: int, pieces: tuple[str | re.Pattern[str], ...]) -> int:
    """The position after all pieces in order, or -1."""
    for piece in pieces:
        if isinstance(piece, str):
            if not data.startswith(piece, position):
                return -1
            position += len(piece)
        elif match := piece.match(data, position):
            position = match.end()
        else:
            return -1
    return position
