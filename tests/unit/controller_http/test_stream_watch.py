"""The watch over a provider's stream: bytes untouched, whole events only, every failure told apart."""

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadre_controller.gateways.model.faults import ModelFault, error_event
from cadre_controller.gateways.model.reading import TokenUsage
from cadre_controller.gateways.model.watch import StreamWatch, check_whole


def chunk(content: str = "", finish: str | None = None, **more: object) -> bytes:
    event = {"choices": [{"index": 0, "delta": {"content": content}, "finish_reason": finish}], **more}
    return b"data: " + json.dumps(event, ensure_ascii=False).encode() + b"\n\n"


USAGE = b'data: {"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":3,"total_tokens":10}}\n\n'
DONE = b"data: [DONE]\n\n"
GOOD = b": hello\n\n" + chunk("Grüße") + chunk(" 世界") + chunk(finish="stop") + USAGE + DONE


def feed(parts: list[bytes]) -> tuple[bytes, StreamWatch]:
    watch = StreamWatch()
    out = b"".join(watch.feed(part) for part in parts)
    return out + watch.finish(), watch


@given(st.lists(st.integers(0, len(GOOD)), max_size=30))
def test_any_chunking_passes_the_same_bytes_and_usage(cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(GOOD)]
    out, watch = feed([GOOD[a:b] for a, b in pairwise(edges)])
    assert out == GOOD
    assert watch.usage == TokenUsage(7, 3) and watch.finish_reason == "stop" and watch.complete


@given(st.integers(1, len(GOOD) - 1))
def test_what_passes_before_a_cut_is_a_row_of_whole_events(cut: int) -> None:
    watch = StreamWatch()
    out = watch.feed(GOOD[:cut])
    assert GOOD.startswith(out) and (out == b"" or out.endswith(b"\n\n"))


def test_a_crlf_stream_and_one_without_done_are_whole() -> None:
    for stream in (GOOD.replace(b"\n", b"\r\n"), chunk("a") + chunk(finish="tool_calls")):
        assert feed([stream])[0] == stream


def test_a_last_event_without_its_blank_line_still_counts() -> None:
    stream = chunk("a") + chunk(finish="stop").rstrip(b"\n")
    assert feed([stream])[0] == stream + b"\n\n"


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        (b"<html>no</html>", "ModelGarbage"),
        (b'{"choices":[]}', "ModelGarbage"),
        (b"data: {not json}\n\n", "ModelGarbage"),
        (b"data: [1,2]\n\n", "ModelGarbage"),
        (b'data: {"choices":["x"]}\n\n', "ModelGarbage"),
        (b"", "ModelGarbage"),
        (b": only a comment\n\n", "ModelGarbage"),
        (DONE, "ModelGarbage"),
        (b'data: {"error":{"message":"overloaded sk-123"}}\n\n', "ModelError"),
        (chunk("half"), "ModelStreamCut"),
        (chunk("half") + b'data: {"choi', "ModelStreamCut"),
        (b"data: " + b"x" * (5 * 1024 * 1024), "ModelGarbage"),
    ],
)
def test_every_broken_stream_has_its_reason(stream: bytes, reason: str) -> None:
    with pytest.raises(ModelFault) as broken:
        feed([stream])
    assert broken.value.reason == reason
    assert b"sk-123" not in error_event(broken.value)


def test_a_whole_answer_is_checked_too() -> None:
    body = {"choices": [{"message": {}}], "usage": {"prompt_tokens": 1, "completion_tokens": 2}}
    assert check_whole(json.dumps(body).encode()) == TokenUsage(1, 2)
    for raw in (b"<html>", b"[]", b'{"choices":[]}', b'{"error":{"message":"no"}}', b'{"choices":[1]}'):
        with pytest.raises(ModelFault):
            check_whole(raw)


def test_the_error_event_is_one_that_clients_raise_on() -> None:
    event = error_event(ModelFault("ModelStreamCut", "cut"))
    data = json.loads(event.removeprefix(b"data: "))
    assert data["error"]["code"] == data["reason"] == "ModelStreamCut" and event.endswith(b"\n\n")
