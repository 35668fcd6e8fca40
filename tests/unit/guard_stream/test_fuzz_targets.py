"""The targets of `make fuzz` under Hypothesis, for Pythons without atheris and for every run of the tests."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.fuzz.targets import TARGETS
from tests.unit.guard_stream import frames as f

PIECES = [
    b"data: ",
    b"\n",
    b"\n\n",
    b"{",
    b"}",
    b"[",
    b'"',
    b"\\",
    b"\\u004",
    b":",
    b",",
    b"null",
    b"\xff",
    b"A",
]
WORDS = [
    b'"delta"',
    b'"choices"',
    b'"message"',
    b'"content"',
    b'"type"',
    b'"arguments"',
    b'"messages"',
    b'"input"',
]
INPUTS = st.one_of(
    st.binary(max_size=200),
    st.lists(st.sampled_from([*PIECES, *WORDS, f.TOKENS[0].encode(), b"1"]), max_size=30).map(b"".join),
)


@pytest.mark.parametrize("name", TARGETS)
@given(data=INPUTS)
@example(data=b"")
@example(data=b"00" + f.sse([f.chunk({"content": "A" + f.TOKENS[0]}), f.chunk({}, finish="stop")]))
def test_nothing_breaks_it(name: str, data: bytes) -> None:
    TARGETS[name](data)
