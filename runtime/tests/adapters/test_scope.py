"""Finding the run that a piece of framework code belongs to."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from runtime.adapters import scope
from runtime.adapters.langgraph_model import model_of
from runtime.adapters.scope import call_tool, call_tool_from_thread, enter, opened, within
from runtime.tests.agents import Config, Endless, adding, asking, function
from runtime.tools.port import ToolFailure

NUMBERS = {"a": 1, "b": 2}


async def test_a_tool_belongs_to_the_run_that_called_it() -> None:
    enter(opened(asking("?", function())))
    assert await call_tool("add", NUMBERS) == "3"
    with pytest.raises(ToolFailure, match="there is no function sub any more"):
        await call_tool("sub", NUMBERS)


@pytest.mark.parametrize("ended", [False, True])
async def test_no_tool_is_called_outside_of_a_run(ended: bool) -> None:
    run = opened(asking("?", function()))
    run.ended = ended
    enter(run if ended else None)
    with pytest.raises(ToolFailure, match="add can only be called while the agent runs"):
        await call_tool("add", NUMBERS)
    with pytest.raises(ToolFailure, match="add can only be called while the agent runs"):
        call_tool_from_thread("add", NUMBERS)


async def test_blocking_code_calls_from_its_thread() -> None:
    enter(opened(asking("?", function())))
    assert await asyncio.to_thread(call_tool_from_thread, "add", NUMBERS) == "3"


async def test_blocking_code_in_the_loop_is_told_instead_of_stuck() -> None:
    enter(opened(asking("?", function())))
    with pytest.raises(ToolFailure, match="was called without await from async code"):
        call_tool_from_thread("add", NUMBERS)


async def test_what_a_thread_waits_for_ends_with_the_run() -> None:
    endless = Endless()
    run = opened(asking("?", function(endless)))
    enter(run)
    waiting = asyncio.create_task(asyncio.to_thread(call_tool_from_thread, "add", NUMBERS))
    await endless.begun.wait()
    run.end()
    with pytest.raises(asyncio.CancelledError):
        await asyncio.wait_for(waiting, 1)
    assert endless.ended.is_set()


async def test_two_generators_read_in_turns_keep_their_runs_apart() -> None:
    def giving(value: str) -> Any:
        async def add(arguments: dict[str, Any]) -> str:
            return f"{value}{await adding(arguments)}"

        return add

    async def steps() -> AsyncIterator[str]:
        for _ in range(3):
            yield await asyncio.create_task(call_tool("add", NUMBERS))

    one = within(opened(asking("?", function(giving("one ")))), steps())
    two = within(opened(asking("?", function(giving("two ")))), steps())
    for _ in range(3):
        assert await anext(one) == "one 3"
        assert await anext(two) == "two 3"
    await one.aclose()
    await two.aclose()


async def test_closing_closes_what_is_within() -> None:
    closed = asyncio.Event()

    async def steps() -> AsyncIterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.set()

    reading = within(opened(asking("?")), steps())
    assert await anext(reading) == 1
    await reading.aclose()
    assert closed.is_set()


async def test_the_wishes_of_the_client_reach_the_model(config: Config) -> None:
    model = model_of(config())
    enter(opened(asking("?", temperature=0.25, max_output_tokens=7)))
    payload = model._get_request_payload("hi")
    assert (payload["temperature"], payload["max_completion_tokens"]) == (0.25, 7)
    enter(None)
    assert "temperature" not in model._get_request_payload("hi")
    assert scope.current() is None
