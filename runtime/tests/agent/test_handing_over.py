"""A run that needs its client: from the calls to the parked record, and on from there."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest

from runtime.adapters.port import Answer, Run, Step, Used
from runtime.contract.agent_config import Budget, OnCrash, Retry, ToolBinding
from runtime.contract.client_calls import ClientFunction
from runtime.contract.messages import (
    FailureReason,
    OutputNeeded,
    ResponseOptions,
    Task,
    TokenUsage,
)
from runtime.contract.runs import RunState
from runtime.tests.agent.going_on import keeping, resume
from runtime.tests.agent.test_handler import MATH, Place
from runtime.tests.agent.test_parking import Asking
from runtime.tests.agents import ADD, NUMBERS
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.port import ToolFailure
from runtime.transport.port import PayloadTooLarge
from runtime.worker.outcomes import Done

FUNCTION = ClientFunction(name="plus", parameters=NUMBERS)
USED = TokenUsage(input_tokens=3, output_tokens=2)


async def calling(run: Run) -> AsyncIterator[Step]:
    """Call the client for two sums at once, and say what came of them."""
    yield Used(USED)
    plus = run.tools[-1]

    async def made(a: int) -> str:
        try:
            return await plus.call({"a": a, "b": 0})
        except ToolFailure as failure:
            return str(failure)

    first, second = await asyncio.gather(made(1), made(2))
    yield Answer(f"{first}, {second}")


async def accepted(place: Place) -> Task:
    return await place.accept(functions=(FUNCTION,))


async def given(place: Place, task: Task, outputs: Sequence[str], stood: float = 0) -> None:
    """What the server and the dispatcher do, up to the message; `stood` seconds later."""
    held = await place.runs.get(MATH, task.id)
    assert held is not None
    assert held.record.open_handover is not None
    handover = held.record.open_handover.giving(outputs, time.time(), ResponseOptions())
    update = {"handovers": (*held.record.handovers[:-1], handover)}
    await resume(place, held.record.model_copy(update=update), time.time() + stood)


def told(place: Place) -> list[OutputNeeded]:
    return [event for event in place.events() if isinstance(event, OutputNeeded)]


async def test_a_run_parks_with_every_call_of_its_client_and_holds_nothing() -> None:
    place = Place(calling, client_seconds=50)
    task = await accepted(place)
    assert await place.handler.handle(await place.delivery()) == Done()
    record = await place.record(task)
    assert (record.state, record.worker, record.spent) == (RunState.PARKED, None, 0)
    (handover,) = record.handovers
    assert [call.arguments for call in handover.calls] == ['{"a":1,"b":0}', '{"a":2,"b":0}']
    assert handover.used == USED
    assert 45 < handover.expires - time.time() <= 50
    assert [(event.number, event.left) for event in told(place)] == [(0, 1), (1, 0)]
    assert told(place) == record.hands_over(0)


async def test_it_goes_on_with_what_its_client_gave_and_may_call_him_again() -> None:
    async def twice(run: Run) -> AsyncIterator[Step]:
        (plus,) = run.tools
        first = await plus.call({"a": 1, "b": 0})
        second = await plus.call({"a": 1, "b": 0})
        yield Answer(f"{first}, {second}")

    place = Place(twice)
    task = await accepted(place)
    await place.handler.handle(await place.delivery())
    await given(place, task, ["one"])
    await place.handler.handle(await place.delivery())
    await given(place, task, ["two"])
    assert await place.handler.handle(await place.delivery()) == Done()
    record = await place.record(task)
    assert (record.text, record.attempt, record.spent) == ("one, two", 3, 1)
    assert [event.number for event in told(place)] == [0, 1]


async def test_a_run_waits_for_its_client_for_a_bounded_time_over_all_calls() -> None:
    place = Place(calling, task_seconds=20)
    task = await accepted(place)
    await place.handler.handle(await place.delivery())
    record = await place.record(task)
    assert 15 < record.handovers[0].expires - time.time() <= 20

    async def once_more(run: Run) -> AsyncIterator[Step]:
        try:
            await run.tools[-1].call({"a": 3, "b": 0})
        except ToolFailure as failure:
            yield Answer(str(failure))

    place.adapter.script = once_more
    await given(place, task, ["1", "2"], stood=30)
    await place.handler.handle(await place.delivery())
    record = await place.record(task)
    assert "has waited for as long as its Stack allows" in (record.text or "")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        pytest.param({"a": "x", "b": 0}, "wrong arguments: a:", id="no number"),
        pytest.param({"a": 1}, "wrong arguments: 'b' is a required", id="one is missing"),
    ],
)
async def test_a_client_is_spared_what_does_not_fit(arguments: Any, words: str) -> None:
    async def wrong(run: Run) -> AsyncIterator[Step]:
        try:
            await run.tools[-1].call(arguments)
        except ToolFailure as failure:
            yield Answer(str(failure))

    place = Place(wrong)
    task = await accepted(place)
    await place.handler.handle(await place.delivery())
    assert words in ((await place.record(task)).text or "")


async def test_calls_of_the_client_are_calls_that_the_budget_counts() -> None:
    place = Place(calling, budget=Budget(tool_calls=1))
    task = await accepted(place)
    with pytest.raises(CallBudgetSpent, match=r"made 1 tool calls, and spec\.budget\.toolCalls"):
        await place.handler.handle(await place.delivery())
    assert told(place) == []
    assert (await place.record(task)).handovers == ()


async def test_whoever_is_needed_first_a_person_is_asked_before_the_client() -> None:
    async def both(run: Run) -> AsyncIterator[Step]:
        add, plus = run.tools
        first, second = await asyncio.gather(plus.call({"a": 1, "b": 0}), add.call({"key": "c1"}))
        yield Answer(f"{first}, {second}")

    place = Place(both, tools=(ToolBinding(tool=ADD, approval_required=True),))
    place.handler.toolbox = Asking()
    task = await accepted(place)
    await place.handler.handle(await place.delivery())
    record = await place.record(task)
    assert [one.call for one in record.approvals] == ["c1"]
    assert record.handovers == ()
    assert record.is_asking


@pytest.mark.parametrize("on_crash", OnCrash)
async def test_whatever_follows_a_crash_a_run_with_functions_goes_on_where_it_was(
    on_crash: OnCrash,
) -> None:
    place = Place(keeping(calling), retry=Retry(on_crash=on_crash))
    task = await accepted(place)
    await place.handler.handle(await place.delivery())
    await given(place, task, ["1", "2"])
    await place.handler.handle(await place.delivery())
    assert (await place.record(task)).text == "so far"


async def test_calls_that_the_queue_does_not_take_end_the_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def too_large(*_: object, **__: object) -> None:
        raise PayloadTooLarge("it has 2 MiB")

    place = Place(calling)
    monkeypatch.setattr(place.runs, "hand_over", too_large)
    task = await accepted(place)
    assert await place.handler.handle(await place.delivery()) == Done()
    assert (await place.record(task)).reason is FailureReason.RESULT_TOO_LARGE
