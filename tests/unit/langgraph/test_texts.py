"""Values of a graph as texts: nothing is lost, and every text of a value stands where a detector sees it."""

from dataclasses import dataclass
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from cadre_langgraph import names
from cadre_langgraph.records import Kept, kept_of, kept_text, typed_of, typed_text, writes_of
from cadre_langgraph.state import PART, cut
from cadre_langgraph.texts import SEPARATOR, Extension, UnreadableError, from_text, to_text

_LEAVES = st.none() | st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.binary()
_KEYS = st.text() | st.integers(-(2**63), 2**63 - 1)
_VALUES = st.recursive(
    _LEAVES | st.floats(allow_nan=False), lambda v: st.lists(v) | st.dictionaries(_KEYS, v), max_leaves=20
)
_UUID = "1ef4f797-8335-6428-8001-8a1503f9b875"


@dataclass
class Order:
    """Something that a graph may hold."""

    who: str
    parts: tuple[int, ...]


@given(_VALUES)
def test_every_value_comes_back(value: object) -> None:
    assert from_text(to_text(value)) == value


@given(_VALUES)
def test_what_the_serialiser_makes_comes_back(value: object) -> None:
    typed = JsonPlusSerializer().dumps_typed(value)
    assert typed_of(typed_text(typed)) == typed


def test_objects_come_back_and_their_texts_are_plain() -> None:
    serde = JsonPlusSerializer(allowed_msgpack_modules=[(Order.__module__, "Order")])
    value = {"order": Order("Mary\nSmith", (1, 2)), "id": UUID(_UUID), "some": {"a", "b"}, "pair": (1, "x")}
    typed = serde.dumps_typed(value)
    text = typed_text(typed)
    assert "Mary\nSmith" in text.split(SEPARATOR)
    assert _UUID not in text
    assert serde.loads_typed(typed_of(text)) == serde.loads_typed(typed)
    assert serde.loads_typed(typed)["order"].who == "Mary\nSmith"


@pytest.mark.parametrize(
    "value", [b"plain", b"\xff\x00", "nul \x00", "mark \x1e", "lone \ud800", bytearray(b"x")]
)
def test_bytes_and_odd_texts(value: object) -> None:
    assert from_text(to_text(value)) == value


def test_unreadable_values_are_told() -> None:
    for text in (
        "",
        "zz",
        to_text([1, "a", "b"]).rsplit(SEPARATOR, 1)[0],
        to_text([Extension(1, b"\xc1")])[:4],
    ):
        with pytest.raises(UnreadableError):
            from_text(text)
    for read in (typed_of, writes_of, lambda text: kept_of(text, JsonPlusSerializer())):
        with pytest.raises(UnreadableError):
            read(to_text([["other"]]))
    with pytest.raises(TypeError, match="complex"):
        to_text(1j)
    assert from_text(to_text(Extension(9, b"\xc1"))) == Extension(9, b"\xc1")
    assert from_text(to_text(123456).replace("123456", "[PHONE_1]")) == "[PHONE_1]"


def test_a_checkpoint_comes_back() -> None:
    frame = {"v": 4, "id": _UUID, "channel_versions": {"a": "2.5"}, "pending_sends": ["Mary"]}
    kept = Kept("thread 1", f"child:{_UUID}", "", frame, {"step": 1, "parents": {"": _UUID}})
    text = kept_text(kept, JsonPlusSerializer())
    assert kept_of(text, JsonPlusSerializer()) == kept
    assert _UUID not in text and "Mary" in text
    with pytest.raises(UnreadableError):
        kept_of(
            to_text(["t", [""], "", names.letters("{}"), ["msgpack", 1], ["msgpack", 1]]),
            JsonPlusSerializer(),
        )


def test_long_texts_are_cut_where_no_word_is() -> None:
    text = to_text([["line " * 20 + "\n"] * 3000, "end"])
    parts = cut(text)
    assert "".join(parts) == text and max(map(len, parts)) <= PART
    assert len(parts) > 3
    with pytest.raises(ValueError, match="break it into lines"):
        cut(to_text("x" * (PART + 1)))


@given(st.lists(st.text(max_size=8), min_size=2, unique=True))
def test_keys_sort_the_newest_first(ids: list[str]) -> None:
    ids = [text.encode("utf-8", "replace").decode() for text in ids]
    keys = {text: names.checkpoint_key("t", "", text) for text in ids}
    assert sorted(keys, key=lambda text: keys[text]) == sorted(keys, key=str.encode, reverse=True)


def test_a_long_id_is_refused() -> None:
    with pytest.raises(ValueError, match="checkpoint_id"):
        names.checkpoint_key("t", "", "x" * 61)
    assert names.moved(names.value_key("a", "n", "c", 1), "a", "b") == names.value_key("b", "n", "c", 1)
