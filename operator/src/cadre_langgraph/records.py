"""What is kept of a checkpoint and of the writes of a task, as texts and back."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

from langgraph.checkpoint.serde.base import SerializerProtocol

from cadre_langgraph.names import letters, unletters
from cadre_langgraph.texts import UnreadableError, from_text, pack, to_text, unpack

_FRAME = ("v", "ts", "id", "channel_versions", "versions_seen", "updated_channels")
"""What LangGraph itself says of a checkpoint: names out of the program, counters, and no value."""
_MSGPACK = "msgpack"


@dataclass(frozen=True, slots=True)
class Kept:
    """A checkpoint without the values of its channels."""

    thread: str
    ns: str
    parent: str
    """Id of the checkpoint before it, or nothing."""
    checkpoint: Mapping[str, object]
    metadata: Mapping[str, object]

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.checkpoint["id"])

    @property
    def versions(self) -> Mapping[str, object]:
        """Version of each channel."""
        found = self.checkpoint["channel_versions"]
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True, slots=True)
class Write:
    """What a task wrote to a channel."""

    task: str
    index: int
    channel: str
    path: str
    typed: tuple[str, bytes]


def kept_text(kept: Kept, serde: SerializerProtocol) -> str:
    """A checkpoint as a text."""
    frame = {name: kept.checkpoint[name] for name in _FRAME if name in kept.checkpoint}
    more = {name: value for name, value in kept.checkpoint.items() if name not in _FRAME}
    return to_text([
        kept.thread, re.split(r"([:|])", kept.ns), kept.parent, letters(json.dumps(frame)),
        _plain(serde, more), _plain(serde, kept.metadata),
    ])  # fmt: skip


def kept_of(text: str, serde: SerializerProtocol) -> Kept:
    """The reverse of `kept_text`. Raises UnreadableError."""
    match from_text(text):
        case [str(thread), list(ns), str(parent), str(frame), more, metadata]:
            checkpoint = json.loads(unletters(frame)) | _map(_value(serde, more))
            return Kept(thread, "".join(map(str, ns)), parent, checkpoint, _map(_value(serde, metadata)))
        case _:
            raise UnreadableError("this is no checkpoint")


def typed_text(typed: tuple[str, bytes]) -> str:
    """What a serialiser made, as a text."""
    return to_text(_opened(typed))


def typed_of(text: str) -> tuple[str, bytes]:
    """The reverse of `typed_text`. Raises UnreadableError."""
    return _closed(from_text(text))


def writes_text(writes: Mapping[int, Write]) -> str:
    """The writes of one task as a text."""
    return to_text([[w.task, w.index, w.channel, w.path, _opened(w.typed)] for w in writes.values()])


def writes_of(text: str) -> dict[int, Write]:
    """The reverse of `writes_text`, by index. Raises UnreadableError."""
    found = from_text(text)
    writes = [_write(item) for item in found] if isinstance(found, list) else []
    return {write.index: write for write in writes}


def _write(item: object) -> Write:
    match item:
        case [str(task), int(index), str(channel), str(path), typed]:
            return Write(task, index, channel, path, _closed(typed))
        case _:
            raise UnreadableError("this is no write")


def _plain(serde: SerializerProtocol, value: object) -> list[object]:
    return _opened(serde.dumps_typed(value))


def _value(serde: SerializerProtocol, opened: object) -> object:
    return serde.loads_typed(_closed(opened))


def _opened(typed: tuple[str, bytes]) -> list[object]:
    """msgpack is opened, so that its texts are seen; anything else stays bytes, as encrypted values must."""
    kind, data = typed
    return [kind, unpack(data) if kind == _MSGPACK else data]


def _closed(opened: object) -> tuple[str, bytes]:
    match opened:
        case [str(kind), inner] if kind == _MSGPACK:
            return kind, pack(inner)
        case [str(kind), bytes(data)]:
            return kind, data
        case _:
            raise UnreadableError("this is no value of a graph")


def _map(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise UnreadableError("this is no checkpoint")
    return value
