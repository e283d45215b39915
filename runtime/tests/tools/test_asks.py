"""Other agents as functions of an agent, on a queue in memory."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runtime.contract.agent_config import AgentBinding, AgentConfig, Budget, ToolBinding
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.keys import ask_key
from runtime.contract.messages import Call, CallResult, Outcome
from runtime.contract.subjects import Stream
from runtime.contract.value import ObjectName
from runtime.tests.tools.place import ADD, MATH, SPEC, Place, agent_config, task, tool_config
from runtime.tests.worker.test_slots import Source
from runtime.tools.calls import step_of
from runtime.tools.errors import BadSpec, CallBudgetSpent
from runtime.tools.executors import said_of
from runtime.tools.offer import offers
from runtime.tools.port import INPUT, AgentAsked, Called, Returned, ToolFailure

WRITER = ObjectName(namespace="team", name="writer")
BINDING = AgentBinding(agent=WRITER, description="Writes poems.")
SAID = {"input": "About rain."}
KEY = ask_key(WRITER, MATH, "t1", step_of("writer", SAID), 0)


def writing(**facts: Any) -> AgentConfig:
    return agent_config(**{"tools": (), "agents": (BINDING,)} | facts)


@contextlib.asynccontextmanager
async def asked(place: Place) -> AsyncIterator[Call]:
    """The call as it is on the queue; the body answers it."""
    async with asyncio.timeout(5):
        while not (found := place.queue.messages(Stream.CALLS)):
            await asyncio.sleep(0.01)
    call = Call.decode(found[-1].data)
    yield call
    subject = place.queue.subjects.wake(call.caller, call.worker)
    await place.link.outbox.signal(subject, call.id.encode())


async def answer(place: Place, end: CallResult) -> Call:
    async with asked(place) as call:
        await place.effects.create(call.id, end.encode())
    return call


async def test_an_agent_is_asked_under_its_name_and_its_answer_comes_back() -> None:
    place = Place()
    async with place.toolbox(writing(), look_seconds=60) as box:
        (writer,) = box.bind(task(), place.tell)
        expected = FunctionSpec(name="writer", description="Writes poems.", input_schema=INPUT)
        assert (writer.spec, writer.tool) == (expected, WRITER)
        asking = asyncio.ensure_future(writer.call(SAID))
        end = CallResult(call=KEY, outcome=Outcome.SUCCEEDED, value="Drip.")
        call = await answer(place, end)
        assert await asking == "Drip."
    (stored,) = place.queue.messages(Stream.CALLS)
    assert stored.subject == place.queue.subjects.asks(WRITER, MATH)
    assert (call.id, call.tool, call.caller, call.arguments) == (KEY, WRITER, MATH, SAID)
    assert place.told == [
        AgentAsked(KEY, "writer", "About rain."),
        Returned(KEY, "writer", "Drip.", Outcome.SUCCEEDED),
    ]


async def test_an_agent_may_be_waited_for_until_the_deadline_of_the_task() -> None:
    place, asking = Place(), task(seconds=1234)
    async with place.toolbox(writing()) as box:
        (writer,) = box.bind(asking, place.tell)
        calling = asyncio.ensure_future(writer.call(SAID))
        end = CallResult(call=KEY, outcome=Outcome.SUCCEEDED, value="")
        assert (await answer(place, end)).deadline == asking.deadline
        await calling


async def test_the_place_in_the_worker_is_lent_while_another_agent_is_waited_for() -> None:
    place = Place()
    async with place.toolbox(writing()) as box:
        (writer,) = box.bind(task(), place.tell)
        asking = asyncio.ensure_future(writer.call(SAID))
        async with asked(place) as call:
            assert place.places.clients.count == 2
            end = CallResult(call=call.id, outcome=Outcome.FAILED, error="no ink")
            await place.effects.create(call.id, end.encode())
        with pytest.raises(ToolFailure, match=r"^no ink$"):
            await asking
    assert place.places.clients.count == 1


async def test_no_place_is_lent_while_a_tool_is_waited_for() -> None:
    place = Place()
    counts: list[int] = []

    async def count(_function: str, _arguments: dict[str, Any]) -> Any:
        counts.append(place.places.clients.count)

    place.executor.play = count
    async with place.working(), place.toolbox() as box:
        (add,) = box.bind(task(), place.tell)
        await add.call({"a": 1, "b": 1})
    assert counts == [1]


async def test_an_answer_that_is_known_is_not_asked_for_again() -> None:
    place = Place()
    end = CallResult(call=KEY, outcome=Outcome.SUCCEEDED, value="Drip.")
    await place.effects.create(KEY, end.encode())
    source = Source()
    place.places.clients.supply(source)
    async with place.toolbox(writing()) as box:
        (writer,) = box.bind(task(), place.tell)
        assert await writer.call(SAID) == "Drip."
    assert place.queue.messages(Stream.CALLS) == []
    assert source.sizes == []


@pytest.mark.parametrize("arguments", [{}, {"input": 3}, {"input": "a", "more": "b"}])
async def test_whoever_asks_without_words_is_told_so(arguments: dict[str, Any]) -> None:
    place = Place()
    async with place.toolbox(writing()) as box:
        (writer,) = box.bind(task(), place.tell)
        with pytest.raises(ToolFailure, match=r"^wrong arguments: "):
            await writer.call(arguments)
    assert place.queue.messages(Stream.CALLS) == []
    assert isinstance(place.told[0], Called | AgentAsked)
    assert isinstance(place.told[1], Returned)


async def test_asking_an_agent_counts_towards_the_budget_of_calls() -> None:
    place = Place()
    async with place.toolbox(writing(budget=Budget(tool_calls=0))) as box:
        (writer,) = box.bind(task(), place.tell)
        with pytest.raises(CallBudgetSpent):
            await writer.call(SAID)


def agent(name: str, namespace: str = "team") -> AgentBinding:
    return AgentBinding(agent=ObjectName(namespace=namespace, name=name))


@pytest.mark.parametrize(
    ("agents", "sentence"),
    [
        pytest.param(
            (agent("add"),),
            "spec.agents: the Tool team/add and the Agent team/add would both be offered as add; "
            "name only one of them, or rename the function",
            id="a tool",
        ),
        pytest.param(
            (agent("writer"), agent("writer", "other")),
            "spec.agents: the Agent team/writer and the Agent other/writer would both be offered "
            "as writer; name only one of them, or rename the function",
            id="another agent",
        ),
    ],
)
def test_two_of_one_name_are_refused(agents: tuple[AgentBinding, ...], sentence: str) -> None:
    with pytest.raises(BadSpec) as caught:
        offers((ToolBinding(tool=ADD),), {ADD: said_of(tool_config(), (SPEC,))}, agents)
    assert str(caught.value) == sentence


def test_an_agent_that_says_nothing_of_itself_is_offered_all_the_same() -> None:
    offered = offers((), {}, (agent("writer"),))
    assert offered["writer"].spec.description == "Ask the agent writer."


async def test_a_toolbox_without_tools_opens_at_once() -> None:
    place = Place()
    async with place.toolbox(writing()) as box:
        assert [spec.name for spec in box.specs] == ["writer"]
        assert box.why_not() is None
