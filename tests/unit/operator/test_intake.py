"""What the watches bring is kept, and only what is news has anything looked at."""

import logging

import pytest

from cadre_api.v1alpha1 import API_VERSION
from cadre_core.manifests.settings import ClusterSettings
from cadre_operator.chart.book import ChartBook
from cadre_operator.keys import Key
from cadre_operator.kube.fields import Json, mapping
from cadre_operator.metrics import Metrics
from cadre_operator.watch.entries import child_of, entry_of
from cadre_operator.watch.intake import Intake
from cadre_operator.watch.store import Store
from cadre_operator.workqueue import WorkQueue
from cadre_operator.world import World
from tests.unit.operator.company import body, chart, entries
from tests.unit.operator.fakes import Clock, MemoryKube

AGENT = (API_VERSION, "Agent")
NODE = (API_VERSION, "OrgNode")
SERVICE = ("v1", "Service")
A_1 = Key("Agent", "co", "a-1")


def world() -> World:
    """A leader's world in which nothing is known yet."""
    clock = Clock()
    queues = WorkQueue(clock), WorkQueue(clock)
    cluster = ClusterSettings("g", "a", "h", "1.2.3.4")
    return World(
        MemoryKube(), Store(clock), ChartBook(), *queues, None, Metrics(), cluster, clock, leading=True
    )


def started() -> Intake:
    """One that knows the whole company, whose chart is compiled."""
    intake = Intake(world(), 1)
    for entry in entries():
        intake.world.store.see(entry, gone=False)
    intake.listed(SERVICE, "", set())
    intake.world.book.states["co"] = chart(entries())
    drained(intake.world.charts)
    drained(intake.world.objects)
    return intake


def drained(queue: WorkQueue) -> set[Key]:
    """What is to be looked at, now or in a moment; nothing afterwards."""
    found = {*queue._ready, *queue._later}
    queue.clear()
    return found


def service(version: str, agent: str = "a-1") -> Json:
    """A part as a watch of metadata alone brings it."""
    metadata = {"name": "agent-a-1", "namespace": "co", "uid": "u-1", "resourceVersion": version}
    metadata |= {"labels": {"cadre.dev/agent": agent}}
    return {"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadata", "metadata": metadata}


def whole(version: str) -> Json:
    """The same as the API server answers an apply."""
    return {**service(version), "apiVersion": "v1", "kind": "Service"}


def test_nothing_is_looked_at_until_everything_was_listed() -> None:
    intake = Intake(world(), 2)
    assert intake.take(NODE, None, body("OrgNode", "co")) == "uid-co"
    intake.listed(NODE, "", {"uid-co"})
    intake.take(AGENT, "ADDED", body("Agent", "a-1"))
    intake.take(SERVICE, None, service("2"))
    assert intake.missing() == "1 of 2 lists are read"
    assert (drained(intake.world.charts), drained(intake.world.objects)) == (set(), set())
    intake.listed(SERVICE, "", {"u-1"})
    assert (intake.missing(), intake.complete.is_set()) == ("", True)
    assert drained(intake.world.charts) == {Key("Chart", "co")}


def test_a_change_of_a_part_has_its_agent_looked_at_and_an_echo_does_not() -> None:
    intake = started()
    intake.take(SERVICE, "ADDED", service("2"))
    assert drained(intake.world.objects) == {A_1}
    intake.world.store.applied(child_of(whole("3")))
    intake.take(SERVICE, "MODIFIED", service("3"))
    assert drained(intake.world.objects) == set()
    intake.take(SERVICE, "MODIFIED", service("4"))
    assert drained(intake.world.objects) == {A_1}
    intake.world.reviewed["u-1"] = "somebody"
    intake.take(SERVICE, "DELETED", service("5"))
    assert (drained(intake.world.objects), intake.world.reviewed) == ({A_1}, {})
    assert intake.world.store.children("co", "a-1") == []


def test_a_part_that_is_given_to_another_agent_leaves_the_former_one() -> None:
    intake = started()
    intake.take(SERVICE, "ADDED", service("2"))
    intake.take(SERVICE, "MODIFIED", service("3", agent="a-2"))
    assert drained(intake.world.objects) == {A_1, Key("Agent", "co", "a-2")}
    assert intake.world.store.children("co", "a-1") == []
    assert len(intake.world.store.children("co", "a-2")) == 1


def test_a_status_of_others_has_the_object_looked_at_and_our_own_does_not() -> None:
    intake = started()
    mine = {**body("Agent", "a-1", resourceVersion="2"), "status": {"phase": "Idle"}}
    intake.world.store.wrote(entry_of(mine))
    intake.take(AGENT, "MODIFIED", mine)
    assert drained(intake.world.objects) == set()
    intake.take(AGENT, "MODIFIED", body("Agent", "a-1", resourceVersion="3"))
    assert drained(intake.world.objects) == {A_1}
    assert drained(intake.world.charts) == set()


def test_a_change_of_a_spec_is_seen_in_the_echo_of_our_own_status_too() -> None:
    intake = started()
    both = body("Agent", "a-1", {"purpose": "Another."}, resourceVersion="2", generation=2)
    intake.world.store.wrote(entry_of(both))
    intake.take(AGENT, "MODIFIED", both)
    assert drained(intake.world.charts) == {Key("Chart", "co")}


def test_what_a_new_list_does_not_bring_is_gone() -> None:
    intake = started()
    intake.take(SERVICE, "ADDED", service("2"))
    drained(intake.world.objects)
    intake.listed(SERVICE, "elsewhere", set())
    assert drained(intake.world.objects) == set(), "another namespace"
    intake.listed(SERVICE, "", set())
    assert drained(intake.world.objects) == {A_1}
    intake.listed(AGENT, "co", {"uid-a-2"})
    assert intake.world.store.entry(A_1) is None
    assert drained(intake.world.charts) == {Key("Chart", "co")}
    intake.listed(NODE, "", {"uid-co"})
    assert [entry.key.name for entry in intake.world.store.nodes()] == ["co"]


def test_what_is_exempt_or_unreadable_is_told_and_changes_nothing(caplog: pytest.LogCaptureFixture) -> None:
    intake = started()
    intake.world.exempt = frozenset({"kube-system"})
    foreign = body("Agent", "a-9")
    foreign["metadata"] = {**mapping(foreign, "metadata"), "namespace": "kube-system"}
    with caplog.at_level(logging.ERROR):
        intake.take(AGENT, "ADDED", foreign)
        intake.take(AGENT, "ADDED", body("Agent", "a-8", resourceVersion="9" * 5000))
    assert "object not served, its namespace is exempt from admission" in caplog.text
    assert "object not read" in caplog.text
    assert intake.world.store.namespaces() == ["co"]
