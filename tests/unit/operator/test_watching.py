"""What the operator knows of the cluster: settings, trimmed objects, own writes, silent watches."""

import asyncio
import json
import logging
from dataclasses import replace
from pathlib import Path

import pytest
from aiohttp import ClientSession, web
from aiohttp.test_utils import TestServer

from cadre_api.conditions import ConditionType, ReadyReason
from cadre_operator.kube.fields import at, items, mapping, number, text, texts, version_of
from cadre_operator.log import JsonFormatter
from cadre_operator.metrics import Metrics
from cadre_operator.probes import Health, application
from cadre_operator.settings import SettingsError, read_settings
from cadre_operator.status.common import Sync, SyncState, accepted, controller_synced, describe
from cadre_operator.status.conditions import change, condition
from cadre_operator.status.events import event, worth_telling
from cadre_operator.watch.ages import WatchAges
from cadre_operator.watch.entries import HASH, Child, child_of, entry_of
from cadre_operator.watch.store import Store
from tests.unit.operator.company import body, chart, entries
from tests.unit.operator.fakes import Clock

ENV = {
    "CADRE_GUARD_IMAGE": "g",
    "CADRE_GOOSE_IMAGE": "a",
    "CADRE_GUARD_HOST": "h",
    "CADRE_GUARD_IP": "10.0.0.1",
}


def test_settings_have_defaults(tmp_path: Path) -> None:
    found = read_settings({**ENV, "CADRE_WATCH_NAMESPACES": "a, b", "CADRE_ISSUER_PREFIXES": "o:=https://i"})
    assert (found.namespaces, found.workers, found.kubeconfig) == (("a", "b"), 50, None)
    assert found.identities.issuers == (("o:", "https://i"),)
    assert (found.webhook.port, found.webhook.failure_policy) == (9443, "Fail")
    assert (found.webhook.timeout, found.webhook.exempt) == (10, ())
    told = read_settings({**ENV, "CADRE_WEBHOOK_TIMEOUT": "30", "CADRE_WEBHOOK_EXEMPT_NAMESPACES": "x, y"})
    assert (told.webhook.timeout, told.webhook.exempt) == (30, ("x", "y"))
    assert (found.cluster.analyzer_host, found.trust.analyzer_service) == ("", "")
    offering = read_settings({**ENV, "CADRE_ANALYZER_SERVICE": "cadre-analyzer"})
    assert offering.cluster.analyzer_host == "cadre-analyzer.cadre-system.svc"
    assert offering.trust.analyzer_service == "cadre-analyzer"
    file = tmp_path / "kubeconfig"
    file.write_text("x")
    assert read_settings({**ENV, "KUBECONFIG": str(file)}).kubeconfig == file


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("CADRE_GUARD_IMAGE", ""),
        ("CADRE_WORKERS", "0"),
        ("CADRE_LEASE_SECONDS", "soon"),
        ("CADRE_RESYNC_SECONDS", "-1"),
        ("CADRE_PROBE_LISTEN", "8080"),
        ("CADRE_WEBHOOK_LISTEN", "x:99999"),
        ("CADRE_WEBHOOK_FAILURE_POLICY", "Perhaps"),
        ("CADRE_WEBHOOK_TIMEOUT", "31"),
        ("CADRE_WEBHOOK_EXEMPT_NAMESPACES", "kube-system,served"),
        ("CADRE_ISSUER_PREFIXES", "https://i"),
        ("KUBECONFIG", "/nowhere/at/all"),
    ],
)
def test_a_wrong_setting_is_named(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=name):
        read_settings({**ENV, "CADRE_WATCH_NAMESPACES": "served", name: value})


def test_absent_and_mistyped_fields_are_empty() -> None:
    obj = {"a": {"b": "c", "n": True}, "l": [{"x": 1}, "y"], "t": {"k": "v", "z": 1}}
    assert (text(obj, "a", "b"), text(obj, "a", "b", "c"), text(obj, "l")) == ("c", "", "")
    assert (number(obj, "a", "n"), number(obj, "a"), mapping(obj, "l")) == (0, 0, {})
    assert (items(obj, "l"), items(obj, "a", "b"), items(obj)) == ([{"x": 1}], [], [])
    assert (texts(obj, "t"), at(None, "a"), version_of({})) == ({"k": "v"}, None, 0)


def part(version: str, applied: str = "h", name: str = "agent-a") -> Child:
    """A part of agent a."""
    metadata = {
        "name": name,
        "namespace": "co",
        "uid": f"u-{name}",
        "resourceVersion": version,
        "labels": {"cadre.dev/agent": "a"},
        "annotations": {HASH: applied},
    }
    return child_of({"apiVersion": "v1", "kind": "Service", "metadata": metadata})


def test_own_writes_are_seen_before_the_watch_brings_them() -> None:
    clock = Clock()
    store = Store(clock)
    assert store.in_namespace("co") == []
    old = entry_of(body("Agent", "a-1", resourceVersion="5"))
    new = replace(old, version=7, status={"phase": "Idle"})
    assert store.see(old, gone=False) is False
    store.wrote(new)
    assert store.entry(old.key) == new
    older = replace(old, version=6)
    assert store.see(older, gone=False) is False
    assert store.entry(old.key) == new, "an older echo changes nothing"
    clock.turn(16)
    assert store.entry(old.key) == older, "a watch that never brings it is believed in the end"
    store.wrote(new)
    assert store.see(new, gone=False) is True, "our own write echoes"
    assert store.see(new, gone=False) is False, "once"
    store.wrote(replace(new, version=6))
    assert store.entry(old.key) == new, "the watch was faster than the answer"
    store.wrote(replace(new, version=9))
    store.see(replace(old, uid="another", version=8), gone=False)
    assert store.entry(old.key) == replace(old, uid="another", version=8), "it was deleted and made anew"
    store.see(new, gone=True)
    assert (store.entry(old.key), store.namespaces(), store.all_entries()) == (None, [], [])


def test_nodes_are_found_and_forgotten() -> None:
    store = Store(Clock())
    node, agent = entry_of(body("OrgNode", "team")), entry_of(body("Agent", "a-1"))
    for entry in (node, agent):
        store.see(entry, gone=False)
    assert (store.nodes(), store.namespaces()) == ([node], ["co"])
    assert store.entries_of("Agent") == store.entries_of("Agent", "co") == [agent]
    assert store.entries_of("Agent", "elsewhere") == []
    store.see(node, gone=True)
    assert (store.nodes(), store.in_namespace("co")) == ([], [agent])


def test_what_an_object_says_as_before_is_kept_once() -> None:
    store = Store(Clock())
    metadata = {"labels": {"team": "red"}, "annotations": {"cadre.dev/x": "y"}}
    written = body("Agent", "a-1", **metadata)
    first = store.read(written)
    assert first == entry_of(written)
    store.see(first, gone=False)
    again = store.read({**body("Agent", "a-1", resourceVersion="2", **metadata), "status": {"phase": "Idle"}})
    assert (again.version, again.status) == (2, {"phase": "Idle"})
    assert again.model is first.model and again.notes is first.notes and again.uid is first.uid
    for differing in ({"generation": 2}, {"labels": {"team": "blue"}}, {"uid": "another"}):
        other = body("Agent", "a-1", {"purpose": "Other."}, **{**metadata, **differing})
        assert store.read(other) == entry_of(other), differing
    noted = store.read(body("Agent", "a-1", **{**metadata, "annotations": {"cadre.dev/x": "z"}}))
    assert (noted.notes, noted.model) == ({"cadre.dev/x": "z"}, first.model)


def test_what_cannot_be_read_or_has_no_generation_is_read_anew() -> None:
    store = Store(Clock())
    for metadata, spec in (({}, {"nodeRef": 7}), ({"generation": 0}, {})):
        store.see(store.read(body("Agent", "a-1", spec, **metadata)), gone=False)
        mended = body("Agent", "a-1", {"purpose": "Mended."}, **metadata)
        assert store.read(mended) == entry_of(mended)


def test_own_parts_are_seen_until_they_are_gone() -> None:
    store = Store(Clock())

    def hashes() -> list[str]:
        return [child.hash for child in store.children("co", "a")]

    store.applied(part("5", "new"))
    assert hashes() == ["new"]
    assert store.see_child(part("4", "old"), gone=False) is False
    assert hashes() == ["new"]
    assert store.see_child(part("5", "new"), gone=False) is True, "our own write echoes"
    store.applied(part("5", "late"))
    assert hashes() == ["new"], "the watch was faster than the answer"
    store.see_child(part("6", "newest"), gone=False)
    assert hashes() == ["newest"]
    store.applied(part("7", "mine"))
    assert store.see_child(part("6"), gone=True) is False
    assert (hashes(), store.children_of("Service")) == ([], [])


async def test_a_silent_watch_grows_old() -> None:
    clock = Clock()
    ages = WatchAges(clock)
    more = asyncio.Event()

    async def answer(request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"items": []})
        response = web.StreamResponse()
        await response.prepare(request)
        await response.write(b"{}\n")
        await more.wait()
        await response.write(b"{}\n")
        return response

    app = web.Application()
    app.router.add_get("/api/v1/pods", answer)
    async with TestServer(app) as server, ClientSession() as session:
        url = server.make_url("/api/v1/pods")
        async with session.get(url) as listed:
            ages.read(listed)
        assert ages.ages() == {}
        async with session.get(url.with_query(watch="true")) as stream:
            ages.read(stream)
            await stream.content.readline()
            ages.ages()
            clock.turn(50)
            assert ages.ages() == {"/api/v1/pods": 50}
            more.set()
            await stream.content.readline()
            assert ages.ages() == {"/api/v1/pods": 0}
        clock.turn(9)
        assert ages.ages() == {"/api/v1/pods": 9}


async def test_probes_answer() -> None:
    ages = {"/api/v1/pods": 5.0}
    problem = ["starting"]
    metrics = Metrics()
    metrics.observe_request("GET", 200, 0.1)
    health = Health(Clock(), lambda: ages, 180, lambda: problem[0], metrics)
    async with TestServer(application(health)) as server, ClientSession() as session:

        async def status(path: str) -> int:
            async with session.get(server.make_url(path)) as reply:
                return reply.status

        assert (await status("/health"), await status("/ready"), await status("/metrics")) == (200, 503, 200)
        problem[0], ages["/api/v1/pods"] = "", 200.0
        assert (await status("/health"), await status("/ready")) == (503, 200)


def test_a_status_is_written_once() -> None:
    ready = condition(ConditionType.READY, True, ReadyReason.READY)
    first = change({}, 1, [ready], {"path": "a", "gone": None}, "t1")
    assert first is not None
    assert [t.first for t in first.transitions] == [True]
    assert change(first.status, 1, [ready], {"path": "a"}, "t2") is None
    second = change(first.status, 2, [ready], {}, "t2")
    assert second is not None
    assert second.status["path"] is None, "a fact that is gone is taken out"
    assert second.status["conditions"][0]["lastTransitionTime"] == "t1"  # type: ignore[index]
    assert second.transitions == ()


def test_events_are_for_news() -> None:
    entry = entry_of(body("Agent", "a-1"))
    starting = change({}, 1, [condition(ConditionType.READY, False, ReadyReason.STARTING)], {}, "t1")
    assert starting is not None
    assert worth_telling("Agent", starting.transitions) == []
    ready = change(starting.status, 1, [condition(ConditionType.READY, True, ReadyReason.READY)], {}, "t2")
    assert ready is not None
    assert len(worth_telling("Agent", ready.transitions)) == 1
    assert worth_telling("Person", ready.transitions) == []
    assert event(entry, ready.transitions[0], "t", "x")["type"] == "Normal"
    down = change(
        ready.status, 1, [condition(ConditionType.READY, False, ReadyReason.AGENT_CRASHED)], {}, "t"
    )
    assert down is not None
    assert event(entry, down.transitions[0], "t", "x")["type"] == "Warning"


def test_what_the_controller_said_and_what_is_written_make_one_condition() -> None:
    entry = entry_of(body("Agent", "a-1"))
    written = replace(
        entry,
        status={"conditions": [{"type": "ControllerSynced", "status": "True", "observedGeneration": 1}]},
    )

    def said(sync: SyncState, of: object = entry, in_force: bool = True) -> str:
        found = controller_synced(of, in_force, sync, "r1")  # type: ignore[arg-type]
        return f"{found.status} {found.reason}" if found else ""

    assert said(SyncState()) == ""
    assert said(SyncState(), written) == "True Synced"
    assert said(SyncState(Sync.SYNCED, "r0")) == ""
    assert said(SyncState(Sync.SYNCED, "r1")) == "True Synced"
    assert said(SyncState(Sync.SYNCED, "r1"), in_force=False) == "False Pending"
    assert said(SyncState(Sync.REJECTED, "r1", "no")) == "False Rejected"
    assert said(SyncState(Sync.UNREACHABLE)) == "False ControllerUnreachable"
    assert said(SyncState(Sync.UNREACHABLE), written) == "True Synced"
    assert said(SyncState(Sync.UNREACHABLE, lasting=True), written) == "False ControllerUnreachable"


def test_problems_are_written_for_people() -> None:
    broken = chart(entries(body("Agent", "a-1", {"nodeRef": {"name": "tam"}})))
    found = next(iter(broken.problems.values()))
    assert "did you mean team?" in accepted(found, None).message
    assert describe([found[0]] * 7).endswith("and 2 more")


def test_logs_are_one_json_object_a_line() -> None:
    record = logging.makeLogRecord({"msg": "it happened", "levelname": "INFO", "agent": "co/a"})
    line = json.loads(JsonFormatter().format(record))
    assert (line["message"], line["agent"], line["level"]) == ("it happened", "co/a", "info")
    try:
        raise ValueError("x")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    assert "ValueError: x" in json.loads(JsonFormatter().format(record))["exception"]


def test_conditions_are_counted_when_they_are_asked_for() -> None:
    metrics, counts = Metrics(), dict[tuple[str, str, str], int]()
    metrics.watch_conditions(lambda: counts)
    counts["Agent", "Ready", "False"] = 2
    assert b'cadre_condition{kind="Agent",status="False",type="Ready"} 2.0' in metrics.text()
    counts.clear()
    assert b"cadre_condition{" not in metrics.text()
