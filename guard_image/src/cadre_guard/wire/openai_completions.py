"""OpenAI's legacy completions (POST /v1/completions): a prompt and its continuation."""

from __future__ import annotations

from collections.abc import Mapping

from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json, WalkRules
from cadre_detect.restore import restore_json
from cadre_guard.wire.body import items, mutable, text_of
from cadre_guard.wire.openai_chat import ENVELOPE, SETTINGS, top_level
from cadre_guard.wire.openai_stream import OpenAIStreamRestorer
from cadre_guard.wire.record import CompletionRecord, Recorder, ToolCallIds

REQUEST = WalkRules(structural=top_level(*SETTINGS, "best_of", "echo"))
"""The prompt, the suffix and whatever else there is are data."""

_REPLY = WalkRules(
    structural=top_level(*ENVELOPE)
    | frozenset(("choices", "*", name) for name in ("index", "finish_reason", "logprobs"))
)


def check_request(body: Mapping[str, Json]) -> None:
    """Raise DetectionError(UnscannableContent) for a prompt of token numbers: nobody can read it."""
    prompt = body.get("prompt")
    if isinstance(prompt, list) and not all(isinstance(item, str) for item in prompt):
        raise DetectionError("UnscannableContent", "send the prompt as text, not as token numbers")


def restore_reply(
    body: Mapping[str, Json], values: Mapping[str, str], ids: ToolCallIds | None = None
) -> tuple[dict[str, Json], CompletionRecord]:
    """The reply with values restored, and the record of it (masked)."""
    recorder = Recorder(ids)
    recorder.ended = True
    if body.get("error") is not None:
        recorder.fail(body["error"])
    usage = body.get("usage")
    recorder.usage = usage if isinstance(usage, Mapping) else None
    for item in items(body.get("choices")):
        choice = mutable(item)
        recorder.text(text_of(choice.get("text")))
        recorder.finish_reason = text_of(choice.get("finish_reason")) or recorder.finish_reason
    return mutable(restore_json(body, values, _REPLY)), recorder.record()


CompletionStreamRestorer = OpenAIStreamRestorer
