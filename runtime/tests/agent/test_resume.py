"""Runs that go on after their worker was lost: what the handler keeps, and real processes."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from runtime.adapters.port import AgentFailure, Answer, ModelBusy, Run, Step, Text
from runtime.contract.agent_config import Framework, OnCrash, Retry
from runtime.contract.runs import RunState
from runtime.contract.subjects import Bucket
from runtime.state.checkpoints import Checkpoints
from runtime.tests.agent.killing import (
    agent,
    done,
    goes_on_after_a_kill,
    killed_while_held,
    scene,
)
from runtime.tests.agent.test_handler import MATH, Place
from runtime.tests.dispatch.scene import Scene
from runtime.worker.outcomes import Again, Done

__all__ = ["scene"]  # a fixture

RESUMING = Retry(max_attempts=3, on_crash=OnCrash.RESUME)


async def kept(place: Place) -> bytes | None:
    store = place.link.store(Bucket.CHECKPOINTS)
    return await Checkpoints(store).of(MATH, "t0", 9).load()


async def going_on(run: Run) -> AsyncIterator[Step]:
    """Say what was kept; without anything, keep something and hand the run back."""
    assert run.checkpoint is not None
    found = await run.checkpoint.load()
    if found is None:
        await run.checkpoint.save(lambda: b"so far")
        raise ModelBusy("try again")
    yield Answer(found.decode())


async def test_the_next_attempt_finds_what_was_kept_and_its_end_takes_it_away() -> None:
    place = Place(going_on, retry=RESUMING)
    task = await place.accept()
    assert isinstance(await place.handler.handle(await place.delivery()), Again)
    assert await kept(place) == b"so far"
    await place.publish(task.encode())
    assert await place.handler.handle(await place.delivery()) == Done()
    assert (await place.record(task)).text == "so far"
    assert await kept(place) is None


async def test_a_worker_that_was_lost_after_it_wrote_the_end_leaves_nothing() -> None:
    place = Place(going_on, retry=RESUMING)
    task = await place.accept(state=RunState.COMPLETED, attempt=1, text="5")
    await place.handler.checkpoints.of(MATH, task.id, 1).save(lambda: b"so far")
    assert await place.handler.handle(await place.delivery(2)) == Done()
    assert await kept(place) is None


async def test_a_run_that_fails_leaves_nothing() -> None:
    async def failing(run: Run) -> AsyncIterator[Step]:
        assert run.checkpoint is not None
        yield Text("so far")
        await run.checkpoint.save(lambda: b"so far")
        raise AgentFailure("no more")

    place = Place(failing, retry=RESUMING)
    task = await place.accept()
    assert await place.handler.handle(await place.delivery()) == Done()
    assert (await place.record(task)).state is RunState.FAILED
    assert await kept(place) is None


@pytest.mark.parametrize("on_crash", [OnCrash.RESTART, OnCrash.FAIL])
async def test_an_agent_that_does_not_resume_is_given_nothing_and_drops_what_is_old(
    on_crash: OnCrash,
) -> None:
    async def anew(run: Run) -> AsyncIterator[Step]:
        assert run.checkpoint is None
        yield Answer(f"attempt {run.attempt}")

    place = Place(anew, retry=Retry(max_attempts=3, on_crash=on_crash))
    store = place.link.store(Bucket.CHECKPOINTS)
    task = await place.accept(attempt=1)
    await Checkpoints(store).of(MATH, task.id, 1).save(lambda: b"old")
    assert await place.handler.handle(await place.delivery()) == Done()
    assert (await place.record(task)).text == "attempt 2"
    assert await kept(place) is None


STEPS = """
    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph

    async def first(state):
        do("first")
        return {"messages": [AIMessage("first")]}

    async def second(state):
        await held()
        do("second")
        return {"messages": [AIMessage(f"after {state['messages'][-1].text}")]}

    agent = StateGraph(MessagesState)
    agent.add_node(first)
    agent.add_node(second)
    agent.add_edge(START, "first")
    agent.add_edge("first", "second")
"""
TURNS = """
    from langchain.agents import create_agent

    from langchain.agents import create_agent

    async def add(a: int, b: int) -> str:
        '''Add two numbers.'''
        await held()
        do(f"{a}+{b}")
        return str(a + b)

    def agent(context):
        return create_agent(context.model, [add])
"""


@pytest.mark.integration
@pytest.mark.fault(1)
@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("on_crash", "steps"),
    [
        (OnCrash.RESUME, ["first", "second"]),
        (OnCrash.RESTART, ["first", "first", "second"]),
    ],
)
async def test_a_worker_killed_between_two_steps_is_followed_by_one_that_goes_on(
    scene: Scene, tmp_path: Path, on_crash: OnCrash, steps: list[str]
) -> None:
    config = agent(scene, tmp_path, STEPS, "http://127.0.0.1:1/v1", on_crash=on_crash)
    assert await killed_while_held(scene, tmp_path, config) == "after first"
    assert done(tmp_path) == steps


LLAMA_STACK = """
    import os
    from llama_stack_client import AsyncLlamaStackClient
    from llama_stack_client.lib.agents.agent import AsyncAgent
    from llama_stack_client.lib.agents.client_tool import ClientTool

    def agent(context):
        client = AsyncLlamaStackClient(base_url=os.environ["LLAMA_STACK_CLIENT_BASE_URL"])
        return AsyncAgent(client, model=context.model, instructions="", tools=[Add()])

    class Add(ClientTool):
        def get_name(self):
            return "add"

        def get_description(self):
            return "Add two numbers."

        def get_input_schema(self):
            number = {"type": "integer"}
            properties = {"a": number, "b": number}
            return {"type": "object", "properties": properties, "required": ["a", "b"]}

        def run_impl(self, a, b):
            raise NotImplementedError

        async def async_run_impl(self, a, b):
            await held()
            do(f"{a}+{b}")
            return str(a + b)
"""


@pytest.mark.integration
@pytest.mark.fault(1)
@pytest.mark.timeout(300)
@pytest.mark.parametrize("framework", [Framework.LANGGRAPH, Framework.LLAMA_STACK])
async def test_the_model_is_not_asked_again_for_a_turn_that_it_has_answered(
    scene: Scene, tmp_path: Path, framework: Framework, request: pytest.FixtureRequest
) -> None:
    if framework is Framework.LANGGRAPH:
        source, url, model = TURNS, request.getfixturevalue("model_url"), "stand-in"
    else:
        source, url, model = LLAMA_STACK, request.getfixturevalue("stack_url"), "small/stand-in"
    await goes_on_after_a_kill(scene, tmp_path, source, url, framework=framework, model_id=model)
