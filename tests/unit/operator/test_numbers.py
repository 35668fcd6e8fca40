"""What lets kopf bear many objects: quiet toggles, no memories, trimmed lists."""

import asyncio
import copy

import aiohttp
from aiohttp import web
from aiohttp.test_utils import TestServer

from cadre_operator.kube.trimmed import TrimmedResponse, trimmed
from cadre_operator.watch.entries import child_of, entry_of
from cadre_operator.watch.numbers import NoMemories, QuietToggles
from tests.unit.operator.company import body


class _Counting(asyncio.Condition):
    """Counts how often everybody was woken."""

    woken = 0

    def notify_all(self) -> None:
        self.woken += 1
        super().notify_all()


async def test_who_waits_for_all_is_woken_once() -> None:
    toggles = QuietToggles(all)
    toggles._condition = condition = _Counting()
    made = [await toggles.make_toggle(name=str(n)) for n in range(20)]
    waiting = asyncio.create_task(toggles.wait_for(True))
    await asyncio.sleep(0)
    before = condition.woken
    for toggle in made[:-1]:
        await toggles.drop_toggle(toggle)
    assert (condition.woken, waiting.done()) == (before, False)
    await toggles.drop_toggle(made[-1])
    await waiting
    assert condition.woken == before + 1


async def test_a_toggle_that_stops_everything_is_heard() -> None:
    toggles = QuietToggles(any)
    waiting = asyncio.create_task(toggles.wait_for(True))
    await asyncio.sleep(0)
    await toggles.make_toggle(True, name="paused")
    await waiting


async def test_objects_leave_nothing_behind() -> None:
    memories = NoMemories()
    await memories.recall({"metadata": {"uid": "u-1"}}, noticed_by_listing=True)
    assert list(memories.iter_all_memories()) == []


def _workload() -> dict[str, object]:
    fields = {"f:spec": {"f:template": {"f:spec": {}}}, "f:metadata": {"f:labels": {}}}
    managed = [{"manager": "kubectl", "operation": "Update", "time": "t1", "fieldsV1": fields}]
    metadata = {"name": "agent-a", "namespace": "co", "uid": "u", "resourceVersion": "7"}
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {**metadata, "managedFields": managed},
        "spec": {"replicas": 2, "template": {"spec": {"containers": []}}},
    }


def test_a_trimmed_object_reads_like_the_whole_one() -> None:
    found = trimmed({"kind": "StatefulSetList", "items": [_workload()]})
    assert isinstance(found, dict)
    slim = found["items"][0]
    assert slim["spec"] == {"replicas": 2}
    assert slim["metadata"]["managedFields"][0]["fieldsV1"] == {"f:spec": {}, "f:metadata": {}}
    assert child_of(slim) == child_of(_workload())


def test_an_object_of_ours_is_held_without_its_writers_and_its_text() -> None:
    noted = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "cadre.dev/consent": "stamp"}
    whole = body("Agent", "a-1", annotations=noted, managedFields=[{"manager": "kubectl"}])
    read = entry_of(whole)
    found = trimmed({"kind": "AgentList", "items": [whole]})
    assert isinstance(found, dict)
    (slim,) = found["items"]
    assert slim["metadata"]["annotations"] == {"cadre.dev/consent": "stamp"}
    assert "managedFields" not in slim["metadata"]
    assert entry_of(slim) == read
    bare = {"kind": "AgentList", "items": [{"metadata": {"name": "a"}, "spec": {}}, {}]}
    assert trimmed(copy.deepcopy(bare)) == bare


def test_what_we_do_not_know_stays_as_it_is() -> None:
    crds = {"kind": "CustomResourceDefinitionList", "items": [{"spec": {"group": "cadre.dev"}}]}
    assert trimmed(crds) == {
        "kind": "CustomResourceDefinitionList",
        "items": [{"spec": {"group": "cadre.dev"}}],
    }
    assert trimmed(["x"]) == ["x"]


async def test_answers_are_trimmed_as_they_are_read() -> None:
    async def pods(_: web.Request) -> web.Response:
        return web.json_response(
            {"kind": "PodList", "items": [{"metadata": {"name": "p"}, "spec": {"x": 1}}]}
        )

    app = web.Application()
    app.router.add_get("/pods", pods)
    async with (
        TestServer(app) as server,
        aiohttp.ClientSession(response_class=TrimmedResponse) as http,
        http.get(server.make_url("/pods")) as answer,
    ):
        assert (await answer.json())["items"] == [{"metadata": {"name": "p"}}]
