"""LangGraph's own tests of checkpointers, with a bucket in memory and that of a Stack."""

from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Any, override

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint import conformance
from langgraph.checkpoint.base import BaseCheckpointSaver, CheckpointTuple

from runtime.adapters.langgraph_saver import KeptSaver
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.state.checkpoints import Checkpoints
from runtime.tests.nats import running_stack
from runtime.transport.memory import MemoryQueue
from runtime.transport.port import Store

STACK = ObjectName(namespace="team", name="default")
MATH = ObjectName(namespace="team", name="math")


class Forgetful(KeptSaver):
    """Reads everything from where it was kept, as the saver of another process would."""

    @override
    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        self._forget(config)
        return await super().aget_tuple(config)

    @override
    async def alist(
        self, config: RunnableConfig | None, **wanted: Any
    ) -> AsyncIterator[CheckpointTuple]:
        self._forget(config)
        async for one in super().alist(config, **wanted):
            yield one

    def _forget(self, config: RunnableConfig | None) -> None:
        for name, thread in self._threads.items():
            if config is None or config["configurable"]["thread_id"] == name:
                self.delete_thread(name)
                thread.loaded = False


async def passes(store: Store) -> None:
    async def savers() -> AsyncGenerator[BaseCheckpointSaver[str]]:
        places = Checkpoints(store)
        yield Forgetful(lambda thread: places.of(MATH, thread, 2))

    report = await conformance.validate(conformance.checkpointer_test(name="kept")(savers))
    failures = {name: one.failures for name, one in report.results.items() if one.failures}
    assert failures == {}
    assert all(one.passed for one in report.results.values())
    assert len(report.results) == 8


async def test_the_saver_conforms_in_memory() -> None:
    await passes(MemoryQueue(STACK).link().store(Bucket.CHECKPOINTS))


@pytest.mark.integration
async def test_the_saver_conforms_on_the_bucket_of_a_stack(tmp_path: Path) -> None:
    async with (
        running_stack(STACK, tmp_path) as nats,
        nats.link_as(await nats.agent("math")) as link,
    ):
        await passes(link.store(Bucket.CHECKPOINTS))
