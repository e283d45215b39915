"""Users' own AG2 agents, unchanged, on the real framework."""

import asyncio
import random
from typing import Any

import pytest

from runtime.adapters.ag2 import build
from runtime.adapters.port import (
    AgentFailure,
    Answer,
    BudgetExceeded,
    Step,
    Text,
    Used,
)
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import Message, Role
from runtime.tests.agents import (
    SPEC,
    Config,
    adding,
    answer,
    asking,
    cost,
    function,
    steps_of,
    text,
)
from runtime.tests.frameworks.ag2.scripted import calling, saying, scripted
from runtime.tools.errors import CallBudgetSpent

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

BOTH = pytest.mark.parametrize("stream", [False, True])


async def run(config: Any, asked: Any = None, specs: tuple[FunctionSpec, ...] = ()) -> list[Step]:
    adapter = await build(config, specs)
    return await steps_of(adapter, asked or asking())


FORMS = """
    from ag2 import Agent
    from ag2.testing import TestConfig

    agent = Agent("parrot", config=TestConfig("cba"))
    def plain(): return agent
    async def later(): return agent
    def with_context(context): return agent if context.config.agent.name == "math" else None
    def optional(context=None): return agent
    class Maker:
        def make(self): return agent
    maker = Maker().make
"""


@pytest.mark.parametrize(
    "entrypoint", ["agent", "plain", "later", "with_context", "optional", "maker"]
)
@BOTH
async def test_an_agent_runs_in_whatever_form_it_is_given(
    own: Config,
    entrypoint: str,
    stream: bool,  # noqa: FBT001  # a parameter of the table
) -> None:
    steps = await run(own(FORMS, entrypoint), asking("abc", stream=stream))
    assert steps == [*([Text("cba")] if stream else []), Answer("cba")]


AGENT = """
    import os
    from ag2 import Agent, tool
    from ag2.config import OpenAIConfig

    def multiply(a: int, b: int) -> int:
        '''Multiply two numbers.'''
        return a * b

    model = OpenAIConfig(os.environ["OPENAI_MODEL"])
    agent = Agent("math", "You do sums.", config=model, tools=[multiply])
    bare = Agent("math", "You do sums.", tools=[multiply])

    def with_context(context):
        return Agent("math", config=context.model, tools=[*context.tools, multiply])
"""


@BOTH
async def test_an_agent_with_its_own_model_and_tool_needs_no_change(
    own: Config,
    stream: bool,  # noqa: FBT001
) -> None:
    a, b = random.sample(range(11, 99), 2)
    steps = await run(own(AGENT, url="http://127.0.0.1:1/v1"), asking(f"{a} * {b}?", stream=stream))
    assert str(a * b) in answer(steps)
    assert text(steps) == (answer(steps) if stream else "")
    assert (len([step for step in steps if isinstance(step, Text)]) > 1) is stream
    assert len([step for step in steps if isinstance(step, Used)]) == 2
    assert cost(steps).input_tokens > 0


async def test_an_agent_without_a_model_gets_that_of_the_stack(
    own: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    assert "42" in answer(await run(own(AGENT, "bare"), asking("What is 6 * 7?")))


async def test_a_function_may_use_the_platforms_model_and_tools(own: Config) -> None:
    asked = asking("What is 4 * 5? What is 100 + 11?", function())
    said = answer(await run(own(AGENT, "with_context"), asked, (SPEC,)))
    assert "20" in said
    assert "111" in said


async def test_the_platforms_tools_are_for_who_asks_for_them(own: Config) -> None:
    async with scripted(saying("no")) as model:
        source = f"""
            from ag2 import Agent
            from ag2.config import OpenAIConfig

            agent = Agent("math", config=OpenAIConfig("m", base_url="{model.url}"))
        """
        await run(own(source), asking("1 + 2?", function()), (SPEC,))
    assert "tools" not in model.asked[0]


TEAM = """
    from ag2 import Agent

    def agent(context):
        clerk = Agent("clerk", "You do sums.", config=context.model, tools=context.tools)
        return Agent("boss", config=context.model, tools=[
            clerk.as_tool(name="calculate", description="Calculate a sum, given as the objective."),
        ])
"""


@BOTH
async def test_what_an_agent_costs_that_is_asked_as_a_tool_is_counted_once(
    own: Config,
    stream: bool,  # noqa: FBT001
) -> None:
    replies = [
        calling("calculate", '{"objective": "1 + 2"}'),
        calling("add", '{"a": 1, "b": 2}'),
        saying("the clerk says 3"),
        saying("it is 3"),
    ]
    calls: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        calls.append(arguments)
        return await adding(arguments)

    async with scripted(*replies) as model:
        asked = asking("1 + 2?", function(add), stream=stream)
        steps = await run(own(TEAM, url=model.url), asked, (SPEC,))
    assert answer(steps) == "it is 3"
    assert text(steps) == ("it is 3" if stream else "")
    assert calls == [{"a": 1, "b": 2}]
    assert [step.usage.input_tokens for step in steps if isinstance(step, Used)] == [3, 3, 3, 3]


async def test_the_budget_of_calls_ends_a_run_deep_inside(own: Config) -> None:
    async def add(_arguments: dict[str, Any]) -> str:
        raise CallBudgetSpent("no more calls (spec.budget.toolCalls)")

    replies = [calling("calculate", '{"objective": "1 + 2"}'), calling("add", '{"a": 1, "b": 2}')]
    async with scripted(*replies, saying("done")) as model:
        with pytest.raises(BudgetExceeded, match="no more calls"):
            await run(own(TEAM, url=model.url), asking("1 + 2?", function(add)), (SPEC,))
    assert len(model.asked) == 3  # the clerk was told; the boss is not asked again


BASKET = """
    from ag2 import Agent, Context
    from ag2.testing import TestConfig
    from ag2.events import ToolCallEvent

    def put(thing: str, context: Context) -> str:
        '''Put a thing into the basket.'''
        context.variables["basket"].append(thing)
        context.variables["count"] = context.variables.get("count", 0) + 1
        return f"{context.variables['basket']} {context.variables['count']}"

    class Twice(TestConfig):
        def create(self):
            return TestConfig(ToolCallEvent("put", arguments='{"thing": "egg"}'), "done").create()

    agent = Agent("shop", config=Twice(), tools=[put], variables={"basket": []})
"""


async def test_a_run_leaves_nothing_to_the_next_one(own: Config) -> None:
    config = own(BASKET)
    adapter = await build(config, ())
    for _ in range(2):
        assert answer(await steps_of(adapter, asking("An egg."))) == "done"
    assert adapter._agent.variables == {"basket": []}


async def test_runs_at_the_same_time_hear_their_own_conversation(own: Config) -> None:
    adapter = await build(own(AGENT), ())
    names = ("Ada", "Grace", "Edsger", "Barbara")
    asked = [
        asking(
            "What is my name?",
            history=(Message(role=Role.USER, text=f"My name is {name}."),),
            stream=place % 2 == 0,
        )
        for place, name in enumerate(names)
    ]
    answers = await asyncio.gather(*(steps_of(adapter, one) for one in asked))
    for name, steps in zip(names, answers, strict=True):
        assert [other for other in names if other in answer(steps)] == [name]


PERSON = """
    from pydantic import BaseModel
    from ag2 import Agent, ResponseSchema
    from ag2.testing import TestConfig

    class Person(BaseModel):
        name: str
        age: int

    agent = Agent("clerk", config=TestConfig('{"name": "Ada", "age": 36}'), response_schema=Person)
    wrong = Agent("clerk", config=TestConfig('{"name": "Ada"}'), response_schema=Person)
    raw = ResponseSchema.from_schema(Person.model_json_schema(), name="Person")
    loose = Agent("clerk", config=TestConfig("{}"), response_schema=raw)
"""


async def test_an_answer_fits_the_schema_of_the_agent(own: Config) -> None:
    assert answer(await run(own(PERSON))) == '{"name": "Ada", "age": 36}'
    assert answer(await run(own(PERSON, "loose"))) == "{}"
    with pytest.raises(AgentFailure) as caught:
        await run(own(PERSON, "wrong"))
    said = "the answer does not fit the agent's response_schema: age: Field required"
    assert str(caught.value) == said


@BOTH
async def test_a_tool_may_have_the_last_word(
    own: Config,
    stream: bool,  # noqa: FBT001
) -> None:
    source = """
        from ag2 import Agent, ToolResult
        from ag2.events import ToolCallEvent
        from ag2.testing import TestConfig

        def finish() -> ToolResult:
            '''End it.'''
            return ToolResult("that is all", final=True)

        agent = Agent("a", config=TestConfig(ToolCallEvent("finish")), tools=[finish])
    """
    steps = await run(own(source), asking(stream=stream))
    assert steps == [*([Text("that is all")] if stream else []), Answer("that is all")]


async def test_middleware_of_the_user_may_stand_before_a_platforms_tool(own: Config) -> None:
    source = """
        from ag2 import Agent

        async def doubled(call_next, event, context):
            event.serialized_arguments = {k: 2 * v for k, v in event.serialized_arguments.items()}
            return await call_next(event, context)

        def agent(context):
            (add,) = context.tools
            return Agent("math", config=context.model, tools=[add.with_middleware(doubled)])
    """
    said = answer(await run(own(source), asking("What is 2 + 3?", function()), (SPEC,)))
    assert "10" in said
