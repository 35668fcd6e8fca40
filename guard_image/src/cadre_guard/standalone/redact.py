"""Values that a model says on its own, masked on their way to the client.

A stream is read in blocks of fixed size, so that the result does not depend on where it was cut. The last
characters of a block wait for the next one: a value that is not over yet must not leave.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace

from typing_extensions import override

import cadre_detect
from cadre_api.protocol.guard import GuardRules
from cadre_detect import Finding, Json, MaskPolicy, Mode, decide_action, restore_json, restore_text
from cadre_detect.entities import TOKEN_LIKE
from cadre_detect.rules import detect_config, mask_policy
from cadre_guard.stream.errors import StreamError
from cadre_guard.stream.lane import RestoreLane
from cadre_guard.wire.anthropic_messages import SEALED

HOLD = 256
"""Characters that wait: longer than any value but a private key, which is known by its first line."""
_STEP = 64
_LONGEST = 16 * 1024
"""A word that is longer may be cut; no value is."""
_CONTEXT = 128
_MAX_ARGUMENTS = 4 * 1024 * 1024
_STRUCTURE = frozenset(
    """
    id object model type role finish_reason stop_reason system_fingerprint service_tier created_at call_id
    name status tool_call_id item_id response_id done_reason modelVersion responseId finishReason
    """.split()  # noqa: SIM905 - a list of words reads better so
)
"""Members of replies that belong to the protocol."""

_DATA = frozenset({"arguments", "partial_json", "input", "args"})
"""Members that hold what goes to a tool, as an object or as its JSON."""
_PIECES = frozenset(
    {
        ("delta",),
        ("response",),
        ("thinking",),
        ("choices", "text"),
        ("choices", "delta", "tool_calls", "function", "arguments"),
        ("candidates", "content", "parts", "text"),
    }
)
_HOLDERS = frozenset({("delta",), ("message",), ("choices", "delta")})
"""Objects whose strings are pieces of texts."""

Path = tuple[str, ...]
MakeToken = Callable[[str, str], str]


class Redactor:
    """Finds values by patterns, lists and context, and puts tokens in their place."""

    def __init__(self, rules: GuardRules, make_token: MakeToken) -> None:
        # a model would be asked for every block of every stream
        # the name is looked up here: a guard that passes replies on as they are does without its 25 MB
        self._detector = cadre_detect.Detector(replace(detect_config(rules), language_model=False))
        self._policy: MaskPolicy = mask_policy(rules)
        self._make_token = make_token

    def text(self, text: str, known: Mapping[str, str]) -> str:
        """A whole text; `known`: tokens of the request, which stay, as do the values behind them."""
        return self.part(text, 0, len(text), known)

    def findings(self, text: str, known: Mapping[str, str]) -> list[Finding]:
        """What is to be masked in a text."""
        own = set(known.values())
        return [
            finding
            for finding in self._detector.scan(text)
            if finding.entity_type != TOKEN_LIKE
            and decide_action(finding, self._policy) in (Mode.MASK, Mode.BLOCK)
            and text[finding.start : finding.end] not in own
        ]

    def part(self, text: str, start: int, end: int, known: Mapping[str, str]) -> str:
        """text[start:end] with what is found in the whole text masked."""
        pieces, position = [], start
        for found in self.findings(text, known):
            first, last = max(found.start, start), min(found.end, end)
            if first < last:
                token = self._make_token(found.entity_type, text[found.start : found.end])
                pieces += [text[position:first], token]
                position = last
        return "".join([*pieces, text[position:end]])

    def document(self, value: Json, known: Mapping[str, str]) -> Json:
        """A whole reply."""
        return self._walk(value, known, (), _nowhere)

    def frame(self, value: Mapping[str, Json], known: Mapping[str, str]) -> dict[str, Json]:
        """A frame of a stream, without the pieces of text that lanes read."""
        masked = self._walk(value, known, (), _is_piece)
        assert isinstance(masked, dict)
        return masked

    def arguments(self, text: str, known: Mapping[str, str]) -> Json:
        """A tool call's arguments; those that are no JSON are text."""
        try:
            return self._data(json.loads(text), known)
        except (ValueError, RecursionError):
            return self.text(text, known)

    def _walk(self, value: Json, known: Mapping[str, str], path: Path, left: Callable[[Path], bool]) -> Json:
        if isinstance(value, str):
            return value if left(path) else self._string(value, known, path[-1] if path else "")
        if isinstance(value, Mapping):
            if value.get("type") in SEALED:
                return value
            return {key: self._member(inner, known, (*path, key), left) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._walk(inner, known, path, left) for inner in value]
        return value

    def _member(
        self, value: Json, known: Mapping[str, str], path: Path, left: Callable[[Path], bool]
    ) -> Json:
        if path[-1] in _DATA and not isinstance(value, str):
            return self._data(value, known)
        return self._walk(value, known, path, left)

    def _string(self, value: str, known: Mapping[str, str], name: str) -> str:
        if name in _STRUCTURE:
            return value
        if name not in _DATA:
            return self.text(value, known)
        masked = self.arguments(value, known)
        return masked if isinstance(masked, str) else json.dumps(masked, ensure_ascii=False)

    def _data(self, value: Json, known: Mapping[str, str]) -> Json:
        """What goes to a tool: every word of it is the model's own, names and numbers too."""
        if isinstance(value, Mapping):
            return {self.text(key, known): self._data(inner, known) for key, inner in value.items()}
        if isinstance(value, list | tuple):
            return [self._data(inner, known) for inner in value]
        if value is None or isinstance(value, bool):
            return value
        masked = self.text(str(value), known)
        return value if masked == str(value) else masked


def _nowhere(path: Path) -> bool:
    return False


def _is_piece(path: Path) -> bool:
    """Whether a string at this place of a frame is a piece of a longer text."""
    return path in _PIECES or (len(path) > 1 and path[:-1] in _HOLDERS)


class RedactingLane(RestoreLane):
    """Text: new values become tokens, known tokens become values."""

    def __init__(self, values: Mapping[str, str], redactor: Redactor) -> None:
        super().__init__(values)
        self._known = values
        self._redactor = redactor
        self._before = ""
        self._waiting = ""
        self._step = _STEP

    @override
    def feed(self, delta: str) -> str:
        """What can be said for certain after this piece."""
        self._waiting += delta
        said = []
        while len(self._waiting) >= HOLD + self._step:
            said.append(self._block(self._waiting[: HOLD + self._step]))
        return "".join(said)

    @override
    def flush(self) -> str:
        """Everything that waited."""
        text, self._waiting = self._waiting, ""
        whole = self._before + text
        said = self._redactor.part(whole, len(self._before), len(whole), self._known)
        self._before = whole[-_CONTEXT:]
        return restore_text(said, self._known)

    def _block(self, block: str) -> str:
        whole = self._before + block
        base = len(self._before)
        cut = self._cut(whole, base + self._step)
        if cut <= base and self._step < _LONGEST:  # one word, or one value: its end is waited for
            self._step *= 2
            return ""
        self._step = _STEP
        if cut <= base:
            cut = len(whole)
        said = self._redactor.part(whole, base, cut, self._known)
        self._waiting = self._waiting[cut - base :]
        self._before = whole[max(0, cut - _CONTEXT) : cut]
        return restore_text(said, self._known)

    def _cut(self, text: str, cut: int) -> int:
        """The last place before `cut` that lies in no word and no finding."""
        spans = [(f.start, f.end) for f in self._redactor.findings(text, self._known)]
        while cut and not text[cut - 1].isspace():
            cut -= 1
        inside = [start for start, end in spans if start < cut < end]
        return min(inside, default=cut)


class RedactingArgumentsLane(RestoreLane):
    """Arguments of a tool call: they wait until they are whole, because only then they can be read."""

    def __init__(self, values: Mapping[str, str], redactor: Redactor) -> None:
        super().__init__(values)
        self._known = values
        self._redactor = redactor
        self._waiting: list[str] = []
        self._size = 0

    @override
    def feed(self, delta: str) -> str:
        """Nothing yet; raises StreamError(ReplyTooLarge) over 4 MiB."""
        self._size += len(delta)
        if self._size > _MAX_ARGUMENTS:
            raise StreamError("ReplyTooLarge", f"arguments exceed {_MAX_ARGUMENTS} characters")
        self._waiting.append(delta)
        return ""

    @override
    def flush(self) -> str:
        """The whole arguments."""
        text, self._waiting = "".join(self._waiting), []
        if not text:
            return ""
        masked = self._redactor.arguments(text, self._known)
        if isinstance(masked, str):
            return restore_text(masked, self._known)
        return json.dumps(restore_json(masked, self._known), ensure_ascii=False)
