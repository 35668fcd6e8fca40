"""A checkpointer for LangGraph whose checkpoints live in Cadre.

A checkpoint becomes visible with the last write that it needs, so a program that dies in between leaves the
one before. Values of channels are kept once per version, however many checkpoints share them.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, cast

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol
from typing_extensions import override

from cadre_langgraph import names
from cadre_langgraph.records import (
    Kept,
    Write,
    kept_of,
    kept_text,
    typed_of,
    typed_text,
    writes_of,
    writes_text,
)
from cadre_langgraph.state import StateError, StateStore

type_pending = tuple[str, str, object]
_TRIES = 20
_EMPTY = ("empty", b"")
_DELTAS = "counters_since_delta_snapshot"


class CadreSaver(BaseCheckpointSaver[int]):
    """Checkpoints in one scope of Cadre's state. Every method may raise StateError."""

    def __init__(self, store: StateStore, *, serde: SerializerProtocol | None = None) -> None:
        super().__init__(serde=serde)
        self._store = store

    @override
    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that the config names, or the newest of its thread and namespace."""
        thread, ns = _place(config)
        if checkpoint_id := get_checkpoint_id(config):
            text = self._store.get(names.checkpoint_key(thread, ns, checkpoint_id))
        else:
            text = self._store.first(names.checkpoints_key(thread, ns))
        return self._tuple(kept_of(text, self.serde), thread, ns) if text is not None else None

    @override
    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """Checkpoints of a thread, the newest first; without a config, of all threads of the scope."""
        found = 0
        end = get_checkpoint_id(before) if before is not None else None
        for kept in self._kept(config):
            if end is not None and kept.id >= end:
                continue
            if filter and any(kept.metadata.get(key) != value for key, value in filter.items()):
                continue
            if limit is not None and found >= limit:
                return
            found += 1
            yield self._tuple(kept, kept.thread, kept.ns)

    @override
    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Keep a checkpoint; the values of its new versions first."""
        thread, ns = _place(config)
        frame = cast("dict[str, object]", checkpoint.copy())
        values = cast("dict[str, object]", frame.pop("channel_values"))
        for channel, version in new_versions.items():
            typed = self.serde.dumps_typed(values[channel]) if channel in values else _EMPTY
            self._store.put(names.value_key(thread, ns, channel, version), typed_text(typed))
        about = cast("Mapping[str, object]", get_checkpoint_metadata(config, metadata))
        kept = Kept(thread, ns, get_checkpoint_id(config) or "", frame, about)
        self._store.put(names.checkpoint_key(thread, ns, kept.id), kept_text(kept, self.serde))
        return _config(thread, ns, kept.id)

    @override
    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Keep what a task wrote; what it wrote before stays, but for its errors and interrupts."""
        thread, ns = _place(config)
        key = names.writes_key(thread, ns, config["configurable"]["checkpoint_id"], task_id)
        given = [
            Write(task_id, WRITES_IDX_MAP.get(channel, i), channel, task_path, self.serde.dumps_typed(value))
            for i, (channel, value) in enumerate(writes)
        ]
        for tries_left in reversed(range(_TRIES)):
            found = self._store.get_versioned(key)
            known = writes_of(found[0]) if found is not None else {}
            merged = known | {w.index: w for w in given if w.index < 0 or w.index not in known}
            try:
                self._store.put(key, writes_text(merged), version=found[1] if found is not None else 0)
                return
            except StateError as refused:
                if refused.reason != "VersionConflict" or not tries_left:
                    raise

    @override
    def delete_thread(self, thread_id: str) -> None:
        """Remove everything of a thread."""
        self._store.remove(names.thread_key(thread_id))

    @override
    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Remove the checkpoints that these runs made, with what was written after them."""
        for kept in tuple(self._kept(None)):
            if kept.metadata.get("run_id") in run_ids:
                self._remove(kept)

    @override
    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy a thread whole; what the target had besides stays."""
        later: list[tuple[str, str]] = []
        for key, text in self._store.each(names.thread_key(source_thread_id)):
            place = names.moved(key, source_thread_id, target_thread_id)
            if names.is_checkpoint(key):
                kept = kept_of(text, self.serde)
                moved = Kept(target_thread_id, kept.ns, kept.parent, kept.checkpoint, kept.metadata)
                later.append((place, kept_text(moved, self.serde)))
            else:
                self._store.put(place, text)
        for place, text in later:
            self._store.put(place, text)

    @override
    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Keep the newest checkpoint of each namespace, and what its delta channels build on; or nothing.

        Raises ValueError for another strategy than keep_latest and delete.
        """
        if strategy not in ("keep_latest", "delete"):
            raise ValueError(f"strategy: {strategy} is unknown; use keep_latest or delete")
        for thread in thread_ids:
            if strategy == "delete":
                self.delete_thread(thread)
            else:
                self._keep_latest(thread)

    @override
    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See get_tuple."""
        return await asyncio.to_thread(self.get_tuple, config)

    @override
    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """See list."""
        found = self.list(config, filter=filter, before=before, limit=limit)
        while (item := await asyncio.to_thread(next, found, None)) is not None:
            yield item

    @override
    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """See put."""
        return await asyncio.to_thread(self.put, config, checkpoint, metadata, new_versions)

    @override
    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """See put_writes."""
        await asyncio.to_thread(self.put_writes, config, writes, task_id, task_path)

    @override
    async def adelete_thread(self, thread_id: str) -> None:
        """See delete_thread."""
        await asyncio.to_thread(self.delete_thread, thread_id)

    @override
    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """See delete_for_runs."""
        await asyncio.to_thread(self.delete_for_runs, run_ids)

    @override
    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """See copy_thread."""
        await asyncio.to_thread(self.copy_thread, source_thread_id, target_thread_id)

    @override
    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """See prune."""
        await asyncio.to_thread(lambda: self.prune(thread_ids, strategy=strategy))

    def _tuple(self, kept: Kept, thread: str, ns: str) -> CheckpointTuple:
        pending = [
            (write.task, write.channel, self.serde.loads_typed(write.typed))
            for write in sorted(self._writes(thread, ns, kept.id), key=lambda w: (w.path, w.task, w.index))
        ]
        return CheckpointTuple(
            config=_config(thread, ns, kept.id),
            checkpoint=cast(
                "Checkpoint", {**kept.checkpoint, "channel_values": self._values(kept, thread, ns)}
            ),
            metadata=cast("CheckpointMetadata", dict(kept.metadata)),
            parent_config=_config(thread, ns, kept.parent) if kept.parent else None,
            pending_writes=pending,
        )

    def _values(self, kept: Kept, thread: str, ns: str) -> dict[str, object]:
        values: dict[str, object] = {}
        for channel, version in kept.versions.items():
            text = self._store.get(names.value_key(thread, ns, channel, version))
            typed = typed_of(text) if text is not None else _EMPTY
            if typed != _EMPTY:
                values[channel] = self.serde.loads_typed(typed)
        return values

    def _writes(self, thread: str, ns: str, checkpoint_id: str) -> Iterator[Write]:
        for _, text in self._store.each(names.writes_key(thread, ns, checkpoint_id)):
            yield from writes_of(text).values()

    def _kept(self, config: RunnableConfig | None) -> Iterator[Kept]:
        """Checkpoints that the config names, newest first within a namespace."""
        place = config["configurable"] if config is not None else {}
        prefix, wanted = names.ROOT, place.get("checkpoint_id")
        if "thread_id" in place:
            prefix = f"{names.thread_key(str(place['thread_id']))}c/"
            if "checkpoint_ns" in place:
                prefix = names.checkpoints_key(str(place["thread_id"]), str(place["checkpoint_ns"]))
        for key, text in self._store.each(prefix):
            if names.is_checkpoint(key):
                kept = kept_of(text, self.serde)
                if not wanted or kept.id == wanted:
                    yield kept

    def _remove(self, kept: Kept) -> None:
        self._store.remove(names.checkpoint_key(kept.thread, kept.ns, kept.id))
        self._store.remove(names.writes_key(kept.thread, kept.ns, kept.id))

    def _keep_latest(self, thread: str) -> None:
        found = tuple(self._kept({"configurable": {"thread_id": thread}}))
        latest: dict[str, Kept] = {}
        for kept in found:
            latest.setdefault(kept.ns, kept)
        stays = {(k.ns, k.id): k for head in latest.values() for k in self._needed(head, found)}
        values = {
            names.value_key(thread, kept.ns, channel, version)
            for kept in stays.values()
            for channel, version in kept.versions.items()
        }
        for kept in found:
            if (kept.ns, kept.id) not in stays:
                self._remove(kept)
        for key in [key for key, _ in self._store.each(f"{names.thread_key(thread)}v/")]:
            if key not in values:
                self._store.remove(key)

    def _needed(self, head: Kept, found: Sequence[Kept]) -> Iterator[Kept]:
        """A checkpoint, and those before it down to the last whole value of each of its delta channels."""
        known = {kept.id: kept for kept in found if kept.ns == head.ns}
        counters = head.metadata.get(_DELTAS)
        missing = set(counters) if isinstance(counters, dict) else set()
        at: Kept | None = head
        while at is not None:
            yield at
            missing -= self._values(at, at.thread, at.ns).keys() if missing else set()
            at = known.get(at.parent) if missing else None


def _place(config: RunnableConfig) -> tuple[str, str]:
    place = config["configurable"]
    return str(place["thread_id"]), str(place.get("checkpoint_ns", ""))


def _config(thread: str, ns: str, checkpoint_id: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread, "checkpoint_ns": ns, "checkpoint_id": checkpoint_id}}
