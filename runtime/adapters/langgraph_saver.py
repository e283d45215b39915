"""LangGraph's checkpointer for runs that another worker may have to go on with.

LangGraph's own saver in memory does the work; what it holds of a thread is kept whole, as one
value, whenever it has changed. The config of a run is not kept, only what LangGraph itself says of
a checkpoint: `configurable` and `metadata` are where users put keys of theirs.

Source:
    LangGraph 1.2, "Persistence"; langgraph-checkpoint 4.3, `BaseCheckpointSaver`, `InMemorySaver`.
"""

import asyncio
import sys
import threading
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, override

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    get_checkpoint_id,
)
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde.jsonplus import EXT_CONSTRUCTOR_SINGLE_ARG, JsonPlusSerializer

from runtime.adapters import port
from runtime.state.checkpoints import BadCheckpoint

FORM: Final = "langgraph 1"
UNREADABLE: Final = (ValueError, TypeError, LookupError, NotImplementedError)
DELTAS: Final = "counters_since_delta_snapshot"  # in the metadata of what needs its ancestors


class HoldsSecret(TypeError):
    """The state holds a secret, and a secret must not be in a checkpoint."""


class Serializer(JsonPlusSerializer):
    """LangGraph's serializer, without pickle, that writes no pydantic secret in clear."""

    def __init__(self) -> None:
        # Whoever may write the keys of an Agent runs its code anyway, so all its types may come
        # back; a type that did not would make of the state something else.
        super().__init__(allowed_msgpack_modules=True)
        self._finder = JsonPlusSerializer(__unpack_ext_hook__=self._look)

    @override
    def dumps_typed(self, obj: Any) -> tuple[str, bytes]:
        written = super().dumps_typed(obj)
        self._finder.loads_typed(written)
        return written

    def _look(self, code: int, data: bytes) -> Any:
        inner = self._finder.loads_typed(("msgpack", data))
        if code == EXT_CONSTRUCTOR_SINGLE_ARG and _is_secret(*inner[:2]):
            raise HoldsSecret(f"it holds a {inner[1]}, and a secret is not to be kept")
        return inner


@dataclass(slots=True)
class Thread:
    """One thread's place outside, and how much of its changes is there."""

    place: port.Checkpoint
    changes: int = 0
    kept: int = 0
    loaded: bool = False
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)


class KeptSaver(InMemorySaver):
    """A checkpointer with all that LangGraph knows; `places` says where a thread is kept.

    The methods that block change what is in memory alone, and the next one that does not block
    keeps it: graphs that a node runs by `invoke` must not wait for the loop they hold up.
    """

    def __init__(self, places: Callable[[str], port.Checkpoint]) -> None:
        super().__init__(serde=Serializer())
        self._places = places
        self._threads: dict[str, Thread] = {}
        self._guard = threading.RLock()  # nodes may run in threads

    @override
    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        with self._guard:
            return super().get_tuple(config)

    @override
    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        with self._guard:
            return super().put(_bare(config), checkpoint, metadata, new_versions)

    @override
    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        with self._guard:
            super().put_writes(config, writes, task_id, task_path)

    @override
    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        await self._opened(_thread_of(config))
        return self.get_tuple(config)

    @override
    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """The checkpoints, newest first; without `config`, of the threads used so far."""
        if config is not None:
            await self._opened(_thread_of(config))
        with self._guard:
            found = list(super().list(config, filter=filter, before=before, limit=limit))
        for one in found:
            yield one

    @override
    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        await self._opened(_thread_of(config))
        written = self.put(config, checkpoint, metadata, new_versions)
        await self._keep(_thread_of(config))
        return written

    @override
    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        await self._opened(_thread_of(config))
        self.put_writes(config, writes, task_id, task_path)
        await self._keep(_thread_of(config))

    @override
    async def adelete_thread(self, thread_id: str) -> None:
        await self._opened(thread_id)
        with self._guard:
            self.delete_thread(thread_id)
        await self._keep(thread_id)

    @override
    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        for thread in (source_thread_id, target_thread_id):
            await self._opened(thread)
        with self._guard:
            self._decode(target_thread_id, self._encoded(source_thread_id))
        await self._keep(target_thread_id)

    @override
    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints of these runs in the threads used so far."""
        for thread in tuple(self._threads):
            with self._guard:
                for namespace, found in self.storage[thread].items():
                    runs = {
                        one: self._metadata(thread, namespace, one).get("run_id") for one in found
                    }
                    gone = [one for one, run in runs.items() if run in run_ids]
                    self._delete(thread, namespace, gone)
            await self._keep(thread)

    @override
    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        for thread in thread_ids:
            await self._opened(thread)
            with self._guard:
                if strategy == "delete":
                    self.delete_thread(thread)
                else:
                    for namespace in self.storage[thread]:
                        self._keep_latest(thread, namespace)
            await self._keep(thread)

    async def _opened(self, name: str) -> None:
        """Have in memory what was kept of a thread.

        Raises:
            BadCheckpoint: it cannot be read.
        """
        thread = self._threads.setdefault(name, Thread(self._places(name)))
        async with thread.lock:
            if thread.loaded:
                return
            thread.loaded = True
            data = await thread.place.load()
            if data is not None:
                with self._guard:
                    self._decode(name, data)

    async def _keep(self, name: str) -> None:
        """Keep all changes so far. Several at once take one save."""
        thread = self._threads[name]
        thread.changes += 1
        change = thread.changes
        # The checkpoint of a step comes together with the writes of its last task.
        await asyncio.sleep(0)
        async with thread.lock:
            if thread.kept < change and self._is_worth_it():
                thread.kept = thread.changes
                await thread.place.save(lambda: self._encoded(name))

    def _is_worth_it(self) -> bool:
        return True

    def _noted(self) -> dict[str, Any]:
        """What else is kept of a thread."""
        return {}

    def _take_note(self, noted: Mapping[str, Any]) -> None:
        """What `_noted` gave when the thread was kept."""

    def _encoded(self, thread: str) -> bytes:
        with self._guard:
            return self._content(thread)

    def _content(self, thread: str) -> bytes:
        content = {
            "form": FORM,
            "checkpoints": [
                (namespace, one, *saved)
                for namespace, found in self.storage[thread].items()
                for one, saved in found.items()
            ],
            "writes": [
                (namespace, one, key, written)
                for (of, namespace, one), found in self.writes.items()
                if of == thread
                for key, written in found.items()
            ],
            "blobs": [(*key, blob) for (of, *key), blob in self.blobs.items() if of == thread],
            "noted": self._noted(),
        }
        return self.serde.dumps_typed(content)[1]

    def _decode(self, thread: str, data: bytes) -> None:
        try:
            content = self.serde.loads_typed(("msgpack", data))
            if content["form"] != FORM:
                raise BadCheckpoint(f"it is of the form {content['form']}, and this is {FORM}")
            for namespace, one, checkpoint, metadata, parent in content["checkpoints"]:
                saved = (tuple(checkpoint), tuple(metadata), parent)
                self.storage[thread][namespace][one] = saved
            for namespace, one, key, (task, channel, value, path) in content["writes"]:
                written = (task, channel, tuple(value), path)
                self.writes[thread, namespace, one][tuple(key)] = written
            for namespace, channel, version, blob in content["blobs"]:
                self.blobs[thread, namespace, channel, version] = tuple(blob)
            self._take_note(content["noted"])
        except UNREADABLE as error:
            self.delete_thread(thread)
            raise BadCheckpoint(f"it is damaged: {error}") from error

    def _metadata(self, thread: str, namespace: str, one: str) -> dict[str, Any]:
        metadata: dict[str, Any] = self.serde.loads_typed(self.storage[thread][namespace][one][1])
        return metadata

    def _keep_latest(self, thread: str, namespace: str) -> None:
        """Delete all but the latest, unless its channels are made from those before."""
        found = self.storage[thread][namespace]
        if found and DELTAS not in self._metadata(thread, namespace, max(found)):
            self._delete(thread, namespace, found.keys() - {max(found)})

    def _delete(self, thread: str, namespace: str, gone: Collection[str]) -> None:
        """Delete checkpoints, with their writes and the values of channels that no other has."""
        found = self.storage[thread][namespace]
        for one in tuple(gone):
            del found[one]
            self.writes.pop((thread, namespace, one), None)
        checkpoints = [self.serde.loads_typed(saved[0]) for saved in found.values()]
        used = {pair for one in checkpoints for pair in one["channel_versions"].items()}
        for key in [key for key in self.blobs if key[:2] == (thread, namespace)]:
            if key[2:] not in used:
                del self.blobs[key]


def _is_secret(module: str, name: str) -> bool:
    kind = getattr(sys.modules.get(module), name.partition("[")[0], None)
    return hasattr(kind, "get_secret_value")


def _thread_of(config: RunnableConfig) -> str:
    thread: str = config["configurable"]["thread_id"]
    return thread


def _bare(config: RunnableConfig) -> RunnableConfig:
    """The config without what the saver would take from it into the metadata."""
    given = config["configurable"]
    return {
        "configurable": {
            "thread_id": given["thread_id"],
            "checkpoint_ns": given.get("checkpoint_ns", ""),
            "checkpoint_id": get_checkpoint_id(config),
        }
    }
