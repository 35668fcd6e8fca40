"""Values of a graph as texts in which a masker finds what is personal.

LangGraph serialises to msgpack, where no detector finds anything. Here the shape of a value stands apart, as
letters, and behind it every text of the value, plain, each on lines of its own.
"""

import base64
import binascii
import json
from dataclasses import dataclass, field
from enum import IntEnum
from typing import TypeAlias

import ormsgpack

from cadre_langgraph.names import UUID, letters, unletters

SEPARATOR = "\n\n\x1e\n\n"
_SMALL = 10_000
"""Numbers below say nothing about anybody; larger ones stand where a detector sees them."""
_OPTIONS = ormsgpack.OPT_NON_STR_KEYS | ormsgpack.OPT_PASSTHROUGH_DATACLASS

type_node: TypeAlias = "bool | int | list[type_node] | str | None"


class UnreadableError(ValueError):
    """A kept value cannot be read: something in it is masked that this reader is not cleared for."""


class Tag(IntEnum):
    """What a list in the shape stands for."""

    TEXT = 0
    NUMBER = 1
    LIST = 2
    MAP = 3
    OBJECT = 4
    BYTES = 5
    IDENTIFIER = 6
    TUPLE = 7


@dataclass(frozen=True, slots=True)
class Extension:
    """An object in msgpack: a code, and what it is made of."""

    code: int
    data: bytes


def to_text(value: object) -> str:
    """A value of plain data, bytes and extensions as a text."""
    writer = _Writer()
    shape = writer.node(value)
    return SEPARATOR.join((letters(json.dumps(shape, separators=(",", ":"))), *writer.leaves))


def from_text(text: str) -> object:
    """What `to_text` was given. Raises UnreadableError."""
    head, *leaves = text.split(SEPARATOR)
    try:
        return _read(json.loads(unletters(head)), leaves)
    except (ValueError, IndexError, TypeError, binascii.Error, ormsgpack.MsgpackEncodeError) as error:
        raise UnreadableError("a value is masked, and cannot be read without its clearance") from error


def unpack(data: bytes) -> object:
    """msgpack as plain data and extensions."""
    return ormsgpack.unpackb(data, ext_hook=Extension, option=ormsgpack.OPT_NON_STR_KEYS)


def pack(value: object) -> bytes:
    """The reverse of `unpack`."""
    return ormsgpack.packb(value, default=_packed, option=_OPTIONS)


def _packed(value: object) -> ormsgpack.Ext:
    assert isinstance(value, Extension)
    return ormsgpack.Ext(value.code, value.data)


@dataclass(slots=True)
class _Writer:
    leaves: list[str] = field(default_factory=list)

    def node(self, value: object) -> type_node:
        match value:
            case str():
                return self._text(value)
            case list() | tuple():
                tag = Tag.LIST if isinstance(value, list) else Tag.TUPLE
                return [tag, *(self.node(inner) for inner in value)]
            case dict():
                return [Tag.MAP, *(self.node(part) for item in value.items() for part in item)]
            case Extension():
                return [Tag.OBJECT, value.code, *self._object(value.data)]
            case bytes() | bytearray():
                return self._bytes(bytes(value))
            case _:
                return self._simple(value)

    def _simple(self, value: object) -> type_node:
        match value:
            case None | bool():
                return value
            case int() if abs(value) < _SMALL:
                return value
            case int() | float():
                return [Tag.NUMBER, self._leaf(repr(value))]
            case _:
                raise TypeError(f"a {type(value).__name__} cannot be kept")

    def _text(self, value: str) -> type_node:
        if UUID.fullmatch(value):
            return [Tag.IDENTIFIER, value]
        if _plain(value):
            return [Tag.TEXT, self._leaf(value)]
        return [Tag.BYTES, self._leaf(_base64(value.encode("utf-8", "surrogatepass"))), 1]

    def _object(self, data: bytes) -> list[type_node]:
        """What an object is made of, where that is msgpack again, as all of LangGraph's are."""
        try:
            inner = unpack(data)
            if pack(inner) == data:
                return [self.node(inner)]
        except (ValueError, TypeError):
            pass
        return [self._bytes(data), 1]

    def _bytes(self, data: bytes) -> list[type_node]:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            text = "\x00"
        if _plain(text):
            return [Tag.BYTES, self._leaf(text), 2]
        return [Tag.BYTES, self._leaf(_base64(data)), 0]

    def _leaf(self, text: str) -> int:
        self.leaves.append(text)
        return len(self.leaves) - 1


def _plain(text: str) -> bool:
    return "\x00" not in text and "\x1e" not in text and _encodes(text)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _read(node: object, leaves: list[str]) -> object:
    if not isinstance(node, list):
        return node
    tag, *rest = node
    match Tag(tag):
        case Tag.LIST:
            return [_read(inner, leaves) for inner in rest]
        case Tag.TUPLE:
            return tuple(_read(inner, leaves) for inner in rest)
        case Tag.MAP:
            parts = [_read(inner, leaves) for inner in rest]
            return dict(zip(parts[::2], parts[1::2], strict=True))
        case Tag.OBJECT:
            inner = _read(rest[1], leaves)
            return Extension(rest[0], pack(inner) if len(rest) == 2 else _as_bytes(inner))
        case Tag.IDENTIFIER:
            return rest[0]
        case found:
            return _read_leaf(found, leaves[rest[0]], rest[1:])


def _read_leaf(tag: Tag, leaf: str, kind: list[object]) -> object:
    if tag is Tag.TEXT:
        return leaf
    return _number(leaf) if tag is Tag.NUMBER else _read_bytes(leaf, kind[0])


def _as_bytes(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise TypeError("no bytes")
    return value


def _number(text: str) -> object:
    """A number, or the token that stands for it."""
    try:
        return int(text)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return text


def _read_bytes(leaf: str, kind: object) -> object:
    if kind == 2:
        return leaf.encode()
    data = base64.b64decode(leaf, validate=True)
    return data.decode("utf-8", "surrogatepass") if kind == 1 else data
