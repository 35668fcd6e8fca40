"""What a model says on its own, masked as it comes: any cut gives the same, and no value escapes."""

import json
from collections.abc import Iterable, Iterator

import pytest
from chunk_invariance import assert_chunk_invariant
from hypothesis import given
from hypothesis import strategies as st

from cadre_api.protocol.guard import GuardRules
from cadre_detect import Json, make_token, restore_text
from cadre_guard.standalone.redact import HOLD, RedactingArgumentsLane, RedactingLane, Redactor
from cadre_guard.stream.errors import StreamError
from tests.support.encodings import leaks

OWN = "hanna.keller@acme.example"
OWN_TOKEN = make_token(b"k" * 32, "0", "EMAIL_ADDRESS", OWN)
KNOWN = {OWN_TOKEN: OWN}
NEW = ["jon.whitfield@acme.example", "4111-1111-1111-1111", "DE89370400440532013000", "912-78-1234"]
FILLER = ["see the file ", "\n", "and then, ", "1234 ", "x" * HOLD + " ", OWN_TOKEN + " ", OWN + " "]


@pytest.fixture(scope="module")
def redactor() -> Redactor:
    return Redactor(GuardRules(), lambda kind, value: make_token(b"k" * 32, "0", kind, value))


def _said(redactor: Redactor, pieces: Iterable[str]) -> Iterator[str]:
    lane = RedactingLane(KNOWN, redactor)
    for piece in pieces:
        yield lane.feed(piece)
    yield lane.flush()


@given(
    parts=st.lists(st.sampled_from([*FILLER, *[f"{value} " for value in NEW]]), max_size=20),
    sizes=st.lists(st.integers(1, 90), min_size=1, max_size=30),
)
def test_any_cut_says_the_same_and_no_new_value(
    redactor: Redactor, parts: list[str], sizes: list[int]
) -> None:
    text, pieces, position = "".join(parts), [], 0
    for size in sizes:
        pieces.append(text[position : position + size])
        position += size
    said = "".join(_said(redactor, [*pieces, text[position:]]))

    assert said == "".join(_said(redactor, [text]))
    assert leaks(NEW, said.encode()) == {}
    assert said.count(OWN) == text.count(OWN) + text.count(OWN_TOKEN)


@pytest.mark.parametrize("length", [HOLD - 40, HOLD, HOLD + 30, 9 * HOLD])
@pytest.mark.parametrize("value", [*NEW, OWN_TOKEN])
def test_a_long_word_before_a_value_cuts_it_nowhere(redactor: Redactor, length: int, value: str) -> None:
    for filling in range(0, 90, 7):
        text = "x" * length + " " + "y " * (filling // 2) + f"{value} and {value}."
        said = "".join(_said(redactor, [text, " "]))
        assert leaks(NEW, said.encode()) == {} and value[:9] not in said
        assert said == "".join(_said(redactor, [*text, " "]))


def test_every_cut_in_two_says_what_the_whole_text_says(redactor: Redactor) -> None:
    text = f"Ask {OWN_TOKEN} or {NEW[0]}, card {NEW[1]}, {NEW[3]}."

    def whole(given: str) -> str:
        return restore_text(redactor.text(given, KNOWN), KNOWN)

    assert_chunk_invariant(lambda pieces: _said(redactor, pieces), whole, text)


def test_arguments_wait_until_they_are_whole(redactor: Redactor) -> None:
    lane = RedactingArgumentsLane(KNOWN, redactor)
    given = json.dumps({"to": OWN_TOKEN, "name": NEW[0], NEW[0]: [4111111111111111, True, None, 7]})

    assert [lane.feed(piece) for piece in (given[:9], given[9:])] == ["", ""]
    found = json.loads(lane.flush())
    assert found["to"] == OWN and leaks([*NEW, "4111111111111111"], json.dumps(found).encode()) == {}
    assert [*found.values()][-1][1:] == [True, None, 7]
    lane.feed(f"no JSON, {NEW[0]}")
    assert NEW[0] not in lane.flush() and lane.flush() == ""
    with pytest.raises(StreamError, match="ReplyTooLarge"):
        lane.feed("x" * 5_000_000)


@pytest.mark.parametrize(
    ("reply", "path"),
    [
        ({"choices": [{"message": {"content": NEW[0]}}]}, "content"),
        (
            {"choices": [{"message": {"tool_calls": [{"function": {"arguments": f'{{"a": "{NEW[0]}"}}'}}]}}]},
            "a",
        ),
        ({"content": [{"type": "tool_use", "name": "send", "input": {"name": NEW[0]}}]}, "name in arguments"),
        ({"unknown": {"deep": [[NEW[0]]]}}, "a field nobody knows"),
    ],
)
def test_every_string_of_a_whole_reply_is_read(redactor: Redactor, reply: Json, path: str) -> None:
    masked = json.dumps(redactor.document(reply, KNOWN))
    assert leaks(NEW, masked.encode()) == {}, path


def test_what_is_signed_and_what_is_structure_stays(redactor: Redactor) -> None:
    signed: Json = {"id": NEW[0], "content": [{"type": "thinking", "thinking": NEW[0], "signature": "s"}]}
    assert redactor.document(signed, KNOWN) == signed
