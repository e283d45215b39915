"""Users' own AG2 agents, unchanged, on the real framework."""

import asyncio
from typing import Any

import pytest

from runtime.adapters.ag2 import build
from runtime.adapters.port import AgentFailure, Answer, BudgetExceeded, Text, Used
from runtime.contract.agent_config import Framework
from runtime.contract.messages import Message, Role
from runtime.tests.adapter_contract import BOTH, failing
from runtime.tests.agents import (
    NOWHERE,
    ON_A_MODEL,
    SPEC,
    Config,
    adding,
    answer,
    asking,
    function,
    run,
    steps_of,
    text,
)
from runtime.tests.own_agent_contract import OwnAgentContract
from runtime.tests.scripted_model import calling, saying, scripted
from runtime.tools.errors import CallBudgetSpent

pytestmark = ON_A_MODEL


CLASH = """
    from ag2 import Agent, Toolkit

    def add(): ...
    def agent(context): return Agent("a", tools=[Toolkit(add), *context.tools])
"""


class TestOwn(OwnAgentContract):
    framework = Framework.AG2
    source = """
    import asyncio
    import os
    from ag2 import Agent
    from ag2.config import OpenAIConfig
    from ag2.events import ToolCallEvent
    from ag2.middleware import BaseMiddleware
    from ag2.testing import TestConfig

    def multiply(a: int, b: int) -> int:
        '''Multiply two numbers.'''
        return a * b

    class Broken(BaseMiddleware):
        async def on_llm_call(self, call_next, events, context):
            return 1 / 0

    async def leave() -> str:
        '''Leave.'''
        raise asyncio.CancelledError

    agent = Agent("parrot", config=TestConfig("cba"))
    wordless = Agent("a", config=TestConfig(" "))
    dividing = Agent("a", config=TestConfig("hi"), middleware=[Broken])
    stopping = Agent("a", config=TestConfig(ToolCallEvent("leave"), "never"), tools=[leave])
    model = OpenAIConfig(os.environ["OPENAI_MODEL"])
    thinker = Agent("math", "You do sums.", config=model, tools=[multiply])

    def platforms(context):
        return Agent("math", config=context.model, tools=[*context.tools, multiply])
    """
    thinkers = askers = ("thinker",)
    refused = (
        ("import ag2\nagent = ag2.Agent", "agent", "is a class, but spec.framework is AG2"),
        (
            "import ag2, threading\nagent = ag2.Agent('a', variables={'x': threading.Lock()})",
            "agent",
            "has variables that cannot be copied for each run",
        ),
        (
            CLASH,
            "agent",
            "has two tools named add, one of them the platform's (AgentContext.tools)",
        ),
    )


async def test_an_agent_without_a_model_gets_that_of_the_stack(
    own: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", NOWHERE)
    source = """
        from ag2 import Agent

        def multiply(a: int, b: int) -> int:
            '''Multiply two numbers.'''
            return a * b

        agent = Agent("math", "You do sums.", tools=[multiply])
    """
    assert "42" in answer(await run(own(source), asking("What is 6 * 7?")))


async def test_the_platforms_tools_are_for_who_asks_for_them(own: Config) -> None:
    async with scripted(saying("no")) as model:
        source = f"""
            from ag2 import Agent
            from ag2.config import OpenAIConfig

            agent = Agent("math", config=OpenAIConfig("m", base_url="{model.url}"))
        """
        await run(own(source), asking("1 + 2?", function()), (SPEC,))
    assert "tools" not in model.requests[0]


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
    stream: bool,
) -> None:
    replies = [
        calling(("calculate", '{"objective": "1 + 2"}')),
        calling(("add", '{"a": 1, "b": 2}')),
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
    add = failing(CallBudgetSpent("no more calls (spec.budget.toolCalls)"))
    replies = [
        calling(("calculate", '{"objective": "1 + 2"}')),
        calling(("add", '{"a": 1, "b": 2}')),
    ]
    async with scripted(*replies, saying("done")) as model:
        with pytest.raises(BudgetExceeded, match="no more calls"):
            await run(own(TEAM, url=model.url), asking("1 + 2?", function(add)), (SPEC,))
    assert len(model.requests) == 3  # the clerk was told; the boss is not asked again


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
    source = """
        import os
        from ag2 import Agent
        from ag2.config import OpenAIConfig

        agent = Agent("math", config=OpenAIConfig(os.environ["OPENAI_MODEL"]))
    """
    adapter = await build(own(source), ())
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
    stream: bool,
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
