"""Signing in by way of a cluster: codes serve once, and only the chart says what a user may."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from cadre_controller.auth.identity import PersonIdentity
from cadre_controller.auth.kubernetes_login import ClusterUser, KubernetesLogin, identify
from cadre_controller.errors import Denied
from cadre_controller.refusals import GrantDisabled, Unauthorized
from cadre_core.compile import compile_chart
from cadre_core.load import parse_documents
from cadre_core.login import Login, seal_login
from cadre_core.model import Snapshot
from cadre_core.users import ADMINS_GROUP

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
KEY = b"k" * 32
ISSUERS = (("oidc:", "https://idp.acme.example"),)
CHART = """
apiVersion: cadre.dev/v1alpha1
kind: Person
metadata: {name: ada, namespace: TENANT}
spec: {identity: {issuer: https://idp.acme.example, subject: u-1}, displayName: Ada}
---
apiVersion: cadre.dev/v1alpha1
kind: OrgNode
metadata: {name: TENANT, namespace: TENANT}
spec: {type: Organization, title: Acme, members: [{personRef: {name: ada}, roles: [Head]}]}
"""


class FixedClock:
    def now(self) -> datetime:
        return NOW


class Reviewer:
    async def user(self, token: str) -> tuple[str, tuple[str, ...]] | None:
        return ("oidc:u-1", (ADMINS_GROUP,)) if token == "good" else None


def snapshot(tenant: str) -> Snapshot:
    resources, problems = parse_documents([("c.yaml", CHART.replace("TENANT", tenant))])
    assert problems == ()
    found = compile_chart(resources).snapshot
    assert found is not None
    return found


@pytest.fixture
def login(tmp_path: Path) -> KubernetesLogin:
    (tmp_path / "key").write_bytes(KEY)
    return KubernetesLogin(tmp_path / "key", Reviewer(), FixedClock())


def code(nonce: str = "n" * 20, seconds: int = 60, key: bytes = KEY, admin: bool = False) -> str:
    return seal_login(Login("oidc:u-1", nonce, int(NOW.timestamp()) + seconds, admin), key)


def test_a_code_says_who_asks_and_serves_once(login: KubernetesLogin) -> None:
    assert login.by_code(code(admin=True)) == ClusterUser("oidc:u-1", True)
    with pytest.raises(Unauthorized) as refused:
        login.by_code(code(admin=True))
    assert refused.value.reason == "CodeUsed"
    assert login.by_code(code("m" * 20)) == ClusterUser("oidc:u-1", False)


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (code(seconds=0), "CodeExpired"),
        (code(seconds=3600), "CodeExpired"),
        (code(key=b"x" * 32), "CodeInvalid"),
        (code()[:-2], "CodeInvalid"),
        ("", "CodeInvalid"),
        ("..", "CodeInvalid"),
        ("\ud800", "CodeInvalid"),
    ],
)
def test_a_code_that_is_not_ours_is_refused(login: KubernetesLogin, given: str, reason: str) -> None:
    with pytest.raises(Unauthorized) as refused:
        login.by_code(given)
    assert refused.value.reason == reason


async def test_a_token_counts_when_the_cluster_vouches_for_it(login: KubernetesLogin) -> None:
    assert await login.by_token("good") == ClusterUser("oidc:u-1", True)
    with pytest.raises(Unauthorized):
        await login.by_token("bad")


async def test_outside_of_a_cluster_nobody_gets_in(tmp_path: Path) -> None:
    for nowhere in (None, tmp_path / "missing"):
        closed = KubernetesLogin(nowhere, None, FixedClock())
        with pytest.raises(GrantDisabled):
            closed.by_code(code())
        with pytest.raises(GrantDisabled):
            await closed.by_token("good")
    (tmp_path / "empty").touch()
    with pytest.raises(GrantDisabled):
        KubernetesLogin(tmp_path / "empty", None, FixedClock()).by_code(code())


def test_a_user_is_the_person_with_that_identity_and_else_an_administrator() -> None:
    charts = {"acme": snapshot("acme"), "zeta": snapshot("zeta")}
    ada = ClusterUser("oidc:u-1", True)
    assert identify(ada, charts, "acme", ISSUERS) == PersonIdentity("acme", "acme/ada")
    with pytest.raises(Denied) as several:
        identify(ada, charts, "", ISSUERS)
    assert several.value.reason == "SeveralTenants"
    assert identify(ClusterUser("root", True), charts, "acme", ISSUERS) == PersonIdentity("acme", "")
    for stranger in ("root", "oidc:u-2", "u-1"):
        with pytest.raises(Denied) as refused:
            identify(ClusterUser(stranger, False), charts, "", ISSUERS)
        assert refused.value.reason == "NoPerson"
    plain = ClusterUser("https://idp.acme.example#u-1", False)
    assert identify(plain, charts, "zeta", ()).person == "zeta/ada"
