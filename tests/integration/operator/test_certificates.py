"""The webhook's certificates on a real API server: shared by replicas, renewed without a restart."""

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from cadre_operator.admission.configuration import configurations, hosts
from cadre_operator.admission.keeper import Keeper
from cadre_operator.kube.connection import connect
from cadre_operator.kube.port import KubeConflictError, KubeError, Ref
from cadre_operator.kube.rest import RestKube
from cadre_operator.settings import WebhookSettings
from tests.integration.operator.running import write_kubeconfig
from tests.integration.operator.site import Site

pytestmark = pytest.mark.kube
NOW = datetime.now(UTC)
SETTINGS = WebhookSettings("127.0.0.1", 9443, "https://127.0.0.1:9443", "cadre-operator")


@asynccontextmanager
async def cluster(site: Site) -> AsyncIterator[RestKube]:
    """The operator's own client."""
    path = write_kubeconfig(site.folder / "kubeconfig", site.proxy.url, site.server.users["admin"])
    connection = await connect(path, lambda *_: None, lambda _: None)
    kube = RestKube(connection)
    try:
        yield kube
    finally:
        await kube.close()


def bundle(site: Site) -> bytes:
    """The CA that the API server trusts for our webhook."""
    path = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/cadre-operator"
    found = site.client.get(path).body["webhooks"][0]["clientConfig"]["caBundle"]
    return base64.b64decode(found)


async def test_replicas_share_what_the_first_one_made(site: Site) -> None:
    async with cluster(site) as kube:
        one, two = (Keeper(kube, SETTINGS, site.namespace) for _ in range(2))
        await one.ensure(NOW)
        writes = len(site.proxy.changes())
        await two.ensure(NOW)
        assert one.seal_key == two.seal_key != b""
        assert len(site.proxy.changes()) == writes, "the second one found everything"
        assert bundle(site).startswith(b"-----BEGIN CERTIFICATE")


async def test_renewal_keeps_the_authority_and_a_new_authority_keeps_the_old_one(site: Site) -> None:
    async with cluster(site) as kube:
        keeper = Keeper(kube, SETTINGS, site.namespace)
        await keeper.ensure(NOW)
        first, served = bundle(site), keeper._loaded
        await keeper.ensure(NOW + timedelta(days=61))
        assert (bundle(site), keeper._loaded != served) == (first, True)
        seal = keeper.seal_key
        await keeper.ensure(NOW + timedelta(days=2500))
        assert bundle(site).endswith(first)
        assert bundle(site).count(b"BEGIN CERTIFICATE") == 2
        assert keeper.seal_key == seal, "consents outlive certificates"


async def test_other_hosts_get_another_certificate_and_a_broken_secret_is_mended(site: Site) -> None:
    async with cluster(site) as kube:
        keeper = Keeper(kube, SETTINGS, site.namespace)
        await keeper.ensure(NOW)
        served = keeper._loaded
        moved = WebhookSettings("127.0.0.1", 9443, "https://[::1]:9443", "cadre-operator")
        other = Keeper(kube, moved, site.namespace)
        await other.ensure(NOW)
        assert other._loaded != served
        secret = site.path("Pod", "x").replace("pods/x", "secrets/cadre-operator-webhook")
        site.client.patch(secret, {"data": {"tls.crt": base64.b64encode(b"nonsense").decode()}})
        await keeper.ensure(NOW)
        assert keeper._loaded != served


async def test_two_replicas_that_start_at_once_agree(site: Site) -> None:
    async with cluster(site) as kube:
        keepers = [Keeper(kube, SETTINGS, site.namespace) for _ in range(4)]
        await asyncio.gather(*(keeper.ensure(NOW) for keeper in keepers))
        assert len({keeper.seal_key for keeper in keepers}) == 1


async def test_a_changed_registration_is_put_right(site: Site) -> None:
    async with cluster(site) as kube:
        keeper = Keeper(kube, SETTINGS, site.namespace)
        await keeper.ensure(NOW)
        path = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/cadre-operator"
        hooks = site.client.get(path).body["webhooks"]
        hooks[0]["failurePolicy"] = "Ignore"
        site.client.patch(path, {"webhooks": hooks})
        await keeper.ensure(NOW)
        assert site.client.get(path).body["webhooks"][0]["failurePolicy"] == "Fail"


async def test_the_client_says_what_the_server_says(site: Site) -> None:
    async with cluster(site) as kube:
        ref = Ref("v1", "ConfigMap", site.namespace, "x")
        obj = {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "x", "namespace": site.namespace},
        }
        assert await kube.get(ref) is None
        await kube.create(obj)
        with pytest.raises(KubeConflictError):
            await kube.create(obj)
        with pytest.raises(KubeConflictError):
            await kube.patch(ref, {"metadata": {"resourceVersion": "1"}})
        with pytest.raises(KubeError, match="not found"):
            await kube.patch(Ref("v1", "ConfigMap", site.namespace, "y"), {"data": {}})
        assert (await kube.apply({**obj, "data": {"a": "b"}}))["kind"] == "ConfigMap"
        found = await kube.get(ref)
        assert found is not None and found["data"] == {"a": "b"}
        with pytest.raises(KubeError):
            await kube.delete(ref, uid="another")
        await kube.delete(ref)
        await kube.delete(ref)
        site.proxy.refuse = lambda _m, _p: (429, {"Retry-After": "7"})
        with pytest.raises(KubeError) as caught:
            await kube.get(ref)
        assert (caught.value.status, caught.value.retry_after) == (429, 7.0)
        site.proxy.refuse = lambda _m, _p: None
        site.proxy.down = True
        with pytest.raises(KubeError, match="did not answer"):
            await kube.get(ref)


def test_the_service_is_named_where_there_is_no_url() -> None:
    settings = WebhookSettings("0.0.0.0", 9443, "", "cadre-operator")
    assert hosts(settings, "sys") == ("cadre-operator.sys.svc", "cadre-operator.sys.svc.cluster.local")
    mutating, validating = configurations(settings, "sys", b"ca")
    hook = mutating["webhooks"][0]  # type: ignore[index]
    service = hook["clientConfig"]["service"]
    assert service == {"name": "cadre-operator", "namespace": "sys", "path": "/mutate", "port": 443}
    assert len(validating["webhooks"]) == 2  # type: ignore[arg-type]
