"""What an operator lives through as it is: cut watches, a busy API server, writes that fail."""

import time

import pytest

from tests.integration.operator.site import Site
from tests.integration.operator.test_faults import scaled, wait_scaled
from tests.support.kube import wait_until

pytestmark = pytest.mark.kube


def test_a_cut_watch_loses_no_change(company: Site) -> None:
    company.proxy.block_watches = True
    company.proxy.cut()
    scaled(company, "finance-1", 603)
    company.proxy.block_watches = False
    wait_scaled(company, "finance-1", 603)


def test_a_deletion_that_no_watch_told_is_found(company: Site) -> None:
    company.wait_child("Service", "finance-1")
    company.proxy.block_watches = True
    company.proxy.cut()
    company.client.delete(company.path("Service", "agent-finance-1"))
    company.proxy.expire_watches = True
    company.proxy.block_watches = False
    # a watch of anything else says nothing of Services: theirs would go on where it was, and be told
    wait_until("the watch of Services to lose its place", lambda: "services" in company.proxy.expired)
    company.proxy.expire_watches = False
    company.wait_child("Service", "finance-1")
    found = [line for line in company.replicas[0].logs() if line["message"] == "missed deletion found"]
    assert [line["kind"] for line in found] == ["Service"]


def test_a_busy_server_is_obeyed_and_nothing_is_lost(company: Site) -> None:
    refusals: list[float] = []

    def refuse(method: str, path: str) -> tuple[int, dict[str, str]] | None:
        if method != "PATCH" or "/leases/" in path or len(refusals) >= 5:
            return None
        refusals.append(time.monotonic())
        return 429, {"Retry-After": "1"}

    company.proxy.refuse = refuse
    for number, agent in enumerate(("finance-1", "marketing-1", "hr-1", "support-1")):
        scaled(company, agent, 610 + number)
    for number, agent in enumerate(("finance-1", "marketing-1", "hr-1", "support-1")):
        wait_scaled(company, agent, 610 + number)
    assert len(refusals) == 5
    assert refusals[-1] - refusals[0] >= 0.9, "it paused as it was asked to"
    assert company.replicas[0].metric("cadre_kube_requests_total") > 0


def test_failing_writes_are_said_on_the_object_and_tried_again(company: Site) -> None:
    broken = True

    def refuse(method: str, path: str) -> tuple[int, dict[str, str]] | None:
        return (500, {}) if broken and "statefulsets" in path and method == "PATCH" else None

    company.proxy.refuse = refuse
    scaled(company, "finance-1", 620)
    cond = company.wait_condition("Agent", "finance-1", "Stalled", "True", "RetriesExhausted")
    assert cond["message"]
    broken = False
    wait_scaled(company, "finance-1", 620)
    wait_until("it to be well", lambda: not company.condition("Agent", "finance-1", "Stalled"))


def test_probes(company: Site) -> None:
    one = company.replicas[0]
    assert one.get("/health")[0] == 200
    text = one.get("/metrics")[1]
    for name in ("reconcile_total", "queue_depth", "watch_silence_seconds", "loop_lag_seconds"):
        assert f"cadre_{name}" in text
    assert one.metric("cadre_watch_silence_seconds") < 180, "or the liveness probe would not be content"
