"""Authority, certificates and keys: what is written when, and that a change is never a break."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509

from cadre_core.login import KEY_BYTES, Login, open_login, seal_login
from cadre_core.manifests.settings import ClusterSettings
from cadre_operator.admission.certificates import signed_within
from cadre_operator.kube.port import Ref
from cadre_operator.settings import TrustSettings
from cadre_operator.trust.addresses import AddressMissingError, located
from cadre_operator.trust.issuing import authority, login_keys, serving
from cadre_operator.trust.keeper import Trust
from tests.unit.operator.fakes import MemoryKube

NOW = datetime(2026, 11, 21, tzinfo=UTC)
HOSTS = ("cadre-controller", "cadre-controller.cadre-system.svc")


def days(count: int) -> datetime:
    """A later time."""
    return NOW + timedelta(days=count)


def test_an_authority_is_made_once_and_followed_by_the_next() -> None:
    first = authority({}, NOW)
    assert first is not None and authority(first, days(100)) is None
    second = authority(first, days(3000))
    assert second is not None
    assert second["ca.crt"].endswith(first["ca.crt"]) and second["ca.key"] != first["ca.key"]
    third = authority(second, days(6000))
    assert third is not None and len(x509.load_pem_x509_certificates(third["ca.crt"])) == 2


def test_a_server_keeps_its_certificate_while_it_is_valid() -> None:
    root = authority({}, NOW) or {}
    held = serving({}, HOSTS, root, NOW)
    assert held is not None and signed_within(held["tls.crt"], root["ca.crt"])
    assert serving(held, HOSTS, root, days(30)) is None
    renewed = serving(held, HOSTS, root, days(61))
    assert renewed is not None and renewed["tls.crt"] != held["tls.crt"]
    other = serving(held, (*HOSTS, "more"), root, days(1))
    assert other is not None and other["tls.crt"] != held["tls.crt"]


def test_a_new_authority_is_told_before_it_is_used() -> None:
    root = authority({}, days(-2990)) or {}
    held = serving({}, HOSTS, root, NOW - timedelta(days=1)) or {}
    changed = authority(root, NOW) or {}
    told = serving(held, HOSTS, changed, NOW)
    assert told is not None and told["ca.crt"] == changed["ca.crt"]
    assert told["tls.crt"] == held["tls.crt"] and signed_within(told["tls.crt"], changed["ca.crt"])


def test_a_certificate_of_a_lost_authority_is_replaced() -> None:
    held = serving({}, HOSTS, authority({}, NOW) or {}, NOW) or {}
    again = authority({}, NOW) or {}
    mended = serving(held, HOSTS, again, NOW)
    assert mended is not None and signed_within(mended["tls.crt"], again["ca.crt"])
    assert not signed_within(held["tls.crt"], again["ca.crt"])
    assert not signed_within(b"no certificate", again["ca.crt"])
    assert serving({"tls.crt": b"x", "tls.key": b"y"}, HOSTS, again, NOW) is not None


def test_login_keys_change_and_the_former_one_is_believed_meanwhile() -> None:
    first = login_keys({}, NOW) or {}
    assert len(first["key"]) == KEY_BYTES and login_keys(first, days(29)) is None
    second = login_keys(first, days(31)) or {}
    assert second["key"].endswith(first["key"]) and len(second["key"]) == 2 * KEY_BYTES
    third = login_keys(second, days(62)) or {}
    assert len(third["key"]) == 2 * KEY_BYTES and not third["key"].endswith(first["key"])
    login = Login("u", "n" * 16, 100)
    assert open_login(seal_login(login, first["key"]), second["key"], 60) == login
    assert login_keys({"key": b"short", "rotated": first["rotated"]}, NOW) is not None
    assert login_keys({**first, "rotated": b"when?"}, NOW) is not None


CLUSTER = ClusterSettings("guard", "goose", "host", "")


def service(name: str, address: str) -> dict[str, object]:
    """A Service with an address."""
    metadata = {"name": name, "namespace": "cadre-system"}
    spec = {"clusterIP": address, "ports": [{"port": 443}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": metadata, "spec": spec}


async def test_addresses_are_read_from_services() -> None:
    kube = MemoryKube()
    settings = TrustSettings(api_server="10.96.0.1:443")
    with pytest.raises(AddressMissingError, match="cadre-system/cadre-controller-guard"):
        await located(kube, CLUSTER, settings, "cadre-system")
    await kube.create(service("cadre-controller-guard", "10.96.0.20"))
    found = await located(kube, CLUSTER, settings, "cadre-system")
    assert (found.controller_ip, found.egress_probes) == ("10.96.0.20", ("10.96.0.1:443",))
    await kube.create(service("cadre-controller", "fd00::7"))
    found = await located(kube, CLUSTER, settings, "cadre-system")
    assert found.egress_probes == ("10.96.0.1:443", "[fd00::7]:443")
    given = ClusterSettings("guard", "goose", "host", "10.0.0.9", egress_probes=("10.0.0.1:1",))
    assert await located(kube, given, settings, "cadre-system") == given


async def test_the_analyzers_service_is_waited_for_where_there_are_analyzers() -> None:
    kube = MemoryKube()
    settings = TrustSettings(analyzer_service="cadre-analyzer")
    cluster = replace(CLUSTER, controller_ip="10.96.0.20", analyzer_host="cadre-analyzer.cadre-system.svc")
    with pytest.raises(AddressMissingError, match="cadre-system/cadre-analyzer"):
        await located(kube, cluster, settings, "cadre-system")
    await kube.create(service("cadre-analyzer", "10.96.0.21"))
    assert (await located(kube, cluster, settings, "cadre-system")).analyzer_ip == "10.96.0.21"


async def test_a_certificate_is_kept_for_analyzers_where_there_are_any() -> None:
    for service_name, expected in (("", False), ("cadre-analyzer", True)):
        kube = MemoryKube()
        trust = Trust(kube, TrustSettings(analyzer_service=service_name), "cadre-system", "cadre-ca")
        await trust.ensure(NOW)
        secret = await kube.get(Ref("v1", "Secret", "cadre-system", "cadre-analyzer-tls"))
        assert (secret is not None) is expected


async def test_a_service_without_address_is_said() -> None:
    kube = MemoryKube()
    await kube.create(service("cadre-controller-guard", "None"))
    with pytest.raises(AddressMissingError, match="no ClusterIP"):
        await located(kube, CLUSTER, TrustSettings(), "cadre-system")
