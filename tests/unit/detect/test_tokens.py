"""The grammar: exact, typed, recognisable from its first letter to its last."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cadre_detect import TOKEN_RE, find_tokens, holdback, make_token, restore_text
from cadre_detect.tokens import suffixes

KEY = b"k" * 32
ANY_TEXT = st.text(alphabet=st.characters(codec=None), max_size=40)


@given(st.sampled_from(["PERSON", "EMAIL_ADDRESS", "order-number", "x", "ümlaut", "7"]), ANY_TEXT)
def test_every_value_of_every_type_gets_a_token_of_the_grammar(entity_type: str, value: str) -> None:
    token = make_token(KEY, "1", entity_type, value)
    assert TOKEN_RE.fullmatch(token)
    assert token.isascii() and token.isalnum()
    assert token == make_token(KEY, "1", entity_type, value)


def test_tokens_differ_by_value_type_key_and_version() -> None:
    made = {
        make_token(KEY, "1", "PERSON", "Keller"),
        make_token(KEY, "1", "PERSON", "keller"),
        make_token(KEY, "1", "LOCATION", "Keller"),
        make_token(KEY, "2", "PERSON", "Keller"),
        make_token(b"other", "1", "PERSON", "Keller"),
    }
    assert len({token[token.index("x") + 2 :] for token in made}) == 5


def test_fields_cannot_shift_into_each_other() -> None:
    assert make_token(KEY, "1", "AB", "C")[-16:] != make_token(KEY, "1", "A", "BC")[-16:]


def test_readable_tags() -> None:
    assert make_token(KEY, "1", "EMAIL_ADDRESS", "a@b.c").startswith("EMAILx1")
    assert make_token(KEY, "a", "API_KEY", "v").startswith("APIKEYxa")
    assert make_token(KEY, "1", "project_code", "v").startswith("PROJECTCODEx1")
    assert make_token(KEY, "1", "9", "v").startswith("ENTITYx1")


@pytest.mark.parametrize(("key", "version"), [(b"", "1"), (KEY, ""), (KEY, "A"), (KEY, "12"), (KEY, "-")])
def test_bad_key_or_version_is_refused(key: bytes, version: str) -> None:
    with pytest.raises(ValueError, match="key"):
        make_token(key, version, "PERSON", "v")


@given(st.text(max_size=30), ANY_TEXT, st.text(max_size=30))
def test_every_proper_beginning_is_held_back_and_the_whole_is_not(
    before: str, value: str, after: str
) -> None:
    token = make_token(KEY, "1", "a_type_of_many_letters", value)
    for length in range(1, len(token)):
        assert holdback(before + token[:length]) <= len(before)
    assert holdback(before + token) == len(before) + len(token)
    assert any(match.text.endswith(token) for match in find_tokens(before + token + after))


@given(st.text(alphabet="ABx1a0 z", max_size=80))
def test_what_is_not_held_back_cannot_become_a_token(text: str) -> None:
    cut = holdback(text)
    assert len(text) - cut <= 33
    for more in ("x1aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa", "Ax1aaaaaaaaaaaaaaaa"):
        for match in find_tokens(text + more):
            assert match.end <= len(text) or match.start >= cut


def test_capitals_glued_to_a_token_do_not_hide_it() -> None:
    token = make_token(KEY, "1", "PERSON", "Keller")
    assert restore_text(f"XX{token}.", {token: "Keller"}) == "XXKeller."
    assert token in suffixes(f"XX{token}")


def test_restoring_is_one_pass_and_leaves_unknown_tokens() -> None:
    inner = make_token(KEY, "1", "PERSON", "Keller")
    outer = make_token(KEY, "1", "TOKEN_LIKE", inner)
    assert restore_text(f"{outer} {inner}", {outer: inner}) == f"{inner} {inner}"
