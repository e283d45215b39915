"""Cancelling a response ends its agent and what its tools do: workers that are processes."""

import asyncio
import contextlib
import secrets
import textwrap
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.contract.agent_config import (
    AgentConfig,
    Execution,
    Framework,
    Model,
    Module,
    SideEffects,
    ToolBinding,
    ToolConfig,
)
from runtime.contract.messages import CallResult, Outcome
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.tests.amf.clients import http_client, openai_client
from runtime.tests.amf.server import Server
from runtime.tests.dispatch.processes import start
from runtime.tests.nats import OPERATOR_WORKLOAD

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

SOON_SECONDS = 120.0  # a framework takes long to import where many processes do so
NAP = ObjectName(namespace="team", name="nap")
TOOL = """
    import asyncio
    import time
    from pathlib import Path

    FOLDER = Path(__file__).parent

    def note(what):
        with (FOLDER / "notes").open("a") as notes:
            notes.write(f"{what} {time.time()}\\n")

    async def nap(seconds: int) -> str:
        '''Sleep for a while.'''
        note("begun")
        try:
            await asyncio.sleep(seconds)
        except asyncio.CancelledError:
            note("cancelled")
            raise
        note("slept")
        return "rested"
"""
AGENT = """
    from langgraph.graph import END, START, MessagesState, StateGraph

    def graph(platform):
        (nap,) = platform.tools

        async def work(state):
            said = await nap.ainvoke({"seconds": int(state["messages"][-1].content)})
            return {"messages": [("ai", said if isinstance(said, str) else said[0]["text"])]}

        made = StateGraph(MessagesState).add_node("work", work)
        return made.add_edge(START, "work").add_edge("work", END).compile()
"""


class Sleepers:
    """An agent whose tool takes as long as one tells it; `notes` are what the tool did and when."""

    def __init__(self, model: str, folder: Path) -> None:
        self.model = model
        self._notes = folder / "notes"

    def notes(self) -> list[tuple[str, float]]:
        lines = self._notes.read_text().splitlines() if self._notes.exists() else []
        return [(what, float(when)) for what, _, when in (line.partition(" ") for line in lines)]

    async def until(self, count: int) -> tuple[str, float]:
        """The note number `count`, once it is there."""
        async with asyncio.timeout(10):
            while len(self.notes()) < count:
                await asyncio.sleep(0.02)
        return self.notes()[count - 1]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def sleepers(
    server: Server, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Sleepers]:
    folder = tmp_path_factory.mktemp("sleepers")
    (folder / "users_tool.py").write_text(textwrap.dedent(TOOL))
    (folder / "users_agent.py").write_text(textwrap.dedent(AGENT))
    name = f"a{secrets.token_hex(3)}"
    nap = await server.nats.tool(NAP.name)
    sleeper = await server.nats.agent(name, calls=[NAP])
    tool = ToolConfig(
        tool=NAP,
        queue=server.nats.queue(nap),
        durable=str(nap.durable),
        python=Module(entrypoint="users_tool:nap", path=str(folder)),
        side_effects=SideEffects.IDEMPOTENT,
        execution=Execution(timeout_seconds=60),
    )
    agent = AgentConfig(
        agent=sleeper.name,
        queue=server.nats.queue(sleeper),
        durable=str(sleeper.durable),
        framework=Framework.LANGGRAPH,
        model=Model(id="stand-in", base_url="http://127.0.0.1:9/v1"),
        module=Module(entrypoint="users_agent:graph", path=str(folder)),
        tools=(ToolBinding(tool=NAP, timeout_seconds=60),),
        execution=Execution(timeout_seconds=60),
    )
    async with contextlib.AsyncExitStack() as stack:
        for words, config in (
            (("worker", f"tool/{NAP}"), tool),
            (("worker", f"agent/{sleeper.name}"), agent),
        ):
            process = await start(folder, words[1].partition("/")[0], *words, config=config)
            stack.push_async_callback(process.kill)
        entry = await server.add_agent(name)
        async with openai_client(server) as client, asyncio.timeout(SOON_SECONDS):
            answer = await client.responses.create(model=name, input="0")
        assert answer.output_text == "rested"
        (folder / "notes").unlink()
        yield Sleepers(name, folder)
        await server.remove_agent(entry)


async def test_a_cancelled_response_ends_its_agent_and_its_tools_within_a_second(
    server: Server, sleepers: Sleepers
) -> None:
    async with openai_client(server) as client:
        job = await client.responses.create(model=sleepers.model, input="50", background=True)
        await sleepers.until(1)
        asked = time.time()
        cancelled = await client.responses.cancel(job.id)
        took = time.time() - asked
        what, when = await sleepers.until(2)
        again = await client.responses.cancel(job.id)
        found = await client.responses.retrieve(job.id)

    assert cancelled.status == again.status == found.status == "cancelled"
    assert cancelled.output == again.output == found.output
    assert took < 1
    assert what == "cancelled"
    assert when - asked < 1
    call = cancelled.output[0]
    assert (call.type, call.status) == ("mcp_call", "incomplete")  # type: ignore[union-attr]  # it is one
    result = await _result(server, job.id)
    assert result.outcome is Outcome.FAILED
    assert result.error == "nap was broken off: its run was cancelled"


async def test_who_leaves_a_stream_ends_the_agent_and_its_tools(
    server: Server, sleepers: Sleepers
) -> None:
    before = len(sleepers.notes())
    async with http_client(server) as client:
        body = {"model": sleepers.model, "input": "50", "stream": True}
        async with client.stream("POST", "/responses", json=body) as answer:
            async for line in answer.aiter_lines():
                if line.startswith("data: ") and "mcp_call.in_progress" in line:
                    await sleepers.until(before + 1)
                    break
        left = time.time()
    what, when = await sleepers.until(before + 2)

    assert what == "cancelled"
    assert when - left < 1


async def test_a_response_that_has_ended_is_told_as_it_is(
    server: Server, sleepers: Sleepers
) -> None:
    async with openai_client(server) as client:
        done = await client.responses.create(model=sleepers.model, input="0")
        cancelled = [await client.responses.cancel(done.id) for _ in range(2)]

    assert [one.status for one in cancelled] == ["completed", "completed"]
    assert [one.output_text for one in cancelled] == ["rested", "rested"]


async def _result(server: Server, response: str) -> CallResult:
    """What is kept of the only call of a run."""
    key = f"*.*.*.*.{response.removeprefix('resp_')}.*.*"
    async with server.nats.link_as(OPERATOR_WORKLOAD) as link, asyncio.timeout(5):
        while True:
            entry = await link.store(Bucket.EFFECTS).find(key)
            if entry is not None:
                result = CallResult.decode(entry.value)
                if result.outcome is not Outcome.RESERVED:
                    return result
            await asyncio.sleep(0.05)
