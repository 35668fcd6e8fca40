"""LangGraph's checkpoints in the state of an agent, over the public port."""

import asyncio
from typing import Any

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import Checkpoint, CheckpointMetadata, empty_checkpoint

from cadre_langgraph import CadreSaver, StateError, StateStore
from cadre_langgraph.names import thread_key
from tests.integration.controller.stand import FIN, Stand

EMAIL = "mary.miller@example.org"


async def saver_of(stand: Stand, person: str, scope: str = f"agent:{FIN}") -> CadreSaver:
    token = (await stand.person(person)).token
    return CadreSaver(StateStore(stand.public().base, scope, lambda: token))


def at(thread: str, checkpoint_id: str = "", ns: str = "") -> RunnableConfig:
    place: dict[str, Any] = {"thread_id": thread, "checkpoint_ns": ns}
    return {"configurable": place | ({"checkpoint_id": checkpoint_id} if checkpoint_id else {})}


def checkpoint(values: dict[str, object], version: int) -> Checkpoint:
    return {
        **empty_checkpoint(),
        "channel_values": values,
        "channel_versions": dict.fromkeys(values, version),
    }


async def steps(saver: CadreSaver, thread: str, count: int, run: str = "r") -> list[RunnableConfig]:
    """Checkpoints in a row, each with a write after it."""
    made: list[RunnableConfig] = []
    config = at(thread)
    for i in range(1, count + 1):
        metadata: CheckpointMetadata = {"source": "loop", "step": i, "run_id": f"{run}{i}"}
        kept = checkpoint({"text": f"step {i} for {EMAIL}"}, i)
        config = await saver.aput(config, kept, metadata, {"text": i, "gone": i})
        await saver.aput_writes(config, [("text", f"next {i}"), ("__error__", "no")], "task-1", "path")
        made.append(config)
    return made


async def test_checkpoints_come_back_and_personal_values_are_kept_masked(stand: Stand) -> None:
    saver = await saver_of(stand, "bruno")
    first, last = await steps(saver, "thread 1", 2)
    newest = await saver.aget_tuple(at("thread 1"))
    assert newest is not None and newest.config == last and newest.parent_config == first
    assert newest.checkpoint["channel_values"] == {"text": f"step 2 for {EMAIL}"}
    assert newest.pending_writes == [("task-1", "__error__", "no"), ("task-1", "text", "next 2")]
    older = await saver.aget_tuple(first)
    assert older is not None and older.checkpoint["channel_values"]["text"].startswith("step 1")
    assert await saver.aget_tuple(at("thread 2")) is None
    found = [t async for t in saver.alist(None, filter={"source": "loop"}, before=last, limit=1)]
    assert [t.config for t in found] == [first]
    assert [t.config for t in await asyncio.to_thread(lambda: list(saver.list(last)))] == [last]
    db = stand.runtime.services.kernel.db
    rows = await db.fetch("co", "state_list", "co", f"agent:{FIN}", "lg/", "", 500)
    assert len(rows) == 8 and not any(EMAIL in row["value"] for row in rows)


async def test_a_write_is_kept_once_and_an_error_is_replaced(stand: Stand) -> None:
    saver = await saver_of(stand, "bruno")
    (config,) = await steps(saver, "t", 1)
    await asyncio.gather(*(saver.aput_writes(config, [("text", f"v{i}")], "task-2") for i in range(4)))
    await saver.aput_writes(config, [("text", "late"), ("__error__", "yes")], "task-1")
    found = await saver.aget_tuple(config)
    assert found is not None and found.pending_writes is not None
    writes = [(task, channel, str(value)[:1]) for task, channel, value in found.pending_writes]
    assert sorted(writes) == [("task-1", "__error__", "y"), ("task-1", "text", "n"), ("task-2", "text", "v")]


async def test_threads_are_copied_pruned_and_deleted(stand: Stand) -> None:
    saver = await saver_of(stand, "bruno")
    await steps(saver, "one", 3)
    await saver.acopy_thread("one", "two")
    copies = [t async for t in saver.alist(at("two"))]
    assert [t.metadata["step"] for t in copies] == [3, 2, 1]
    assert {t.config["configurable"]["thread_id"] for t in copies} == {"two"}
    await saver.aprune(["one"])
    (left,) = [t async for t in saver.alist({"configurable": {"thread_id": "one"}})]
    assert left.metadata["step"] == 3 and left.checkpoint["channel_values"] and left.pending_writes
    await saver.adelete_for_runs(["r2"])
    assert [t.metadata["step"] async for t in saver.alist(at("two"))] == [3, 1]
    await saver.aprune(["one"], strategy="delete")
    await saver.adelete_thread("two")
    assert [t async for t in saver.alist(None)] == []
    with pytest.raises(ValueError, match="strategy"):
        await saver.aprune(["one"], strategy="all")


async def test_a_delta_channel_keeps_what_it_builds_on(stand: Stand) -> None:
    saver = await saver_of(stand, "bruno")
    config = at("deltas")
    for i in range(1, 4):
        values: dict[str, object] = {"log": ["start"]} if i == 2 else {"other": i}
        kept = {**checkpoint(values, i), "channel_versions": {"log": i, "other": i}}
        metadata: CheckpointMetadata = {"step": i, "counters_since_delta_snapshot": {"log": (1, 1)}}
        config = await saver.aput(config, kept, metadata, {"log": i, "other": i})  # type: ignore[arg-type]
        await saver.aput_writes(config, [("log", i)], "task")
    before = await saver.aget_delta_channel_history(config=config, channels=["log"])
    await saver.aprune(["deltas"])
    assert [t.metadata["step"] async for t in saver.alist(at("deltas"))] == [3, 2]
    assert await saver.aget_delta_channel_history(config=config, channels=["log"]) == before
    assert before["log"]["seed"] == ["start"]


async def test_long_values_and_what_is_missing(stand: Stand) -> None:
    saver = await saver_of(stand, "bruno")
    text = "word \n" * 20_000
    config = await saver.aput(at("long"), checkpoint({"text": text}, 1), {"step": 1}, {"text": 1})
    found = await saver.aget_tuple(config)
    assert found is not None and found.checkpoint["channel_values"] == {"text": text}
    key = f"{thread_key('long')}v/"
    entries = await stand.runtime.services.kernel.db.fetch(
        "co", "state_list", "co", f"agent:{FIN}", key, "", 9
    )
    body = {"scope": f"agent:{FIN}", "key": entries[-1]["key"], "value": None}
    assert (await (await stand.person("bruno")).call("PUT", "/api/v1/state/entry", body)).status == 200
    cut = await saver.aget_tuple(config)
    assert cut is not None and cut.checkpoint["channel_values"] == {}


async def test_strangers_are_refused_and_told_why(stand: Stand) -> None:
    with pytest.raises(StateError, match="StateDenied") as refused:
        await (await saver_of(stand, "clara")).aput(at("t"), checkpoint({}, 1), {}, {})
    assert (refused.value.status, refused.value.reason) == (403, "StateDenied")
    with pytest.raises(StateError, match="InvalidToken"):
        await CadreSaver(StateStore(stand.public().base, "tenant", "no token")).aget_tuple(at("t"))
    with pytest.raises(ValueError, match="ftp"):
        StateStore("ftp://example.org", "tenant", "token")
