"""How large a document is, told without reading more of it than asked."""

import pytest

from cadre_detect.jsonwalk import Json
from cadre_guard.jsonvalue import size_within

DOCUMENT: Json = {"messages": [{"role": "user", "content": "hello"}, 7, None, True], "k": ""}


@pytest.mark.parametrize(
    ("limit", "within"), [(10_000, True), (40, True), (38, True), (37, False), (0, False)]
)
def test_keys_strings_and_values_count(limit: int, within: bool) -> None:
    assert size_within(DOCUMENT, limit) is within


def test_a_long_text_alone_is_too_large() -> None:
    assert not size_within("x" * 100, 100)
    assert size_within("x" * 100, 101)


def test_depth_does_no_harm() -> None:
    deep: Json = []
    for _ in range(100_000):
        deep = [deep]
    assert not size_within(deep, 50_000)
