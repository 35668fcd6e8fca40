"""An agent's parts: what is sent, how many replicas, which pod goes next, whose consent holds."""

from dataclasses import replace

import pytest

from cadre_api.v1alpha1 import Agent, AgentSpec
from cadre_core.manifests import agent_manifests
from cadre_core.manifests.settings import ClusterSettings
from cadre_operator.admission.stamps import CONSENT, ConsentStamp, seal_consent
from cadre_operator.agents.children import compare, prepare
from cadre_operator.agents.consent import Consent, Standing, judge_consent, serving_of
from cadre_operator.agents.made import make, remembered, source_of
from cadre_operator.agents.pods import pod_views
from cadre_operator.agents.replicas import Demand, wanted_replicas
from cadre_operator.agents.rollout import Rollout, next_to_delete, rollout_of
from cadre_operator.kube.fields import Json
from cadre_operator.watch.entries import Child, child_of, entry_of
from tests.unit.operator.company import SEAL, body, chart, entries

CLUSTER = ClusterSettings("guard@x", "goose@x", "host", "10.0.0.1")


def desired() -> tuple[Json, ...]:
    """What agent a-1 should be made of."""
    state = chart(entries())
    entry = entry_of(body("Agent", "a-1"))
    assert state.snapshot is not None
    assert isinstance(entry.model, Agent)
    return prepare(agent_manifests(state.snapshot, entry.model, CLUSTER), entry)


def stored(obj: Json, **more: object) -> Child:
    """An object as the watch brings it after it was applied."""
    metadata = {**obj["metadata"], "uid": f"u-{obj['kind']}", "resourceVersion": "5", **more}  # type: ignore[dict-item]
    return child_of({**obj, "metadata": metadata, "spec": {**obj.get("spec", {}), "replicas": 1}})  # type: ignore[dict-item]


def test_what_is_there_is_not_sent() -> None:
    wanted = desired()
    assert len(compare(wanted, [], 1, {}).apply) == 5
    assert compare(wanted, map(stored, wanted), 1, {}) == compare((), (), 1, {})


def test_what_was_made_is_known_by_its_digest_and_made_again_for_any_reason() -> None:
    state, entry = chart(entries()), entry_of(body("Agent", "a-1"))
    snapshot, model = state.snapshot, entry.model
    assert snapshot is not None and isinstance(model, Agent)
    source = source_of(snapshot, model, entry, CLUSTER)
    made = remembered(source, make(snapshot, model, entry, CLUSTER))
    assert compare(made.stubs, map(stored, desired()), 1, {}) == compare((), (), 1, {})
    assert len(compare(made.stubs, [], 1, {}).apply) == 5
    again = chart(entries()).snapshot
    assert again is not None and again is not snapshot
    source = source_of(again, model, entry, CLUSTER)
    assert source == made.source
    renewed = made.again(source)
    assert renewed == made and renewed.source is source, "nothing of a former chart is held on to"
    assert source_of(snapshot, model, entry, replace(CLUSTER, controller_ip="10.0.0.2")) != made.source
    # nothing else of the chart decides: else the memory would have to know of it
    slim = replace(snapshot, nodes={}, persons={}, tool_servers={}, profiles={}, rules=(), revision="")
    assert make(slim, model, entry, CLUSTER) == desired()


def test_replicas_alone_go_through_scale() -> None:
    wanted = desired()
    found = compare(wanted, map(stored, wanted), 3, {})
    assert (found.apply, found.scale) == ((), 3)
    first = compare(wanted, [], 3, {})
    workload = next(obj for obj in first.apply if obj["kind"] == "StatefulSet")
    assert (workload["spec"]["replicas"], first.scale) == (3, None)  # type: ignore[index]


def test_foreign_fields_are_answered_once() -> None:
    wanted = desired()
    edited = {"manager": "kubectl", "operation": "Update", "time": "t1", "fieldsV1": {"f:spec": {}}}
    status = {**edited, "subresource": "status", "manager": "kcm"}
    ours = {**edited, "manager": "cadre-operator"}
    children = [stored(obj, managedFields=[edited, status, ours]) for obj in wanted]
    assert len(compare(wanted, children, 1, {}).apply) == 5
    answered = {child.uid: "kubectl@t1" for child in children}
    assert compare(wanted, children, 1, answered).apply == ()


def test_an_object_with_our_label_alone_is_not_ours() -> None:
    wanted = desired()[0]
    assert stored(wanted).ours
    applied = {"manager": "cadre-operator", "operation": "Apply"}
    assert stored(wanted, ownerReferences=[], managedFields=[applied]).ours
    written = {"manager": "cadre-operator", "operation": "Update"}
    foreign = [{"apiVersion": "apps/v1", "kind": "Deployment", "name": "a-1", "controller": True}]
    assert not stored(wanted, ownerReferences=foreign, managedFields=[written]).ours


def test_what_is_too_much_goes_and_what_ends_is_left_alone() -> None:
    wanted = desired()
    extra = replace(stored(wanted[0]), kind="PodDisruptionBudget")
    assert compare(wanted, [*map(stored, wanted), extra], 1, {}).delete == (extra,)
    ending = [stored(obj, deletionTimestamp="now") for obj in wanted]
    assert compare(wanted, ending, 1, {}).apply == ()


def spec(**fields: object) -> AgentSpec:
    """A spec."""
    return AgentSpec.model_validate({"nodeRef": {"name": "n"}, "purpose": "p", **fields})


@pytest.mark.parametrize(
    ("fields", "current", "demand", "wanted"),
    [
        ({"lifecycle": "Suspended", "replicas": 3}, 3, Demand(9, 0), 0),
        ({"replicas": 3}, 0, None, 3),
        ({"scaling": {"min": 1}}, 0, None, 1),
        ({}, 1, None, 1),
        ({"scaling": {"max": 4, "concurrency": 2}}, 0, Demand(5, 0), 3),
        ({"scaling": {"max": 2}}, 0, Demand(50, 0), 2),
        ({"scaling": {"max": 2}}, 2, Demand(0, 10), 2),
        ({"scaling": {"max": 2}}, 2, Demand(0, 1000), 0),
    ],
)
def test_replicas(fields: dict[str, object], current: int, demand: Demand | None, wanted: int) -> None:
    assert wanted_replicas(spec(**fields), current, demand, 900) == wanted


def pod(
    ordinal: int, revision: str = "r2", ready: bool = True, deleting: bool = False, **guard: object
) -> Child:
    """A pod."""
    metadata: Json = {
        "name": f"agent-a-1-{ordinal}",
        "namespace": "co",
        "uid": f"p{ordinal}",
        "labels": {"controller-revision-hash": revision, "cadre.dev/agent": "a-1"},
    }
    metadata |= {"deletionTimestamp": "now"} if deleting else {}
    container = {"name": "guard", "started": ready, "ready": ready, **guard}
    status = {
        "conditions": [{"type": "Ready", "status": str(ready)}],
        "initContainerStatuses": [container],
        "containerStatuses": [{"name": "agent", "ready": ready}],
    }
    return child_of({"kind": "Pod", "apiVersion": "v1", "metadata": metadata, "status": status})


def workload(current: str = "r1", update: str = "r2", observed: int = 3, replicas: int = 2) -> Child:
    """A workload whose controller has seen generation `observed` of 3."""
    status = {"observedGeneration": observed, "currentRevision": current, "updateRevision": update}
    metadata = {"name": "agent-a-1", "namespace": "co", "generation": 3}
    return child_of(
        {
            "kind": "StatefulSet",
            "apiVersion": "apps/v1",
            "metadata": metadata,
            "status": status,
            "spec": {"replicas": replicas},
        }
    )


def goes(*pods: Child, of: Child | None = None) -> str:
    """Name the pod that goes next."""
    views = pod_views(pods)
    found = next_to_delete(rollout_of(of or workload(), views), views)
    return found.name if found else ""


def test_the_order_of_a_rollout() -> None:
    assert goes(pod(0, "r1"), pod(1, "r1"), pod(10, "r1")) == "agent-a-1-10"
    assert goes(pod(0, "r1"), pod(1, "r2")) == "agent-a-1-0"
    assert goes(pod(0, "r1"), pod(1, "r2", ready=False)) == ""
    assert goes(pod(0, "r1"), pod(1, "r1", deleting=True)) == ""
    assert goes(pod(0, "r2"), pod(1, "r2")) == ""
    assert goes(pod(0, "r1")) == "", "the one that was deleted is not made again yet"
    crashed = {"state": {"waiting": {"reason": "CrashLoopBackOff"}}}
    assert goes(pod(0, "r1", ready=False, **crashed), pod(1, "r1")) == "agent-a-1-0", "the broken one first"
    assert goes(pod(0, "r1"), pod(1, "r2", ready=False, **crashed)) == "", "a failed change stops here"


def test_nothing_is_known_before_the_controller_saw_the_change() -> None:
    assert goes(pod(0, "r1"), of=workload(observed=2)) == ""
    assert rollout_of(None, ()) == Rollout()
    assert rollout_of(workload(update=""), ()) == Rollout()


def test_a_guard_tells_of_an_open_network_by_its_last_word() -> None:
    told = pod(0, ready=False, lastState={"terminated": {"message": "ProbeAnswered\n"}})
    other = pod(1, ready=False, lastState={"terminated": {"message": "anything"}}, restartCount=1)
    views = pod_views([told, other])
    assert [view.egress for view in views] == ["ProbeAnswered", ""]
    assert [view.broken for view in views] == [True, False]
    again = pod(0, ready=False, restartCount=5, state={"terminated": {"exitCode": 1}})
    assert pod_views([again])[0].guard_broken == "CrashLoopBackOff"


def asking(*, notes: str = "", status: Json | None = None, agent: Json | None = None) -> Consent:
    """Judge the consent of a-1 at a node that asks for it."""
    node = body("OrgNode", "team", {"agents": {"consent": "Head"}})
    given = agent or body("Agent", "a-1")
    state = chart(entries(node, given))
    assert state.snapshot is not None
    entry = replace(entry_of(given), status=status or {}, notes={CONSENT: notes} if notes else {})
    return judge_consent(entry, state.snapshot, state.snapshot.agents["co/a-1"], None, SEAL)


def stamp(rights: str, at: str = "2026-01-01T00:00:00Z", uid: str = "uid-a-1", key: bytes = SEAL) -> str:
    """A sealed consent."""
    return seal_consent(ConsentStamp(uid, rights, "co/lead", at), key)


def test_consent_is_asked_for_and_given() -> None:
    first = asking()
    assert (first.standing, first.ask) == (Standing.REQUIRED, ("co/lead",))
    assert asking(notes=stamp(first.rights_hash)).standing is Standing.GIVEN
    assert asking(notes=stamp("sha256:other")).standing is Standing.WIDENED


@pytest.mark.parametrize("forged", ["", "{", "[]", '{"rightsHash":"x"}'])
def test_a_forged_consent_is_none(forged: str) -> None:
    assert asking(notes=forged).standing is Standing.REQUIRED


def test_a_consent_of_another_object_or_key_is_none() -> None:
    rights = asking().rights_hash
    assert asking(notes=stamp(rights, uid="uid-before")).standing is Standing.REQUIRED
    assert asking(notes=stamp(rights, key=b"other")).standing is Standing.REQUIRED


def test_a_used_consent_gives_way_to_the_record() -> None:
    rights = asking().rights_hash
    record: Json = {"rightsHash": "sha256:smaller", "by": {"name": "lead", "namespace": "co"}}
    later: Json = {"consent": {**record, "at": "2026-01-01T00:00:00Z"}}
    assert asking(notes=stamp(rights), status=later).standing is Standing.WIDENED
    earlier: Json = {"consent": {**record, "at": "2025-01-01T00:00:00Z"}}
    assert asking(notes=stamp(rights), status=earlier).standing is Standing.GIVEN


def test_a_change_that_narrows_is_agreed_to_already() -> None:
    node = body("OrgNode", "team", {"agents": {"consent": "Head"}})
    wide = chart(entries(node))
    assert wide.snapshot is not None
    serving = serving_of(wide.snapshot, wide.snapshot.agents["co/a-1"])
    narrowed = body("Agent", "a-1", {"narrow": {"tools": [{"name": "mesh", "deny": [{"tool": "notify"}]}]}})
    state = chart(entries(node, narrowed))
    assert state.snapshot is not None
    rights = wide.snapshot.agents["co/a-1"].rights_hash
    entry = replace(entry_of(narrowed), notes={CONSENT: stamp(rights)})
    found = judge_consent(entry, state.snapshot, state.snapshot.agents["co/a-1"], serving, SEAL)
    assert found.standing is Standing.GIVEN
    assert found.record is not None
    assert found.record.rights_hash == state.snapshot.agents["co/a-1"].rights_hash != rights
