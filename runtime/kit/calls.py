"""Scenarios of what an agent calls: the platform's tools, and other agents."""

import asyncio
import contextlib
from typing import Any

from runtime.adapters.port import AgentFailure, Answer, BudgetExceeded, Used
from runtime.contract.messages import FailureReason
from runtime.kit.scenario import Need, Scenario
from runtime.kit.trial import (
    ARCHIVIST,
    COURIER,
    SOON_SECONDS,
    Trial,
    Unmet,
    brought,
    close,
    number,
    question,
    quoted,
    tool,
    word,
)
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.port import ToolFailure

CALLS = 2  # of one turn
OVERLAP_SECONDS = 5.0
MOST_TURNS = 2  # of the model that may have begun when its first cost is told


async def call(trial: Trial) -> None:
    """The arguments are those of the question, and the result is in the answer."""
    a, b, result = number(), number(), str(number())
    calls: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        return result

    said = await trial.answer(question(f"What is {a} + {b}?", tool(add)))
    if not calls:
        raise trial.undone(f"asked for {a} + {b}, the agent did not call add")
    if calls != [{"a": a, "b": b}]:
        raise Unmet(f"asked for {a} + {b}, the agent called add with {calls}")
    if result not in said:
        raise trial.undone(f"the tool gave {result}, and the answer is {quoted(said)}")


async def parallel(trial: Trial) -> None:
    """Each call waits for the other one."""
    begun = under_way = 0
    together = asyncio.Event()

    async def add(arguments: dict[str, Any]) -> str:
        nonlocal begun, under_way
        begun, under_way = begun + 1, under_way + 1
        if under_way == CALLS:
            together.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(together.wait(), OVERLAP_SECONDS)
        under_way -= 1
        return str(arguments["a"] + arguments["b"])

    await trial.answer(question("Add 1 and 2, then add 30 and 40.", tool(add)))
    if begun < CALLS:
        raise trial.undone(f"asked for two sums, the agent called add {begun} times")
    if not together.is_set():
        raise trial.undone("the second call of a turn began only when the first had ended")


async def error(trial: Trial) -> None:
    """The model reads the sentence of the failure, and the run ends with an answer."""
    calls: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        raise ToolFailure("the adding machine is on fire")

    await trial.answer(question("What is 417 + 25?", tool(add)))
    if not calls:
        raise trial.undone("asked for a sum, the agent did not call add")
    if not trial.proxy.heard("the adding machine is on fire"):
        raise trial.undone("the model was not told why the call failed")


async def sub_agent(trial: Trial) -> None:
    """Another agent is asked in words, and its answer is in the answer."""
    topic, result = word(), word()
    calls: list[dict[str, Any]] = []

    async def archivist(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        return result

    asked = question(f"Ask the archivist: {topic}", tool(archivist, ARCHIVIST))
    said = await trial.answer(asked)
    if not calls:
        raise trial.undone("told to ask the archivist, the agent did not")
    if len(calls) > 1 or topic not in str(calls[0].get("input")):
        raise Unmet(f"told to ask the archivist for {topic}, the agent asked it for {calls}")
    if result not in said:
        raise trial.undone(f"the archivist said {result}, and the answer is {quoted(said)}")


async def of_client(trial: Trial) -> None:
    """A function that this run alone brings along is offered to the model, and its output used."""
    topic, result = word(), word()
    calls: list[dict[str, Any]] = []

    async def courier(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        return result

    asked = question(
        f"Ask the courier: {topic}", tool(courier, COURIER), functions=(brought(COURIER),)
    )
    try:
        said = await trial.answer(asked)
    except AgentFailure as failure:
        if failure.reason is FailureReason.AGENT_ERROR:
            raise trial.undone(str(failure)) from failure
        raise
    if not calls:
        raise trial.undone("told to ask the courier of its client, the agent did not")
    if len(calls) > 1 or topic not in str(calls[0].get("what")):
        raise Unmet(f"told to ask the courier for {topic}, the agent asked it for {calls}")
    if result not in said:
        raise trial.undone(f"the courier said {result}, and the answer is {quoted(said)}")


async def budget_of_calls(trial: Trial) -> None:
    """The toolbox says that the budget is spent, and that ends the run."""
    calls: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        raise CallBudgetSpent("spec.budget.toolCalls allows no more")

    try:
        said = await trial.answer(question("What is 417 + 25?", tool(add)))
    except BudgetExceeded:
        return
    if not calls:
        raise trial.undone("asked for a sum, the agent did not call add")
    raise Unmet(f"the run went on and ended with {quoted(said)}")


async def budget_of_tokens(trial: Trial) -> None:
    """The first cost is told while there are turns to come, and none comes once nobody reads."""

    async def add(arguments: dict[str, Any]) -> str:
        return str(arguments["a"] + arguments["b"])

    steps = trial.adapter.run(question("What is 1 + 2 + 3 + 4 + 5 + 6?", tool(add)))
    async for step in steps:
        if isinstance(step, Used):
            break
        if isinstance(step, Answer):
            raise Unmet("no cost was told before the answer")
    turns = len(trial.proxy.calls)
    if turns > MOST_TURNS:
        raise Unmet(f"the first cost was told when the model had been asked {turns} times")
    try:
        async with asyncio.timeout(SOON_SECONDS):
            await close(steps)
    except TimeoutError:
        raise Unmet("the run did not end within 1 s") from None
    await trial.model_left()


WITH_TOOLS = frozenset({Need.MODEL, Need.TOOLS})
CALLING = (
    Scenario(
        name="tool call",
        expects="a tool is called once with the arguments asked for, and its result is used",
        check=call,
        needs=WITH_TOOLS,
    ),
    Scenario(
        name="parallel tool calls",
        expects="two calls of one turn of the model overlap in time",
        check=parallel,
        needs=WITH_TOOLS,
    ),
    Scenario(
        name="tool error",
        expects="the model is told why a call failed, and the agent may go on",
        check=error,
        needs=WITH_TOOLS,
    ),
    Scenario(
        name="sub-agent",
        expects="another agent is asked once with what it has to know, and its answer is used",
        check=sub_agent,
        needs=WITH_TOOLS,
    ),
    Scenario(
        name="function of the client",
        expects="a function that the client brings along is called once, and its output is used",
        check=of_client,
        needs=WITH_TOOLS,
    ),
    Scenario(
        name="budget of tool calls",
        expects="a budget of tool calls that is spent ends the run as BudgetExceeded",
        check=budget_of_calls,
        needs=WITH_TOOLS,
    ),
    Scenario(
        name="budget of tokens",
        expects="costs are told while the run goes on, so that a budget can end it between turns",
        check=budget_of_tokens,
        needs=WITH_TOOLS,
    ),
)
