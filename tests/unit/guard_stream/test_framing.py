"""Server-sent events and newline-delimited JSON in any chunking, bounded, strict about UTF-8."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadre_guard.stream import NdjsonParser, SseEvent, SseParser, StreamError, encode_event

SIZES = st.lists(st.integers(1, 7), max_size=30)
LINE = st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)


def _events(data: bytes, sizes: list[int]) -> list[SseEvent]:
    parser, out, steps, size = SseParser(), [], iter(sizes), 3
    while data:
        size = next(steps, size)
        out += parser.feed(data[:size])
        data = data[size:]
    return out + parser.close()


@given(st.lists(LINE.filter(bool), min_size=1, max_size=4), st.sampled_from(["\n", "\r", "\r\n"]), SIZES)
def test_any_line_end_and_any_chunking(lines: list[str], end: str, sizes: list[int]) -> None:
    body = "".join(f"data: {line}{end}data: 2{end}{end}" for line in lines)
    assert _events(body.encode(), sizes) == [SseEvent(f"{line}\n2") for line in lines]
    assert _events(body.encode(), [1] * len(body.encode())) == [SseEvent(f"{line}\n2") for line in lines]


@given(st.lists(LINE, min_size=1, max_size=3), LINE, SIZES)
def test_what_is_written_is_read_back(lines: list[str], name: str, sizes: list[int]) -> None:
    event = SseEvent("\n".join(lines), name, "7")
    assert _events(encode_event(event), sizes) == [event]


def test_fields_comments_and_a_byte_order_mark() -> None:
    data = b"\xef\xbb\xbf: keepalive\nevent: ping\nretry: 10\nid\ndata:x\ndata\n\n\n\nevent: lost\n\n"
    assert _events(data, [1]) == [SseEvent(comment="keepalive"), SseEvent("x\n", "ping", "", "10")]
    assert encode_event(SseEvent(comment="keepalive")) == b": keepalive\n\n"


def test_a_comment_does_not_wait_for_an_event() -> None:
    assert SseParser().feed(b": keepalive\n") == [SseEvent(comment="keepalive")]


def test_an_event_the_end_cut_short_is_given_up_by_close() -> None:
    parser = SseParser()
    assert parser.feed(b"data: [DONE]") == []
    assert parser.close() == [SseEvent("[DONE]")]


@pytest.mark.parametrize("data", [b"data: " + b"x" * 100, b"data: x\n" * 40])
def test_events_are_bounded(data: bytes) -> None:
    with pytest.raises(StreamError) as caught:
        SseParser(max_event_bytes=64).feed(data)
    assert caught.value.reason == "EventTooLarge"


def test_many_small_events_are_not_one_large_one() -> None:
    assert len(SseParser(max_event_bytes=64).feed(b"data: x\n\n" * 100)) == 100


@pytest.mark.parametrize("feed", [SseParser().feed, NdjsonParser().feed])
def test_bytes_that_are_not_utf8_end_the_stream(feed: object) -> None:
    with pytest.raises(StreamError) as caught:
        feed(b"data: \xff\n\n")  # type: ignore[operator]
    assert caught.value.reason == "BadEncoding"


@given(st.lists(LINE.map(str.strip).filter(bool), max_size=5), SIZES)
def test_lines_in_any_chunking(lines: list[str], sizes: list[int]) -> None:
    parser, out, data, steps, size = NdjsonParser(), [], "\n\n".join(lines).encode(), iter(sizes), 3
    while data:
        size = next(steps, size)
        out += parser.feed(data[:size])
        data = data[size:]
    assert out + parser.close() == lines


def test_lines_are_bounded() -> None:
    with pytest.raises(StreamError):
        NdjsonParser(max_line_bytes=8).feed(b"123456789")
    with pytest.raises(StreamError):
        NdjsonParser(max_line_bytes=8).feed(b"1\n123456789\n2\n")
