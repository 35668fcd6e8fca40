"""Reads a provider's event stream as it passes: lets whole, valid events through, notes usage and end.

The bytes stay as they came; what is held back is the unfinished rest of an event, so that a cut stream never
leaves half an event at the reader.
"""

import json
from dataclasses import dataclass

from cadre_controller.gateways.model.faults import ModelFault

_MAX_EVENT_BYTES = 4 * 1024 * 1024
_ENDS = (b"\r\n\r\n", b"\n\n", b"\r\r")


@dataclass(frozen=True, slots=True)
class TokenUsage:
    """What the provider says the call used."""

    input_tokens: int
    output_tokens: int


class StreamWatch:
    """`feed(bytes) -> bytes` for one OpenAI chat stream (server-sent events)."""

    def __init__(self) -> None:
        self._held = b""
        self._choices = 0
        self._stopped = False
        self._done = False
        self.usage: TokenUsage | None = None
        self.output_chars = 0
        self.finish_reason = ""

    @property
    def complete(self) -> bool:
        """The model said that it had finished."""
        return self._choices > 0 and (self._stopped or self._done)

    @property
    def started(self) -> bool:
        """At least one choice came."""
        return self._choices > 0

    def feed(self, chunk: bytes) -> bytes:
        """The bytes of all events that are whole now; raises ModelFault(ModelGarbage, ModelError)."""
        self._held += chunk
        end = max((at + len(mark) for mark in _ENDS if (at := self._held.rfind(mark)) >= 0), default=0)
        whole, self._held = self._held[:end], self._held[end:]
        if len(self._held) > _MAX_EVENT_BYTES:
            raise ModelFault("ModelGarbage", "the model sent an event larger than 4 MiB")
        if not end and not _may_begin_event(self._held):
            raise ModelFault("ModelGarbage", "the model's answer is no event stream")
        for line in whole.splitlines():
            self._line(line)
        return whole

    def finish(self) -> bytes:
        """The end of the stream: a last event without its blank line, or ModelFault(ModelStreamCut,
        ModelGarbage).
        """
        rest, self._held = self._held, b""
        if rest.strip():
            self._last_line(rest)
        if not self._choices:
            raise ModelFault("ModelGarbage", "the model's stream was empty")
        if not self.complete:
            raise ModelFault("ModelStreamCut", "the model's stream ended in the middle")
        return rest + b"\n\n" if rest.strip() else b""

    def _last_line(self, rest: bytes) -> None:
        try:
            for line in rest.splitlines():
                self._line(line)
        except ModelFault as fault:
            raise ModelFault(
                "ModelStreamCut", "the model's stream ended in the middle of an event"
            ) from fault

    def _line(self, line: bytes) -> None:
        if not line or line.startswith((b":", b"event:", b"id:", b"retry:")):
            return
        if not line.startswith(b"data:"):
            raise ModelFault("ModelGarbage", "the model's answer is no event stream")
        data = line[5:].strip()
        if data == b"[DONE]":
            self._done = True
        elif data:
            self._event(data)

    def _event(self, data: bytes) -> None:
        try:
            event = json.loads(data)
        except (ValueError, RecursionError) as error:
            raise ModelFault("ModelGarbage", "the model sent an event that is not JSON") from error
        if not isinstance(event, dict):
            raise ModelFault("ModelGarbage", "the model sent an event that is no object")
        if event.get("error"):
            raise ModelFault("ModelError", "the provider reported an error in the stream")
        self.usage = usage_of(event) or self.usage
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else ():
            self._choice(choice)

    def _choice(self, choice: object) -> None:
        if not isinstance(choice, dict):
            raise ModelFault("ModelGarbage", "the model sent a choice that is no object")
        self._choices += 1
        self.output_chars += len(str(choice.get("delta") or ""))
        if isinstance(choice.get("finish_reason"), str):
            self._stopped = True
            self.finish_reason = choice["finish_reason"]


def usage_of(body: dict[str, object]) -> TokenUsage | None:
    """The usage block of a chunk or a whole answer."""
    usage = body.get("usage")
    if not isinstance(usage, dict):
        return None
    prompt, completion = usage.get("prompt_tokens"), usage.get("completion_tokens")
    if not isinstance(prompt, int) or not isinstance(completion, int) or min(prompt, completion) < 0:
        return None
    return TokenUsage(prompt, completion)


def check_whole(raw: bytes) -> tuple[dict[str, object], TokenUsage | None]:
    """A whole (not streamed) answer; raises ModelFault(ModelGarbage, ModelError)."""
    try:
        body = json.loads(raw)
    except (ValueError, RecursionError) as error:
        raise ModelFault("ModelGarbage", "the model's answer is not JSON") from error
    if isinstance(body, dict) and body.get("error"):
        raise ModelFault("ModelError", "the provider reported an error")
    choices = body.get("choices") if isinstance(body, dict) else None
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise ModelFault("ModelGarbage", "the model's answer has no choices")
    return body, usage_of(body)


def _may_begin_event(text: bytes) -> bool:
    """False as soon as the first line cannot be a field of an event."""
    head = text.lstrip(b"\r\n\xef\xbb\xbf")[:6]
    fields = (b"data:", b":", b"event:", b"id:", b"retry:")
    return not head or any(field.startswith(head[: len(field)]) for field in fields)
