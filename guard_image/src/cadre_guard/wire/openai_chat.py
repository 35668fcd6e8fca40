"""OpenAI chat completions, request and whole reply (POST /v1/chat/completions without `stream`)."""

from __future__ import annotations

from collections.abc import Mapping

from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json, Path, WalkRules
from cadre_detect.restore import restore_json
from cadre_guard.stream.errors import StreamError
from cadre_guard.wire.body import items, mutable, number_of, refuse_binary, text_of
from cadre_guard.wire.record import CompletionRecord, Recorder, ToolCallIds

SETTINGS = (
    "model",
    "stream",
    "stream_options",
    "temperature",
    "top_p",
    "n",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "seed",
    "logit_bias",
    "logprobs",
    "top_logprobs",
    "parallel_tool_calls",
    "reasoning_effort",
    "service_tier",
    "store",
    "modalities",
    "verbosity",
)
"""Numbers and words of the API's own, with all below them."""
_CALL = ("tool_calls", "*")


def top_level(*names: str) -> frozenset[Path]:
    """These members of the document, with all below them."""
    return frozenset((name,) for name in names)


def tool_rules(*base: str) -> frozenset[Path]:
    """What of offered tools is the protocol's: kinds and names, not what they say of themselves."""
    tool = (*base, "tools", "*")
    return frozenset({(*tool, "type"), (*tool, "function", "name"), (*tool, "function", "strict")})


def _message(*base: str) -> frozenset[Path]:
    tails = [("role",), ("tool_call_id",), ("content", "*", "type"), ("function_call", "name")]
    tails += [(*_CALL, "id"), (*_CALL, "type"), (*_CALL, "index"), (*_CALL, "function", "name")]
    return frozenset((*base, *tail) for tail in tails)


def _arguments(*base: str) -> frozenset[Path]:
    return frozenset({(*base, *_CALL, "function", "arguments"), (*base, "function_call", "arguments")})


REQUEST = WalkRules(
    structural=top_level(*SETTINGS, "tool_choice", "function_call")
    | tool_rules()
    | {("functions", "*", "name"), ("response_format", "type")}
    | {("response_format", "json_schema", name) for name in ("name", "strict")}
    | _message("messages", "*"),
    embedded=_arguments("messages", "*"),
    schemas=frozenset(
        {
            ("tools", "*", "function", "parameters"),
            ("functions", "*", "parameters"),
            ("response_format", "json_schema", "schema"),
        }
    ),
)
"""What a request means to the protocol; everything else in it is data."""

ENVELOPE = ("id", "object", "created", "model", "usage", "system_fingerprint", "service_tier")

REPLY = WalkRules(
    structural=top_level(*ENVELOPE)
    | frozenset(("choices", "*", name) for name in ("index", "finish_reason", "logprobs"))
    | _message("choices", "*", "message"),
    embedded=_arguments("choices", "*", "message"),
)

_TEXT_PARTS = frozenset({"text", "refusal"})


def check_request(body: Mapping[str, Json]) -> None:
    """Raise DetectionError(UnscannableContent) for images, sound and files."""
    try:
        for message in items(body.get("messages")):
            refuse_binary(mutable(message).get("content"), _TEXT_PARTS)
    except StreamError as error:
        raise DetectionError("BadBody", "messages must be an array of objects") from error


def restore_reply(
    body: Mapping[str, Json], values: Mapping[str, str], ids: ToolCallIds | None = None
) -> tuple[dict[str, Json], CompletionRecord]:
    """The reply with values restored and tool-call ids made unique, and the record of it (masked)."""
    recorder = Recorder(ids)
    recorder.ended = True
    reply = mutable(body)
    if reply.get("error") is not None:
        recorder.fail(reply["error"])
    usage = reply.get("usage")
    recorder.usage = usage if isinstance(usage, Mapping) else None
    reply["choices"] = [
        _choice(mutable(choice), i, recorder) for i, choice in enumerate(items(reply.get("choices")))
    ]
    return mutable(restore_json(reply, values, REPLY)), recorder.record()


def _choice(choice: dict[str, Json], position: int, recorder: Recorder) -> dict[str, Json]:
    index = number_of(choice.get("index"), position)
    message = mutable(choice.get("message"))
    recorder.text(text_of(message.get("content")))
    recorder.finish_reason = text_of(choice.get("finish_reason")) or recorder.finish_reason
    if message.get("tool_calls"):
        calls = enumerate(items(message["tool_calls"]))
        message["tool_calls"] = [_call(mutable(call), index, i, recorder) for i, call in calls]
    return choice | {"message": message}


def _call(call: dict[str, Json], choice: int, index: int, recorder: Recorder) -> dict[str, Json]:
    function = mutable(call.get("function"))
    unique = recorder.open_call(choice, index, text_of(call.get("id")))
    recorder.call(choice, index, text_of(function.get("name")), text_of(function.get("arguments")))
    return call | {"id": unique}
