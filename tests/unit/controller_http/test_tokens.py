"""Tokens and grants: each worth something at one port, for one bearer, for a while."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from jwt.algorithms import OKPAlgorithm

from cadre_controller.auth.grants import DesktopGrants
from cadre_controller.auth.identity import PersonIdentity
from cadre_controller.auth.tokens import Tokens
from cadre_controller.auth.verified import VerifiedClaims, VerifiedTokens
from cadre_controller.ids import SortableIds
from cadre_controller.ports import AgentIdentity
from cadre_controller.refusals import GrantDisabled, Unauthorized

GUARD = AgentIdentity("acme", "acme/finance-1", "i-1")
PERSON = PersonIdentity("acme", "acme/h-keller")


@dataclass
class Clock:
    """Time that the test turns."""

    time: datetime = datetime(2026, 5, 1, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tokens(clock: Clock) -> Tokens:
    return Tokens(Ed25519PrivateKey.generate(), clock, SortableIds())


def test_a_token_gives_back_who_it_was_issued_to(tokens: Tokens) -> None:
    assert tokens.guard(tokens.for_guard(GUARD).token) == GUARD
    assert tokens.person(tokens.for_person(PERSON).token) == PERSON
    assert tokens.person(tokens.for_person(PersonIdentity("acme", "")).token).is_admin


def test_a_token_of_one_port_is_worthless_at_the_other(tokens: Tokens) -> None:
    with pytest.raises(Unauthorized):
        tokens.person(tokens.for_guard(GUARD).token)
    with pytest.raises(Unauthorized):
        tokens.guard(tokens.for_person(PERSON).token)


def test_the_analyzer_of_a_machine_knows_a_guard_and_can_do_nothing_with_its_token(
    tokens: Tokens, clock: Clock
) -> None:
    issued = tokens.for_analyzer(GUARD).token
    key = OKPAlgorithm.from_jwk(json.dumps(tokens.public_jwk()))
    options: jwt.types.Options = {"verify_exp": False, "verify_iat": False}
    claims = jwt.decode(issued, key, ["EdDSA"], options, audience="cadre-analyzer", issuer="cadre-controller")  # type: ignore[arg-type]
    assert (claims["tenant"], claims["sub"]) == (GUARD.tenant, GUARD.agent)
    assert "d" not in tokens.public_jwk()
    for judge in (tokens.guard, tokens.person):
        with pytest.raises(Unauthorized):
            judge(issued)


def test_a_guards_token_ends_within_thirty_minutes(tokens: Tokens, clock: Clock) -> None:
    issued = tokens.for_guard(GUARD)
    assert issued.expires_at - clock.time <= timedelta(minutes=30)
    clock.time += timedelta(minutes=30)
    with pytest.raises(Unauthorized) as refused:
        tokens.guard(issued.token)
    assert refused.value.reason == "TokenExpired"


def test_foreign_unsigned_and_broken_tokens_are_refused(tokens: Tokens, clock: Clock) -> None:
    foreign = Tokens(Ed25519PrivateKey.generate(), clock, SortableIds()).for_guard(GUARD).token
    claims = jwt.decode(tokens.for_guard(GUARD).token, options={"verify_signature": False})
    unsigned = jwt.encode(claims, "", algorithm="none")
    symmetric = jwt.encode(claims, "x" * 40, algorithm="HS256")
    for token in (foreign, unsigned, symmetric, "", "a.b.c", "x" * 5000, "\udcff.b.c"):
        with pytest.raises(Unauthorized):
            tokens.guard(token)
    assert tokens.is_ours("\udcff.b.c")


@pytest.fixture
def checks(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tokens whose signature was looked at."""
    looked: list[str] = []
    real = jwt.decode

    def decode(token: str, *more: object, **options: object) -> object:
        looked.append(token)
        return real(token, *more, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(jwt, "decode", decode)
    return looked


def test_a_signature_is_checked_once_for_each_audience(tokens: Tokens, checks: list[str]) -> None:
    issued = tokens.for_guard(GUARD).token
    assert [tokens.guard(issued) for _ in range(3)] == [GUARD] * 3
    assert checks == [issued]
    for _ in range(2):
        with pytest.raises(Unauthorized):
            tokens.person(issued)
    assert checks == [issued] * 3


def test_a_token_that_is_remembered_ends_when_it_ends(
    tokens: Tokens, clock: Clock, checks: list[str]
) -> None:
    issued = tokens.for_guard(GUARD)
    clock.time = issued.expires_at - timedelta(seconds=1)
    assert tokens.guard(issued.token) == GUARD
    clock.time = issued.expires_at
    for _ in range(2):
        with pytest.raises(Unauthorized) as refused:
            tokens.guard(issued.token)
        assert refused.value.reason == "TokenExpired"
    assert tokens.guard(tokens.for_guard(GUARD).token) == GUARD
    assert len(tokens._seen) == 1


def test_what_resembles_a_remembered_token_is_checked_itself(tokens: Tokens, checks: list[str]) -> None:
    issued = tokens.for_guard(GUARD).token
    assert tokens.guard(issued) == GUARD
    head, payload, signature = issued.split(".")
    for forged in (
        f"{head}.{payload}.",
        f"{head}.{payload}.{signature[::-1]}",
        f"{head}.{payload}x.{signature}",
    ):
        with pytest.raises(Unauthorized):
            tokens.guard(forged)
    assert len(tokens._seen) == 1


def test_of_too_many_tokens_the_least_used_is_forgotten() -> None:
    seen = VerifiedTokens(limit=2)
    claims = VerifiedClaims({"sub": "a"}, 5)
    for token in ("a", "b"):
        seen.keep(token, "port", claims)
    assert seen.find("a", "port") == claims and seen.find("a", "other") is None
    seen.keep("c", "port", claims)
    assert [seen.find(token, "port") for token in ("a", "b", "c")] == [claims, None, claims]
    seen.forget("a", "port")
    seen.forget("a", "port")
    assert len(seen) == 1


def test_a_guards_token_without_instance_is_refused(tokens: Tokens) -> None:
    with pytest.raises(Unauthorized):
        tokens.guard(tokens.for_guard(AgentIdentity("acme", "acme/finance-1", "")).token)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "bootstrap").mkdir()
    (tmp_path / "bootstrap" / "acme.finance-1").write_text("agent secret\n")
    (tmp_path / "desktop.token").write_text("desk secret")
    return tmp_path


def grants(home: Path, enabled: bool = True) -> DesktopGrants:
    return DesktopGrants(enabled, home / "desktop.token", home / "bootstrap")


def test_the_right_secrets_open(home: Path) -> None:
    grants(home).check_person("desk secret")
    grants(home).check_guard("acme/finance-1", "agent secret")


@pytest.mark.parametrize(
    ("agent", "secret"),
    [
        ("acme/finance-1", "desk secret"),
        ("acme/finance-1", ""),
        ("acme/other", "agent secret"),
        ("acme/other", ""),
        ("../desktop/token", "desk secret"),
        ("acme", "agent secret"),
        ("acme/finance-1", "\ud800"),
    ],
)
def test_wrong_secrets_and_foreign_agents_do_not(home: Path, agent: str, secret: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        grants(home).check_guard(agent, secret)
    assert refused.value.reason == "BootstrapRefused" and refused.value.fix


def test_an_empty_secret_file_opens_nothing(home: Path) -> None:
    (home / "desktop.token").write_text("")
    with pytest.raises(Unauthorized):
        grants(home).check_person("")


def test_off_the_desktop_both_grants_are_disabled(home: Path) -> None:
    for closed in (grants(home, enabled=False), DesktopGrants(True, None, None)):
        with pytest.raises(GrantDisabled):
            closed.check_person("desk secret")
        with pytest.raises(GrantDisabled):
            closed.check_guard("acme/finance-1", "agent secret")
