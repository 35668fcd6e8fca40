"""Gemini's native API (POST …:generateContent), request and whole reply; names in camelCase or snake_case.

Function calls come whole, with arguments as an object. A thought signature goes back as it came.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cadre_detect.errors import DetectionError
from cadre_detect.jsonwalk import Json, Path, WalkRules
from cadre_detect.restore import restore_json
from cadre_guard.stream.errors import StreamError
from cadre_guard.wire.body import encode_body, items, mutable, number_of, text_of
from cadre_guard.wire.openai_chat import top_level
from cadre_guard.wire.record import CompletionRecord, Recorder, ToolCallIds

_CONFIG = ("generationConfig", "generation_config")
_GENERATION = (
    *("temperature", "topP", "topK", "top_p", "top_k", "candidateCount", "maxOutputTokens", "seed"),
    *("responseMimeType", "response_mime_type", "responseModalities", "thinkingConfig", "thinking_config"),
    *("presencePenalty", "frequencyPenalty", "responseLogprobs", "logprobs", "mediaResolution"),
)
_CALL_NAMES = (("functionCall", "id"), ("functionCall", "name"))
_RESULT_NAMES = (("functionResponse", "id"), ("functionResponse", "name"))
_SIGNATURES = ("thoughtSignature", "thought_signature")
_DECLARED = (("tools", "*", "functionDeclarations", "*"), ("tools", "*", "function_declarations", "*"))
_SCHEMAS = ("parameters", "parametersJsonSchema", "response", "responseJsonSchema")


def _snake(path: Path) -> Path:
    return tuple("".join(f"_{c.lower()}" if c.isupper() else c for c in step) for step in path)


def _content(*base: str) -> frozenset[Path]:
    part = (*base, "parts", "*")
    paths = {(*part, *tail) for tail in (*_CALL_NAMES, *_RESULT_NAMES)} | {(*base, "role")}
    return frozenset(paths | {_snake(path) for path in paths})


REQUEST = WalkRules(
    structural=top_level("model", "safetySettings", "safety_settings", "toolConfig", "tool_config")
    | frozenset((config, name) for config in _CONFIG for name in _GENERATION)
    | _content("contents", "*")
    | _content("systemInstruction")
    | frozenset((*tool, "name") for tool in _DECLARED),
    schemas=frozenset((*tool, name) for tool in _DECLARED for name in _SCHEMAS)
    | frozenset(
        (config, name)
        for config in _CONFIG
        for name in ("responseSchema", "response_schema", "responseJsonSchema", "response_json_schema")
    ),
    sealed=frozenset(("contents", "*", "parts", "*", name) for name in _SIGNATURES),
)
"""What a request means to the protocol; everything else in it is data."""

_CANDIDATE = ("candidates", "*")
REPLY = WalkRules(
    structural=top_level("usageMetadata", "modelVersion", "responseId", "createTime")
    | frozenset((*_CANDIDATE, name) for name in ("finishReason", "index", "safetyRatings", "avgLogprobs"))
    | frozenset((*_CANDIDATE, "content", "parts", "*", name) for name in _SIGNATURES)
    | _content(*_CANDIDATE, "content")
)

_BINARY = ("inlineData", "inline_data", "fileData", "file_data", "executableCode", "executable_code")


def check_request(body: Mapping[str, Json]) -> None:
    """Raise DetectionError(UnscannableContent) for inline data, files and cached content."""
    if body.get("cachedContent") or body.get("cached_content"):
        raise DetectionError("UnscannableContent", "cached content cannot be checked; send text")
    try:
        holders = [
            *items(body.get("contents")),
            body.get("systemInstruction"),
            body.get("system_instruction"),
        ]
        for holder in holders:
            if isinstance(holder, str):
                continue
            if any(name in part for part in parts_of(mutable(holder)) for name in _BINARY):
                raise DetectionError("UnscannableContent", "only text parts can be checked; send text")
    except StreamError as error:
        raise DetectionError("BadBody", "contents must be an array of objects") from error


def parts_of(content: Mapping[str, Json]) -> Iterator[dict[str, Json]]:
    """The parts of a content, one of which may stand without its array."""
    parts = content.get("parts")
    yield from map(mutable, [parts] if isinstance(parts, Mapping) else items(parts))


def restore_reply(
    body: Mapping[str, Json], values: Mapping[str, str], ids: ToolCallIds | None = None
) -> tuple[dict[str, Json], CompletionRecord]:
    """The reply with values restored, and the record of it (masked)."""
    recorder = Recorder(ids)
    for position, item in enumerate(items(body.get("candidates"))):
        candidate = mutable(item)
        index = number_of(candidate.get("index"), position)
        for part in parts_of(mutable(candidate.get("content"))):
            note_part(part, index, recorder)
    note_frame(body, recorder)
    return mutable(restore_json(body, values, REPLY)), recorder.record()


def note_part(part: dict[str, Json], candidate: int, recorder: Recorder) -> None:
    """Take note of a part of a reply: text that is no thought, calls, signatures."""
    for name in _SIGNATURES:
        recorder.seal(part.get(name))
    if not part.get("thought"):
        recorder.text(text_of(part.get("text")))
    if "functionCall" in part:
        call = mutable(part["functionCall"])
        number = recorder.count
        recorder.open_call(candidate, number, text_of(call.get("id")))
        arguments = encode_body(call.get("args") or {}).decode()
        recorder.call(candidate, number, text_of(call.get("name")), arguments)


def note_frame(body: Mapping[str, Json], recorder: Recorder) -> None:
    """Take note of how a reply or a frame of it ends, and of what it cost."""
    if body.get("error") is not None:
        recorder.fail(body["error"])
    usage = body.get("usageMetadata")
    recorder.usage = usage if isinstance(usage, Mapping) else recorder.usage
    for candidate in map(mutable, items(body.get("candidates"))):
        recorder.finish_reason = text_of(candidate.get("finishReason")) or recorder.finish_reason
    if mutable(body.get("promptFeedback")).get("blockReason"):
        recorder.finish_reason = "SAFETY"
    recorder.ended = recorder.finish_reason is not None
