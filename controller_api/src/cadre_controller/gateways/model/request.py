"""An OpenAI chat body: checked as far as the gateway relies on it, and sent on unchanged but for model and
usage.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cadre_controller.gateways.tools.mcp.wire import JsonObject
from cadre_controller.refusals import BadRequest

_WORDS = frozenset({"role", "type", "finish_reason", "detail"})
_IDS = frozenset({"id", "tool_call_id", "model"})
_WORD = re.compile(r"[a-z_]{1,32}")
_ID = re.compile(r"[\w.:/|-]{1,128}", re.ASCII)
_CHARS_PER_TOKEN = 3
_DEFAULT_OUTPUT_TOKENS = 4096


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One masked chat request."""

    body: Mapping[str, object]
    size: int
    """Bytes of the body as received."""

    @property
    def stream(self) -> bool:
        """Whether the guard wants server-sent events."""
        return self.body.get("stream") is True

    @property
    def wants_usage(self) -> bool:
        """Whether the guard asked for the usage chunk itself."""
        options = self.body.get("stream_options")
        return isinstance(options, dict) and options.get("include_usage") is True

    def input_tokens(self) -> int:
        """An upper estimate of what goes in."""
        return self.size // _CHARS_PER_TOKEN + 16

    def output_tokens(self) -> int:
        """An upper estimate of what comes out."""
        for name in ("max_completion_tokens", "max_tokens"):
            value = self.body.get(name)
            if isinstance(value, int) and value > 0:
                return value
        return _DEFAULT_OUTPUT_TOKENS

    def for_model(self, model: str) -> bytes:
        """The body as the provider gets it."""
        body: JsonObject = {**self.body, "model": model}
        if self.stream:
            options = self.body.get("stream_options")
            body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    def texts(self) -> Iterator[str]:
        """Every string of the body that could carry a value, keys included."""
        yield from _strings(self.body)


def parse_chat(body: object, size: int) -> ChatRequest:
    """A chat request; raises BadRequest naming the field."""
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object", "send an OpenAI chat completions request")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages or not all(isinstance(m, dict) for m in messages):
        raise BadRequest("messages: must be a list of at least one message", "add the field messages")
    if body.get("n") not in (None, 1):
        raise BadRequest("n: only one choice is supported", "remove the field n or set it to 1")
    if not isinstance(body.get("stream", False), bool):
        raise BadRequest("stream: must be true or false", "correct the field stream")
    return ChatRequest(body, size)


def _is_structure(key: str, item: object) -> bool:
    """Whether a member is the protocol's own and looks it: a random id would pass for a secret."""
    if not isinstance(item, str):
        return False
    return bool((key in _WORDS and _WORD.fullmatch(item)) or (key in _IDS and _ID.fullmatch(item)))


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, item in value.items():
            if not _is_structure(key, item):
                yield key
                yield from _strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) >= 1_000_000:
        yield str(value)
