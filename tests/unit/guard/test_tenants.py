"""What the analyzer of a machine keeps of each tenant, and how much may wait."""

import pytest

from cadre_detect import DetectConfig
from cadre_guard.analysis.server import tenants
from cadre_guard.analysis.server.tenants import BusyError, Tenant, Tenants

CONFIG = DetectConfig()
MEGABYTE = 1024 * 1024


def _tenant(held: Tenants, name: str) -> Tenant:
    with held.entered(name, 0) as found:
        return found


def test_digests_of_two_tenants_cannot_be_compared() -> None:
    held = Tenants(workers=1)
    red, blue = _tenant(held, "red"), _tenant(held, "blue")
    assert red.cache.digest(b"r", "text") != blue.cache.digest(b"r", "text")
    assert _tenant(held, "red") is red


def test_what_was_not_used_for_longest_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "_MAX_TENANTS", 2)
    held = Tenants(workers=1)
    red = _tenant(held, "red")
    _tenant(held, "blue")
    _tenant(held, "red")
    _tenant(held, "green")
    assert (len(held), _tenant(held, "red")) == (2, red)


def test_a_tenant_at_work_is_not_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tenants, "_MAX_TENANTS", 1)
    held = Tenants(workers=1)
    with held.entered("red", 1), pytest.raises(BusyError) as caught, held.entered("blue", 1):
        pass
    assert not caught.value.own


def test_one_tenant_may_not_have_everything_waiting() -> None:
    held = Tenants(workers=1)
    with held.entered("red", 40 * MEGABYTE):
        with pytest.raises(BusyError) as caught, held.entered("red", 40 * MEGABYTE):
            pass
        assert caught.value.own
        with (
            held.entered("blue", 40 * MEGABYTE),
            pytest.raises(BusyError) as full,
            held.entered("green", 40 * MEGABYTE),
        ):
            pass
        assert not full.value.own
    with held.entered("red", 40 * MEGABYTE):
        pass


def test_a_worker_is_left_for_the_others_where_there_are_several() -> None:
    turns = _tenant(Tenants(workers=3), "red").turns
    assert turns._value == 2
    assert _tenant(Tenants(workers=1), "red").turns._value == 1


def test_configurations_are_bounded_by_number_and_bytes() -> None:
    tenant = _tenant(Tenants(workers=1), "red")
    tenant.keep("first", CONFIG, 1)
    for number in range(tenants._MAX_CONFIGURATIONS):
        tenant.keep(str(number), CONFIG, 1)
    assert tenant.configuration("first") is None
    tenant.keep("big", CONFIG, tenants._MAX_CONFIGURATION_BYTES)
    assert tenant.configuration("0") is None
    again = DetectConfig()
    tenant.keep("big", again, 1)
    assert tenant.configuration("big") is CONFIG
