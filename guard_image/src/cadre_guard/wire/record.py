"""What the guard itself knows of a model call; success is decided from this alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cadre_detect.jsonwalk import Json
from cadre_guard.stream.errors import StreamError

MAX_REPLY_CHARACTERS = 32 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class ToolCallRecord:
    """A tool call as the model made it; arguments hold tokens, not values."""

    id: str
    name: str
    arguments_masked: str


@dataclass(frozen=True, slots=True)
class CompletionRecord:
    """The outcome of one model call."""

    finished: bool
    """The model said why it stopped and the reply ended as its format demands."""
    finish_reason: str | None
    usage: Mapping[str, Json] | None
    error: str | None
    tool_calls: tuple[ToolCallRecord, ...]
    text_masked: str
    seals: tuple[str, ...] = ()
    """What the model signed or enciphered and wants back unchanged."""
    error_message: str = ""
    """What the gateway says of the error; a provider's own words are never here."""


class ToolCallIds:
    """Ids unique in a session: servers count `call_0` anew in every reply, and agents join by id."""

    def __init__(self, prefix: str, seen: set[str]) -> None:
        """`prefix`: unique to the model call. `seen`: shared by the session, grows here."""
        self._prefix = prefix
        self._seen = seen

    def assign(self, original: str) -> str:
        """The id itself when it is new to the session, else (or when empty) one that is."""
        unique, number = original, 0
        while not unique or unique in self._seen:
            unique, number = f"{self._prefix}{number}", number + 1
        self._seen.add(unique)
        return unique


@dataclass(slots=True)
class _Call:
    id: str
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Recorder:
    """Gathers a CompletionRecord while a reply passes."""

    def __init__(self, ids: ToolCallIds | None = None) -> None:
        self._ids = ids or ToolCallIds("call_", set())
        self._calls: dict[tuple[int, int], _Call] = {}
        self._text: list[str] = []
        self._size = 0
        self._seals: list[str] = []
        self.ended = False
        self.finish_reason: str | None = None
        self.usage: Mapping[str, Json] | None = None
        self.error: str | None = None
        self.error_message = ""
        self.renamed = 0
        """How often a call's id was not the one the server gave."""

    def text(self, masked: str) -> None:
        """Add reply text."""
        self._grow(masked)
        self._text.append(masked)

    def open_call(self, choice: int, index: int, original_id: str) -> str:
        """The session-wide id of a call, assigned when first seen."""
        call = self._calls.get((choice, index))
        new = call is None
        if call is None:
            call = self._calls[choice, index] = _Call(self._ids.assign(original_id))
        self.renamed += call.id != original_id and (new or bool(original_id))
        return call.id

    @property
    def count(self) -> int:
        """How many calls there are by now."""
        return len(self._calls)

    def call(self, choice: int, index: int, name: str, arguments: str) -> None:
        """Add to an open call's name and arguments."""
        self._grow(arguments)
        call = self._calls[choice, index]
        call.name += name
        call.arguments.append(arguments)

    def seal(self, text: Json) -> None:
        """A signature, or enciphered reasoning, whole."""
        if isinstance(text, str) and text:
            self._grow(text)
            self._seals.append(text)

    def fail(self, error: Json) -> None:
        """Note an error the server put into its reply."""
        names = ("reason", "type", "code") if isinstance(error, Mapping) else ()
        found = [error[name] for name in names if isinstance(error, Mapping) and error.get(name)]
        self.error = self.error or (str(found[0]) if found else "ProviderError")

    def refuse(self, frame: Mapping[str, Json]) -> None:
        """Note the gateway's own last frame: its reason, and its words."""
        self.fail(frame)
        error = frame.get("error")
        told = error.get("message") if isinstance(error, Mapping) else ""
        self.error_message = told if isinstance(told, str) else ""

    def record(self) -> CompletionRecord:
        """What is known by now."""
        calls = tuple(ToolCallRecord(c.id, c.name, "".join(c.arguments)) for c in self._calls.values())
        finished = self.ended and self.finish_reason is not None and self.error is None
        text = "".join(self._text)
        end = (finished, self.finish_reason, self.usage, self.error)
        return CompletionRecord(*end, calls, text, tuple(self._seals), self.error_message)

    def _grow(self, text: str) -> None:
        self._size += len(text)
        if self._size > MAX_REPLY_CHARACTERS:
            raise StreamError("ReplyTooLarge", f"a reply exceeds {MAX_REPLY_CHARACTERS} characters")
