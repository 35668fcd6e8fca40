"""Restoring tokens in a stream: what one delta costs, and the least that touching its bytes costs."""

import json
import random
from collections.abc import Callable

from cadre_detect import make_token
from cadre_guard.wire.openai_stream import ChatStreamRestorer
from tests.bench import texts
from tests.bench.report import Table, times
from tests.bench.timing import Samples

_STREAMS = 200
_DELTAS = 160
_CHARACTERS = 5
_KEY = b"bench-key-of-32-bytes-----------"


def restoring_table() -> Table:
    """CPU per delta over streams of short deltas in which every token is cut."""
    rng = random.Random(7)
    values = {make_token(_KEY, "1", "PERSON", value): value for value in {texts.name(rng) for _ in range(50)}}
    streams = [_stream(rng, list(values), index) for index in range(_STREAMS)]
    bare = _measured(streams, _pass_through)
    parsed = _measured(streams, _reserialize)
    restored = _measured(streams, lambda frames: _restore(frames, values))
    rows = tuple(
        (label, cost, times(cost, parsed), times(cost, bare))
        for label, cost in (
            ("restore (the guard's stream machine)", restored),
            ("parse and write each event, change nothing", parsed),
            ("pass the bytes through", bare),
        )
    )
    notes = (f"{_STREAMS} streams, {_DELTAS} deltas of {_CHARACTERS} characters; a token a sentence, cut",)
    return Table(
        "guard: restoring, CPU per delta", ("what", "µs", "of parsing", "of pass-through"), rows, notes
    )


def sse_chunk(content: str, index: int) -> bytes:
    """One delta as OpenAI-compatible servers send it."""
    choice = {"index": 0, "delta": {"content": content}, "finish_reason": None}
    chunk = {"id": f"chatcmpl-{index}", "object": "chat.completion.chunk", "created": 1, "choices": [choice]}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def _stream(rng: random.Random, tokens: list[str], index: int) -> list[bytes]:
    text = ""
    while len(text) < _DELTAS * _CHARACTERS:
        text += texts.prose_sentence(rng) + " " + rng.choice(tokens) + " agreed. "
    pieces = [text[at : at + _CHARACTERS] for at in range(0, _DELTAS * _CHARACTERS, _CHARACTERS)]
    return [sse_chunk(piece, index) for piece in pieces]


def _measured(streams: list[list[bytes]], work: Callable[[list[bytes]], int]) -> float:
    """Median CPU per delta in microseconds."""
    samples = Samples()
    for frames in streams:
        samples.measure(lambda f=frames: work(f))  # type: ignore[misc]
    return 1e3 * samples.cpu_p50_ms / _DELTAS


def _restore(frames: list[bytes], values: dict[str, str]) -> int:
    restorer = ChatStreamRestorer(values)
    return sum(len(restorer.feed(frame)) for frame in frames) + len(restorer.finish())


def _reserialize(frames: list[bytes]) -> int:
    return sum(len(b"data: " + json.dumps(json.loads(frame[6:-2])).encode() + b"\n\n") for frame in frames)


def _pass_through(frames: list[bytes]) -> int:
    out = bytearray()
    for frame in frames:
        out += frame
    return len(out)
