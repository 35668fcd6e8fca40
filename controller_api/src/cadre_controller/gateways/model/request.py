"""A model request: checked as far as the gateway relies on it, and sent on unchanged but for model and
usage.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from cadre_controller.gateways.model.apis import CHAT, Api
from cadre_controller.gateways.tools.mcp.wire import JsonObject
from cadre_controller.refusals import BadRequest

_WORDS = frozenset({"role", "type", "finish_reason", "detail", "status"})
_IDS = frozenset({"id", "tool_call_id", "tool_use_id", "call_id", "previous_response_id", "model"})
_SEALS = frozenset({"signature", "encrypted_content", "thoughtSignature", "thought_signature"})
_WORD = re.compile(r"[a-z_]{1,32}")
_ID = re.compile(r"[\w.:/|-]{1,128}", re.ASCII)
_SEAL = re.compile(r"[\w+/=-]{16,}", re.ASCII)
_CHARS_PER_TOKEN = 3
_DEFAULT_OUTPUT_TOKENS = 4096
_LIMITS = (
    ("max_completion_tokens",),
    ("max_tokens",),
    ("max_output_tokens",),
    ("generationConfig", "maxOutputTokens"),
    ("options", "num_predict"),
)


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """One masked request in one of the APIs."""

    body: Mapping[str, object]
    size: int
    """Bytes of the body as received."""
    api: Api = CHAT

    @property
    def stream(self) -> bool:
        """Whether the guard wants a stream."""
        return self.api.streams if self.api.streams is not None else self.body.get("stream") is True

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
        for path in _LIMITS:
            value: object = self.body
            for name in path:
                value = value.get(name) if isinstance(value, Mapping) else None
            if isinstance(value, int) and value > 0:
                return value
        return _DEFAULT_OUTPUT_TOKENS

    def for_model(self, model: str) -> bytes:
        """The body as the provider gets it."""
        body: JsonObject = {**self.body, "model": model} if self.api.names_model else dict(self.body)
        if self.stream and self.api.counts_on_demand:
            options = self.body.get("stream_options")
            body["stream_options"] = {**(options if isinstance(options, dict) else {}), "include_usage": True}
        return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()

    def parts(self) -> Iterator[tuple[str, ...]]:
        """Every string of the body that could carry a value, keys included, by what comes again unchanged
        with the next request: each member, and each item of a list.
        """
        for key, value in self.body.items():
            if isinstance(value, list):
                yield (key,)
                yield from (tuple(_strings(item)) for item in value)
            elif not _is_structure(key, value):
                yield (key, *_strings(value))


def parse_request(api: Api, body: object, size: int) -> ModelRequest:
    """A request, checked as far as we rely on it; raises BadRequest naming the field."""
    if not isinstance(body, dict):
        raise BadRequest("the body is not a JSON object", f"send a request as {api.name} takes it")
    name = api.texts
    texts = body.get(name)
    if name in ("messages", "contents"):
        if not isinstance(texts, list) or not texts or not all(isinstance(m, dict) for m in texts):
            raise BadRequest(f"{name}: must be a list of at least one message", f"add the field {name}")
    elif not isinstance(texts, str | list) or not texts:
        raise BadRequest(f"{name}: must be a text or a list", f"add the field {name}")
    if body.get("n") not in (None, 1):
        raise BadRequest("n: only one choice is supported", "remove the field n or set it to 1")
    if not isinstance(body.get("stream", False), bool):
        raise BadRequest("stream: must be true or false", "correct the field stream")
    return ModelRequest(body, size, api)


def _is_structure(key: str, item: object) -> bool:
    """Whether a member is the protocol's own and looks it: a random id would pass for a secret."""
    if not isinstance(item, str):
        return False
    forms = ((_WORDS, _WORD), (_IDS, _ID), (_SEALS, _SEAL))
    return any(key in names and form.fullmatch(item) for names, form in forms)


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
