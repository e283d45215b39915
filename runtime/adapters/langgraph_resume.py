"""How a run of a graph is kept, and how the next attempt goes on with it."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, override

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
)
from langgraph.checkpoint.serde.types import ERROR, TASKS
from langgraph.constants import START
from langgraph.graph.state import CompiledStateGraph
from langgraph.pregel import Pregel

from runtime.adapters import port
from runtime.adapters.langgraph_saver import UNREADABLE, KeptSaver, Thread
from runtime.adapters.progress import code_of
from runtime.adapters.scope import Scope
from runtime.contract.agent_config import AgentConfig
from runtime.contract.messages import TokenUsage
from runtime.state.checkpoints import BadCheckpoint
from runtime.tools.numbering import Numbered

log = logging.getLogger(__name__)

type Graph = Pregel[Any, Any, Any, Any]


def takes_steps(graph: Graph) -> bool:
    """Whether a run of `graph` may have something behind it while something is still to come."""
    if not isinstance(graph, CompiledStateGraph):
        return True
    builder = graph.builder
    several = len(builder.nodes) > 1 or any(True for _ in graph.get_subgraphs())
    again = any(start in builder.nodes and end in builder.nodes for start, end in builder.edges)
    perhaps = any(node.ends or name in builder.branches for name, node in builder.nodes.items())
    return several or again or perhaps


@dataclass(frozen=True, slots=True)
class Before:
    """What of earlier attempts still counts: calls of work that is done, costs of model calls."""

    calls: list[Numbered] = field(default_factory=list)
    usage: dict[str, TokenUsage] = field(default_factory=dict)


class RunSaver(KeptSaver):
    """The checkpointer of one attempt at a run.

    It keeps the latest checkpoint of each graph that is under way, with the writes of tasks that
    are done, the numbers of their calls and what the model calls cost. It keeps nothing before the
    first step is done, which the task itself could not say, and nothing of the last one: then the
    end of the run is written. A state that cannot be written ends the keeping and not the run.
    """

    def __init__(
        self, checkpoint: port.Checkpoint, scope: Scope, graph: Graph, config: AgentConfig
    ) -> None:
        super().__init__(lambda _: checkpoint)
        self._scope = scope
        self._graph = graph
        self._made_for = sorted([*graph.nodes, *graph.channels])
        self._code = list(code_of(config) or ())
        self._before = Before()
        self._done: set[str] = set()  # ids of LangGraph's tasks
        self._is_over = False
        if scope.run.attempt == 1:  # nothing can be there
            self._threads[scope.run.task] = Thread(checkpoint, loaded=True)

    async def found(self) -> CheckpointTuple | None:
        """Where the last attempt was, whose calls and costs count; None if there is nothing.

        Beginning anew is safe where going on is not possible: calls of tools find their records.

        Raises:
            TransportError: the queue is away.
        """
        try:
            found = await self.aget_tuple(self.config)
        except (BadCheckpoint, *UNREADABLE) as error:
            self.delete_thread(self._scope.run.task)
            told = {"task": self._scope.run.task, "error": str(error)}
            log.warning("a checkpoint cannot be used; the run begins anew", extra=told)
            return None
        self._scope.run.numbering.restore(self._before.calls)
        self._scope.usage.update(self._before.usage)
        return found

    @property
    def config(self) -> RunnableConfig:
        """Where the graph finds its thread."""
        return {"configurable": {"thread_id": self._scope.run.task}}

    @override
    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        namespace = config["configurable"].get("checkpoint_ns", "")
        with self._guard:
            self._is_over = self._is_over or (not namespace and self._is_last(checkpoint))
            if self._is_over:
                return config
            try:
                written = super().put(config, checkpoint, metadata, new_versions)
            except UNREADABLE as error:
                self._stop(error)
                return config
            self._keep_latest(self._scope.run.task, namespace)
            self._delete_below(namespace)
            return written

    @override
    def put_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        if self._is_over or all(channel == ERROR for channel, _ in writes):
            return  # a task that failed is run again, whatever the reason was
        try:
            super().put_writes(config, _without_errors(writes), task_id, task_path)
        except UNREADABLE as error:
            self._stop(error)
        self._done.add(task_id)

    @override
    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        if metadata["step"] > 0:
            return await super().aput(config, checkpoint, metadata, new_versions)
        return self.put(config, checkpoint, metadata, new_versions)

    @override
    async def aput_writes(
        self,
        config: RunnableConfig,
        writes: Sequence[tuple[str, Any]],
        task_id: str,
        task_path: str = "",
    ) -> None:
        if task_path.endswith(START):
            self.put_writes(config, writes, task_id, task_path)
        else:
            await super().aput_writes(config, writes, task_id, task_path)

    def _is_last(self, checkpoint: Checkpoint) -> bool:
        """Whether no node waits for what this step has changed."""
        changed = checkpoint.get("updated_channels")
        waiting = self._graph.trigger_to_nodes
        return changed is not None and not any(one in waiting or one == TASKS for one in changed)

    def _stop(self, error: Exception) -> None:
        self._is_over = True
        told = {"task": self._scope.run.task, "error": str(error)}
        log.warning("the state of the graph cannot be kept; a crash would begin anew", extra=told)

    @override
    def _is_worth_it(self) -> bool:
        return not self._is_over

    def _delete_below(self, namespace: str) -> None:
        """Delete the checkpoints of graphs that ran within the tasks of a step that is done."""
        task, below = self._scope.run.task, f"{namespace}|" if namespace else ""
        for one in tuple(self.storage[task]):
            name = one.removeprefix(below).partition("|")[0]
            if one != namespace and one.startswith(below) and ":" in name:
                self._delete(task, one, tuple(self.storage[task][one]))
                del self.storage[task][one]

    def _is_done(self, work: str) -> bool:
        return not work or any(name.rpartition(":")[2] in self._done for name in work.split("|"))

    @override
    def _noted(self) -> dict[str, Any]:
        return {
            "graph": self._made_for,
            "code": self._code,
            "calls": self._scope.run.numbering.taken(self._is_done),
            "usage": {key: cost.model_dump() for key, cost in self._scope.usage.items()},
        }

    @override
    def _take_note(self, noted: Mapping[str, Any]) -> None:
        if noted["graph"] != self._made_for:
            raise BadCheckpoint("it is of a graph with other nodes or channels")
        if noted.get("code", []) != self._code:
            raise BadCheckpoint("it is of other code")
        self._before = Before(
            calls=[(call, number) for call, number in noted["calls"]],
            usage={key: TokenUsage(**cost) for key, cost in noted["usage"].items()},
        )


def _without_errors(writes: Sequence[tuple[str, Any]]) -> list[tuple[str, Any]]:
    """The writes with the kinds of errors alone: what an error says may quote a key."""
    return [
        (channel, type(value).__name__ if channel == ERROR else value) for channel, value in writes
    ]
