"""Embeddings (OpenAI's /v1/embeddings, Ollama's /api/embed): text in, numbers out; nothing to restore."""

from __future__ import annotations

from collections.abc import Mapping

from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json, WalkRules
from cadre_guard.wire.record import CompletionRecord, Recorder, ToolCallIds

REQUEST = WalkRules(
    structural=frozenset(
        (name,) for name in ("model", "dimensions", "encoding_format", "truncate", "options", "keep_alive")
    )
)
"""`input` (OpenAI, Ollama) and `prompt` (Ollama's older form) are data, as is whatever else there is."""


def check_request(body: Mapping[str, Json]) -> None:
    """Raise DetectionError(UnscannableContent) for token numbers, which nobody can read."""
    texts = body.get("input", body.get("prompt"))
    if not isinstance(texts, str) and not (
        isinstance(texts, list) and all(isinstance(item, str) for item in texts)
    ):
        raise DetectionError("UnscannableContent", "input must be a text or a list of texts")


def restore_reply(
    body: Mapping[str, Json], values: Mapping[str, str], ids: ToolCallIds | None = None
) -> tuple[dict[str, Json], CompletionRecord]:
    """The reply as it is: vectors."""
    recorder = Recorder(ids)
    recorder.ended, recorder.finish_reason = True, "stop"
    if body.get("error") is not None:
        recorder.fail(body["error"])
    usage = body.get("usage", {"prompt_eval_count": body.get("prompt_eval_count")})
    recorder.usage = usage if isinstance(usage, Mapping) else None
    return dict(body), recorder.record()
