"""Lanes: any cut gives the same text, arguments stay JSON, nothing is guessed."""

from __future__ import annotations

import json

from chunk_invariance import assert_chunk_invariant
from hypothesis import given
from hypothesis import strategies as st

from cadre_detect import restore_text
from cadre_guard.stream.lane import JsonRestoreLane, RestoreLane
from tests.unit.guard_stream.frames import TOKENS, UNKNOWN, VALUES, cut

ODDITIES = ["A", "PERSON", "x1", "é🏠", " ", '"', "\\", "\\u0050", "\n"]
PIECES = st.sampled_from([*TOKENS, UNKNOWN, TOKENS[0][:-1], *ODDITIES])
TEXTS = st.lists(PIECES, max_size=8).map("".join)


def _feed(lane: RestoreLane, pieces: list[str]) -> str:
    return "".join(map(lane.feed, pieces)) + lane.flush()


@given(TEXTS, st.integers(0, 999))
def test_text_in_any_pieces_equals_the_whole(text: str, seed: int) -> None:
    assert _feed(RestoreLane(VALUES), cut(text, seed)) == restore_text(text, VALUES)


@given(TEXTS, st.integers(0, 999))
def test_json_text_in_any_pieces_equals_the_whole(text: str, seed: int) -> None:
    whole = _feed(JsonRestoreLane(VALUES), [text])
    assert _feed(JsonRestoreLane(VALUES), cut(text, seed)) == whole
    assert _feed(JsonRestoreLane(VALUES), list(text)) == whole


@given(TEXTS, st.integers(0, 999), st.booleans())
def test_arguments_always_parse_to_the_restored_value(text: str, seed: int, escaped: bool) -> None:
    document = json.dumps({"to": text, "n": [text]})
    if escaped:
        document = document.replace("P", "\\u0050").replace("x", "\\u0078")
    restored = json.loads(_feed(JsonRestoreLane(VALUES), cut(document, seed)))
    expected = restore_text(text, VALUES)
    assert restored == {"to": expected, "n": [expected]}


def test_every_split_of_one_token() -> None:
    text = f"to {TOKENS[0]}, AB{TOKENS[1]} {UNKNOWN}"
    assert_chunk_invariant(
        lambda pieces: [_feed(RestoreLane(VALUES), list(pieces))],
        lambda whole: restore_text(whole, VALUES),
        text,
        splits=3,
    )


def test_an_escaped_backslash_before_u_is_no_escape() -> None:
    document = json.dumps("\\u0050" + TOKENS[0][1:])
    assert _feed(JsonRestoreLane(VALUES), list(document)) == document


def test_plain_text_is_not_held_back() -> None:
    lane = RestoreLane(VALUES)
    assert lane.feed("all lower case text.") == "all lower case text."
    assert lane.feed("Then PERSON") == "Then "
    assert lane.feed(" came") == "PERSON came"


def test_truncated_and_unknown_tokens_pass_as_they_are() -> None:
    assert _feed(RestoreLane(VALUES), [TOKENS[0][:-3]]) == TOKENS[0][:-3]
    assert _feed(RestoreLane(VALUES), [UNKNOWN]) == UNKNOWN


def test_values_learnt_while_streaming_count() -> None:
    values: dict[str, str] = {}
    lane = RestoreLane(values)
    lane.feed(TOKENS[0][:10])
    values.update(VALUES)
    assert lane.feed(TOKENS[0][10:]) == VALUES[TOKENS[0]]
