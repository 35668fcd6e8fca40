"""What holds for every input: `python -m tests.fuzz` looks for one that breaks it."""

import json
from collections.abc import Callable
from typing import Any

from cadre_detect import (
    DetectConfig,
    DetectionError,
    Detector,
    Json,
    MaskPolicy,
    Mode,
    apply,
    make_token,
    plan,
)
from cadre_detect.restore import restore_arguments, restore_json, restore_text
from cadre_guard.stream.errors import StreamError
from cadre_guard.stream.lane import JsonRestoreLane, RestoreLane
from cadre_guard.wire import dialects
from cadre_guard.wire.body import encode_body, parse_body
from tests.unit.guard_stream import frames as f

_MAIL = "hanna.keller@acme.example"
_STREAMS = [dialect for dialect in dialects.ALL if dialect.stream is not None]
_DETECTOR = Detector(DetectConfig(ner=False))
_MASK = MaskPolicy(default=Mode.MASK)


def stream(data: bytes) -> None:
    """Fed whole or in pieces, a machine says the same, or refuses the same; nothing else is raised."""
    if len(data) < 2:
        return
    dialect, size, body = _STREAMS[data[0] % len(_STREAMS)], 1 + data[1] % 16, data[2:]

    def said(step: int) -> tuple[bytes, str]:
        make: Any = dialect.stream
        machine, out = make(f.VALUES), b""
        try:
            for start in range(0, len(body), step):
                out += machine.feed(body[start : start + step])
            return out + machine.finish(), ""
        except StreamError as error:
            return out, error.reason

    whole, piecewise = said(len(body) or 1), said(size)
    assert whole[1] == piecewise[1] or {"MalformedEvent", "BadEncoding"} == {whole[1], piecewise[1]}
    if not whole[1]:
        assert whole[0] == piecewise[0]


def walk(data: bytes) -> None:
    """A body is refused, or no value of it is left and masking can be undone."""
    dialect = dialects.ALL[data[0] % len(dialects.ALL)] if data else dialects.OPENAI_CHAT
    try:
        body = parse_body(data[1:])
        document: Json = {**body, "metadata": {"note": f"for {_MAIL}", "again": body.get("metadata")}}
        dialect.check(body)
        planned = plan(document, _DETECTOR, _MASK, rules=dialect.rules)
    except DetectionError:
        return
    tokens = {entity: make_token(b"k", "1", *entity) for entity in planned.entities}
    masked = apply(planned, tokens)
    assert _MAIL.encode() not in encode_body(masked)
    values = {token: value for (_, value), token in tokens.items()}
    encode_body(restore_json(masked, values, dialect.rules))


def detection(data: bytes) -> None:
    """Findings are disjoint, in order, inside the text; a value stands where it is put."""
    text = f"{data.decode('utf-8', 'replace')}\n{_MAIL}"
    found = _DETECTOR.scan(text)
    position = 0
    for finding in found:
        assert position <= finding.start < finding.end <= len(text)
        position = finding.end
    assert any(text[finding.start : finding.end].endswith(_MAIL) for finding in found)


def restore(data: bytes) -> None:
    """A lane fed in pieces says what the whole text restores to; arguments parse whenever they did."""
    if not data:
        return
    size, text = 1 + data[0] % 16, data[1:].decode("utf-8", "replace")
    for number, token in enumerate(f.TOKENS):
        text = text.replace(chr(ord("A") + number), token)
    pieces = [text[i : i + size] for i in range(0, len(text), size)]
    plain = RestoreLane(f.VALUES)
    assert "".join(map(plain.feed, pieces)) + plain.flush() == restore_text(text, f.VALUES)
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return
    lane = JsonRestoreLane(f.VALUES)
    said = "".join(map(lane.feed, pieces)) + lane.flush()
    json.loads(said)
    json.loads(restore_arguments(text, f.VALUES))


TARGETS: dict[str, Callable[[bytes], None]] = {
    "stream": stream,
    "walk": walk,
    "detection": detection,
    "restore": restore,
}
