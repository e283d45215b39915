"""CrewAI agents from instructions, on the real framework and a model that reads."""

import asyncio
import re
from typing import Any, override

import pytest

from runtime.adapters.crewai_tools import PlatformTool
from runtime.adapters.registry import build
from runtime.adapters.scope import enter, opened
from runtime.contract.agent_config import Budget, Execution, Framework
from runtime.contract.catalogue import FunctionSpec
from runtime.tests.agents import SPEC, Config, adding, answer, asking, function, run, steps_of
from runtime.tests.completions_contract import SAID, CompletionsContract
from runtime.tests.frameworks.crewai.marks import MARKS
from runtime.worker.slots import Places

pytestmark = MARKS


class TestInstructed(CompletionsContract):
    framework = Framework.CREWAI
    prompt = (
        (
            "system",
            r"You are math\. You do sums\.\nYour personal goal is: Answer what you are asked\.",
        ),
        ("system", r"Be {{brief}}\."),
        ("user", rf"\nCurrent Task: {re.escape(SAID)}\n\nProvide your complete response:"),
    )
    waiting = Budget()  # CrewAI's agents wait in any case

    @override
    def described(self, argument: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": [argument, {"type": "null"}]}


async def test_more_runs_can_wait_than_may_work(
    config: Config, model_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """CrewAI keeps a thread for each of them."""
    monkeypatch.setattr("runtime.worker.slots.MOST_LENT", 4)
    runs = Places.with_own(1).most
    together = asyncio.Barrier(runs)

    async def add(arguments: dict[str, Any]) -> str:
        await together.wait()
        return await adding(arguments)

    execution = Execution(concurrency=1)
    made = config(url=model_url, framework=Framework.CREWAI, execution=execution)
    adapter = await build(made, (SPEC,))
    ended = await asyncio.gather(
        *(steps_of(adapter, asking("What is 12 + 30?", function(add))) for _ in range(runs))
    )
    assert all("42" in answer(steps) for steps in ended)


async def test_an_argument_that_may_be_left_out_is(config: Config, model_url: str) -> None:
    seen: list[dict[str, Any]] = []
    schema = {
        "type": "object",
        "properties": {
            "a": {"type": "integer"},
            "b": {"type": "integer"},
            "unit": {"enum": ["kg"]},
        },
        "required": ["a", "b"],
    }
    spec = FunctionSpec(name="add", description="Add two numbers.", input_schema=schema)

    async def add(arguments: dict[str, Any]) -> str:
        seen.append(arguments)
        return await adding(arguments)

    tool = PlatformTool.of(spec)
    enter(opened(asking("?", function(add, spec))))
    assert await asyncio.to_thread(tool.run, a=1, b=2, unit=None) == "3"
    assert seen == [{"a": 1, "b": 2}]
    made = config(url=model_url)
    assert "3" in answer(await run(made, asking("1 + 2?", function()), (spec,)))


async def test_arguments_may_have_any_name() -> None:
    names = ("config", "tool", "self", "kwargs", "name", "input")
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    spec = FunctionSpec(name="note", description="Note.", input_schema=schema)
    seen: list[dict[str, Any]] = []

    async def note(arguments: dict[str, Any]) -> str:
        seen.append(arguments)
        return "noted"

    enter(opened(asking("?", function(note, spec))))
    tool = PlatformTool.of(spec)
    given = dict.fromkeys(names, "x")
    assert await tool.arun(**given) == "noted"
    assert await asyncio.to_thread(tool.run, **given) == "noted"
    assert seen == [given, given]
