"""Codes for signing in by way of the cluster, and who a user of the cluster is."""

import pytest

from cadre_core.login import KEY_BYTES, WARNING, Login, LoginError, code_in, open_login, seal_login
from cadre_core.model import PersonSpec
from cadre_core.users import parse_issuers, person_of

KEY = b"k" * KEY_BYTES
NEXT = b"n" * KEY_BYTES
NOW = 1_790_000_000
LOGIN = Login("https://idp.example#7f1c", "nonce-of-16-char", NOW + 60)


def _reason(code: str, keys: bytes = KEY, now: int = NOW) -> str:
    with pytest.raises(LoginError) as caught:
        open_login(code, keys, now)
    return caught.value.reason


def test_a_code_says_who_asked() -> None:
    code = seal_login(LOGIN, KEY)
    assert open_login(code, KEY, NOW) == LOGIN
    assert open_login(WARNING + code, KEY, NOW + 59) == LOGIN
    assert len(WARNING + code) <= 200
    admin = Login("kubernetes-admin", "n" * 64, NOW + 1, admin=True)
    assert open_login(seal_login(admin, KEY), KEY, NOW) == admin


def test_a_code_ends() -> None:
    code = seal_login(LOGIN, KEY)
    assert _reason(code, now=NOW + 60) == "CodeExpired"
    assert _reason(seal_login(Login("u", "n" * 16, NOW + 9999), KEY)) == "CodeExpired"


def test_nothing_of_a_code_can_be_changed() -> None:
    code = seal_login(LOGIN, KEY)
    for i, letter in enumerate(code):
        if i in (code.index(".") - 1, len(code) - 1):
            continue  # the last letter of base64 may hold bits that mean nothing
        other = code[:i] + ("A" if letter != "A" else "B") + code[i + 1 :]
        assert _reason(other) == "CodeInvalid"
    for other in ("", ".", "é.é", code.partition(".")[0], code + "A" * 2000):
        assert _reason(other) == "CodeInvalid"


def test_a_changed_key_still_reads_what_the_former_one_signed() -> None:
    code = seal_login(LOGIN, KEY)
    assert _reason(code, NEXT) == "CodeInvalid"
    assert open_login(code, NEXT + KEY, NOW) == LOGIN
    assert open_login(seal_login(LOGIN, NEXT + KEY), NEXT, NOW) == LOGIN
    with pytest.raises(ValueError, match="multiple of 32"):
        open_login(code, KEY[:-1], NOW)


@pytest.mark.parametrize(
    ("user", "nonce"), [("", "n" * 16), ("u" * 513, "n" * 16), ("u", "short"), ("u", "!" * 16)]
)
def test_what_cannot_be_signed(user: str, nonce: str) -> None:
    with pytest.raises(LoginError, match=r"name|annotation"):
        seal_login(Login(user, nonce, NOW), KEY)


def test_the_code_is_found_among_warnings() -> None:
    assert code_in(["unknown field", " cadre-login:abc.def "]) == "abc.def"
    assert code_in(["unknown field"]) == ""


def _person(key: str, issuer: str, subject: str) -> PersonSpec:
    return PersonSpec(key, issuer, subject, key, "", frozenset())


def test_users_are_persons_by_issuer_and_subject() -> None:
    persons = [_person("co/a", "https://idp", "a"), _person("co/b", "https://idp", "b")]
    issuers = parse_issuers("oidc:=https://idp, x:=https://other")
    assert person_of("https://idp#a", persons) == "co/a"
    assert person_of("oidc:b", persons, issuers) == "co/b"
    assert person_of("oidc:b", persons) == ""
    assert person_of("x:a", persons, issuers) == ""
    assert person_of("", persons, issuers) == ""
    assert person_of("oidc:b", [*persons, _person("co/c", "https://idp", "b")], issuers) == ""


@pytest.mark.parametrize("text", ["oidc", "=https://idp", "oidc:="])
def test_a_wrong_list_of_issuers(text: str) -> None:
    with pytest.raises(ValueError, match="prefix=issuer"):
        parse_issuers(text)
