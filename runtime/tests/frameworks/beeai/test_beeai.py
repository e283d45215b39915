"""BeeAI agents from instructions, on the real framework and a model that reads."""

import asyncio
import gc
import re
from typing import Any, override

import pytest
from beeai_framework.agents.requirement import RequirementAgentRunState
from beeai_framework.emitter import Emitter

from runtime.adapters.beeai import build
from runtime.adapters.port import AgentFailure, ModelFailure
from runtime.contract.agent_config import Framework
from runtime.contract.catalogue import FunctionSpec
from runtime.tests.adapter_contract import failing
from runtime.tests.agents import SPEC, Config, asking, function, run, steps_of
from runtime.tests.completions_contract import SAID, CompletionsContract
from runtime.tests.frameworks.beeai.endings import ending
from runtime.tests.frameworks.beeai.marks import MARKS
from runtime.tests.scripted_model import calling, scripted
from runtime.tools.port import ToolFailure

pytestmark = MARKS


class TestInstructed(CompletionsContract):
    framework = Framework.BEEAI
    prompt = (
        ("system", r".*You do sums\.\n\nBe {{brief}}\..*"),
        ("user", re.escape(SAID)),
    )
    limit = "max_tokens"
    unknown = "unknown tool 'ad'"

    @override
    def ending(self, words: str) -> dict[str, Any]:
        return ending(words)


async def test_the_model_has_to_call_a_tool(agent: Config) -> None:
    async with scripted(ending("yes")) as model:
        await run(agent(url=model.url), asking(), (SPEC,))
    (body,) = model.requests
    assert body["tool_choice"] == "required"
    (add, _) = body["tools"]
    assert add["function"]["parameters"] == SPEC.input_schema


async def test_tools_that_always_fail_end_the_run(agent: Config) -> None:
    asked = asking("?", function(failing(ToolFailure("the adding machine is on fire"))))
    four = calling(*(("add", f'{{"a": {a}, "b": 1}}') for a in range(4)))
    async with scripted(four) as model:
        with pytest.raises(AgentFailure) as caught:
            await run(agent(url=model.url), asked, (SPEC,))
    said = "the agent gave up when a tool failed: the adding machine is on fire"
    assert str(caught.value) == said


async def test_a_model_that_only_calls_what_is_not_there_fails(agent: Config) -> None:
    async with scripted(calling(("ad", "{}"))) as model:
        with pytest.raises(
            ModelFailure, match=r"of no use to the agent: .* generated one for 'ad'"
        ):
            await run(agent(url=model.url), asking(), (SPEC,))


async def test_arguments_may_have_any_name_and_shape(agent: Config) -> None:
    schema = {
        "type": "object",
        "properties": {
            "_self": {"$ref": "#/$defs/Text"},
            "model_config": {"type": "string"},
            "json": {"type": ["integer", "null"]},
            "many": {"type": "array", "items": {"$ref": "#/$defs/Text"}},
        },
        "$defs": {"Text": {"type": "string", "maxLength": 9}},
    }
    spec = FunctionSpec(name="note", description="", input_schema=schema)
    seen: list[dict[str, Any]] = []

    async def note(arguments: dict[str, Any]) -> str:
        seen.append(arguments)
        return "noted"

    given = '{"_self": "a", "model_config": "b", "json": null, "many": ["c"], "more": 1.5}'
    async with scripted(calling(("note", given)), ending("done")) as model:
        await run(agent(url=model.url), asking("?", function(note, spec)), (spec,))
    more = {"_self": "a", "model_config": "b", "json": None, "many": ["c"], "more": 1.5}
    assert seen == [more]
    described = model.requests[0]["tools"][0]["function"]
    assert described["description"] == "note"
    assert described["parameters"]["properties"]["_self"] == {"type": "string", "maxLength": 9}


async def test_runs_that_have_ended_are_forgotten(agent: Config, model_url: str) -> None:
    def states() -> int:
        gc.collect()
        return sum(type(thing) is RequirementAgentRunState for thing in gc.get_objects())

    adapter = await build(agent(url=model_url), (SPEC,))
    before = states()
    for _ in range(5):
        await steps_of(adapter, asking("2 + 3?", function(), stream=True))
    # litellm writes its log a little later, in a task that keeps the run it was begun in. No limit
    # is set here: a timer that is due keeps cancelled ones behind it, and they the runs.
    while states() > before + 1:
        await asyncio.sleep(0.5)
    root = Emitter.root()
    assert (root._cleanups, root._listeners) == ([], [])
