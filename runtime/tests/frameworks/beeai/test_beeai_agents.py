"""Users' own BeeAI agents, unchanged, on the real framework."""

import asyncio
import functools
import random
import time
from typing import Any

import pytest

from runtime.adapters.beeai import build
from runtime.adapters.port import AgentFailure, Answer, BadAgent, EmptyAnswer, Step, Text, Used
from runtime.adapters.registry import build as build_any
from runtime.contract.agent_config import Framework
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import Message, Role
from runtime.tests.agents import SPEC, Config, answer, asking, cost, function, steps_of, text
from runtime.tests.frameworks.beeai.marks import MARKS
from runtime.tests.frameworks.beeai.recording import calling, ending, recording, saying

pytestmark = MARKS


@pytest.fixture
def agent(config: Config) -> Config:
    return functools.partial(config, framework=Framework.BEEAI)


@pytest.fixture
def users_model(monkeypatch: pytest.MonkeyPatch, model_url: str) -> None:
    """The surroundings that the worker gives to a user's own code."""
    monkeypatch.setenv("OPENAI_BASE_URL", model_url)
    monkeypatch.setenv("OPENAI_API_KEY", "unused")
    monkeypatch.setenv("OPENAI_MODEL", "stand-in")


async def run(config: Any, asked: Any = None, specs: tuple[FunctionSpec, ...] = ()) -> list[Step]:
    adapter = await build(config, specs)
    return await steps_of(adapter, asked or asking())


CUSTOM = """
    import asyncio

    from beeai_framework.agents import AgentOutput, BaseAgent
    from beeai_framework.backend import AssistantMessage
    from beeai_framework.emitter import Emitter
    from beeai_framework.memory import UnconstrainedMemory
    from beeai_framework.runnable import runnable_entry

    class Custom(BaseAgent):
        def __init__(self, answer):
            super().__init__()
            self._answer = answer
            self._memory = UnconstrainedMemory()

        @runnable_entry
        async def run(self, input, /, **kwargs):
            await self.memory.add_many(input)
            said = self._answer(self.memory.messages)
            return AgentOutput(output=[AssistantMessage(said)])

        @property
        def memory(self):
            return self._memory

        @memory.setter
        def memory(self, memory):
            self._memory = memory

        def _create_emitter(self):
            return Emitter.root().child(namespace=["agent", "custom"], creator=self)

    agent = Custom(lambda messages: messages[-1].text[::-1])
    def plain(): return agent
    async def later(): return agent
    def with_context(context): return agent if context.config.agent.name == "math" else None
    def optional(context=None): return agent
    class Maker:
        def make(self): return agent
    maker = Maker().make
    counting = Custom(lambda messages: str(len(messages)))
    roles = Custom(lambda messages: " ".join(message.role for message in messages))
    wordless = Custom(lambda messages: " ")
    def divide(messages): return 1 / 0
    dividing = Custom(divide)
    def look(messages):
        try: {}["x"]
        except KeyError as error: raise LookupError("no such order") from error
    looking = Custom(look)
    def stop(messages): raise asyncio.CancelledError
    stopping = Custom(stop)
"""


@pytest.mark.parametrize(
    "entrypoint", ["agent", "plain", "later", "with_context", "optional", "maker"]
)
@pytest.mark.parametrize("stream", [False, True])
async def test_an_agent_runs_in_whatever_form_it_is_given(
    agent: Config,
    entrypoint: str,
    stream: bool,  # noqa: FBT001
) -> None:
    steps = await run(agent(CUSTOM, entrypoint), asking("abc", stream=stream))
    assert steps == [*([Text("cba")] if stream else []), Answer("cba")]


async def test_an_agent_remembers_nothing_of_another_run(agent: Config) -> None:
    adapter = await build(agent(CUSTOM, "counting"), ())
    for _ in range(2):
        assert answer(await steps_of(adapter, asking("abc"))) == "1"


async def test_history_and_instructions_come_before_the_input(agent: Config) -> None:
    history = (
        Message(role=Role.USER, text="a"),
        Message(role=Role.ASSISTANT, text="b"),
    )
    asked = asking(history=history, instructions="Be brief.")
    said = answer(await run(agent(CUSTOM, "roles"), asked))
    assert said == "system user assistant user"


OWN = """
    import os
    from beeai_framework.adapters.openai import OpenAIChatModel
    from beeai_framework.agents.lite import LiteAgent
    from beeai_framework.agents.react import ReActAgent
    from beeai_framework.agents.requirement import RequirementAgent
    from beeai_framework.memory import UnconstrainedMemory
    from beeai_framework.tools import tool

    @tool
    def multiply(a: int, b: int) -> int:
        '''Multiply two numbers.'''
        return a * b

    def model():
        return OpenAIChatModel(os.environ["OPENAI_MODEL"])

    requirement = RequirementAgent(llm=model(), tools=[multiply], instructions="You do sums.")
    named = RequirementAgent(llm="openai", tools=[multiply])
    lite = LiteAgent(llm=model(), tools=[multiply])
    react = ReActAgent(llm=model(), tools=[], memory=UnconstrainedMemory())

    def with_context(context):
        return RequirementAgent(llm=context.model, tools=[*context.tools, multiply])
"""


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("entrypoint", ["requirement", "named", "lite"])
@pytest.mark.usefixtures("users_model")
async def test_an_agent_with_its_own_model_and_tool_needs_no_change(
    agent: Config,
    model_url: str,
    monkeypatch: pytest.MonkeyPatch,
    entrypoint: str,
    stream: bool,  # noqa: FBT001
) -> None:
    monkeypatch.delenv("OPENAI_CHAT_MODEL", raising=False)
    a, b = random.sample(range(11, 99), 2)
    steps = await run(
        agent(OWN, entrypoint, url=model_url), asking(f"What is {a} * {b}?", stream=stream)
    )
    assert str(a * b) in answer(steps)
    assert text(steps) == (answer(steps) if stream else "")
    assert cost(steps).input_tokens > 0


@pytest.mark.usefixtures("users_model")
async def test_a_react_agent_says_its_answer_as_the_model_writes_it(agent: Config) -> None:
    steps = await run(agent(OWN, "react"), asking("Hello there", stream=True))
    assert len([step for step in steps if isinstance(step, Text)]) > 1
    assert text(steps) == answer(steps)
    assert "Hello there" in answer(steps)


async def test_a_react_agent_keeps_its_thoughts(agent: Config) -> None:
    source = """
        from beeai_framework.adapters.openai import OpenAIChatModel
        from beeai_framework.agents.react import ReActAgent
        from beeai_framework.memory import UnconstrainedMemory

        model = OpenAIChatModel("m", base_url="{url}", api_key="unused")
        agent = ReActAgent(model, [], UnconstrainedMemory())
    """
    async with recording(saying("Thought: I know.\nFinal Answer: It is so.")) as model:
        steps = await run(agent(source.format(url=model.url), "agent"), asking(stream=True))
    assert (text(steps), answer(steps)) == ("It is so.", "It is so.")


@pytest.mark.usefixtures("users_model")
async def test_a_function_may_use_the_platforms_model_and_tools(
    agent: Config, model_url: str
) -> None:
    made = agent(OWN, "with_context", url=model_url)
    asked = asking("What is 4 * 5? What is 100 + 11?", function())
    said = answer(await run(made, asked, (SPEC,)))
    assert "20" in said
    assert "111" in said


@pytest.mark.usefixtures("users_model")
async def test_runs_of_an_agent_do_not_hear_each_other(agent: Config, model_url: str) -> None:
    adapter = await build(agent(OWN, "with_context", url=model_url, model="slow-5"), (SPEC,))

    def giving(value: str) -> Any:
        async def add(_arguments: dict[str, Any]) -> str:
            return value

        return add

    values = [str(value) for value in random.sample(range(1000, 9999), 6)]
    asked = [asking("2 + 3?", function(giving(value)), stream=True) for value in values]
    answers = await asyncio.gather(*(steps_of(adapter, one) for one in asked))
    for value, steps in zip(values, answers, strict=True):
        assert (text(steps), answer(steps)) == (f"The answer is {value}.",) * 2


TEAM = """
    from beeai_framework.adapters.openai import OpenAIChatModel
    from beeai_framework.agents.lite import LiteAgent
    from beeai_framework.agents.requirement import RequirementAgent
    from beeai_framework.agents.requirement.requirements.conditional import (
        ConditionalRequirement,
    )
    from beeai_framework.tools.handoff import HandoffTool

    class Mine(RequirementAgent):
        pass

    def model():
        return OpenAIChatModel("m", base_url="{url}", api_key="unused",
                               tool_choice_support={{"required", "single"}})

    expert = {expert}(llm=model(), name="expert", description="Knows.")
    handoff = HandoffTool(expert)
    first = ConditionalRequirement(handoff, force_at_step=1)
    last = ConditionalRequirement("final_answer", only_after=handoff)
    agent = Mine(llm=model(), tools=[handoff], requirements=[first, last])
"""


@pytest.mark.parametrize("expert", ["LiteAgent", "RequirementAgent"])
async def test_a_team_works_the_same_in_each_run(agent: Config, expert: str) -> None:
    task = calling(("expert", '{"task": "Say it"}'))
    told = saying("it") if expert == "LiteAgent" else ending("it")
    said = [task, told, ending("so be it")]
    async with recording(*said, *said) as model:
        source = TEAM.format(url=model.url, expert=expert)
        adapter = await build(agent(source, "agent"), ())
        for _ in range(2):
            steps = await steps_of(adapter, asking("?", stream=True))
            assert (answer(steps), text(steps)) == ("so be it",) * 2
            assert len([step for step in steps if isinstance(step, Used)]) == 3
    first, second = model.asked[:3], model.asked[3:]
    assert [body["messages"] for body in first] == [body["messages"] for body in second]


@pytest.mark.parametrize(
    ("source", "entrypoint", "said"),
    [
        ("agent = 5", "agent", "is a int, but spec.framework is BeeAI, which needs"),
        ("class agent: ...", "agent", "is a type, but spec.framework is BeeAI"),
        ("def agent(): return {}", "agent", "is a dict, but spec.framework is BeeAI"),
        ("def agent(a, b): ...", "agent", "takes a, b; a function that makes an agent"),
        ("def agent(): 1 / 0", "agent", "py:1 ZeroDivisionError: division by zero"),
        ("agent = 5", "agnt", "has no agnt; did you mean agent?"),
        ("import langgraph", "agent", "No module named 'langgraph'"),
        (
            "from beeai_framework.agents.requirement import RequirementAgent as agent",
            "agent",
            "but spec.framework is BeeAI, which needs a RequirementAgent",
        ),
        (
            "from beeai_framework.workflows import *\nagent = Workflow(WorkflowRun)",
            "agent",
            "Workflow, but spec.framework is BeeAI",
        ),
    ],
)  # fmt: skip
async def test_what_is_no_agent_is_refused(
    agent: Config, source: str, entrypoint: str, said: str
) -> None:
    with pytest.raises(BadAgent) as caught:
        await build_any(agent(source, entrypoint), ())
    assert said in str(caught.value)
    assert str(caught.value).startswith('spec.source.module.entrypoint "users_agent_')


@pytest.mark.parametrize("stream", [False, True])
async def test_an_error_of_the_users_code_names_its_line(
    agent: Config,
    stream: bool,  # noqa: FBT001
) -> None:
    line = CUSTOM.splitlines().index("    def divide(messages): return 1 / 0") + 1
    said = rf"^users_agent_\d+\.py:{line} ZeroDivisionError: division by zero$"
    with pytest.raises(AgentFailure, match=said) as caught:
        await run(agent(CUSTOM, "dividing"), asking(stream=stream))
    assert type(caught.value) is AgentFailure


async def test_an_error_is_told_as_the_users_code_says_it(agent: Config) -> None:
    with pytest.raises(AgentFailure, match=r"LookupError: no such order$"):
        await run(agent(CUSTOM, "looking"))


async def test_an_error_of_a_users_tool_is_told_to_the_model(agent: Config) -> None:
    source = """
        from beeai_framework.agents.requirement import RequirementAgent
        from beeai_framework.tools import tool

        @tool
        def divide(a: int) -> float:
            '''Divide by nothing.'''
            return a / 0

        def agent(context):
            return RequirementAgent(llm=context.model, tools=[divide])
    """
    async with recording(calling(("divide", '{"a": 1}')), ending("no way")) as model:
        assert answer(await run(agent(source, "agent", url=model.url))) == "no way"
    assert "division by zero" in str(model.asked[1]["messages"][-1])


async def test_an_agent_that_never_ends_is_told(agent: Config) -> None:
    source = """
        from beeai_framework.agents.requirement import RequirementAgent

        def agent(context):
            return RequirementAgent(
                llm=context.model, tools=context.tools, tool_call_checker=False
            )
    """
    async with recording(calling(("add", '{"a": 1, "b": 2}'))) as model:
        made = agent(source, "agent", url=model.url)
        with pytest.raises(AgentFailure, match="not able to resolve the task in"):
            await run(made, asking("?", function()), (SPEC,))


async def test_an_agent_without_a_word_is_told(agent: Config) -> None:
    with pytest.raises(EmptyAnswer):
        await run(agent(CUSTOM, "wordless"))


@pytest.mark.parametrize("entrypoint", ["requirement", "lite", "react"])
@pytest.mark.usefixtures("users_model")
async def test_a_model_without_a_word_is_told(
    agent: Config, monkeypatch: pytest.MonkeyPatch, entrypoint: str
) -> None:
    monkeypatch.setenv("OPENAI_MODEL", "empty")
    with pytest.raises(EmptyAnswer):
        await run(agent(OWN, entrypoint))


@pytest.mark.parametrize("stream", [False, True])
async def test_code_that_cancels_itself_has_failed(
    agent: Config,
    stream: bool,  # noqa: FBT001
) -> None:
    with pytest.raises(AgentFailure, match="cancelled by its own code"):
        await run(agent(CUSTOM, "stopping"), asking(stream=stream))


@pytest.mark.parametrize("entrypoint", ["requirement", "lite", "react"])
async def test_cancelling_ends_the_call_of_a_users_own_model(
    agent: Config, monkeypatch: pytest.MonkeyPatch, entrypoint: str
) -> None:
    async with recording(None) as model:
        monkeypatch.setenv("OPENAI_BASE_URL", model.url)
        monkeypatch.setenv("OPENAI_API_KEY", "unused")
        monkeypatch.setenv("OPENAI_MODEL", "m")
        adapter = await build(agent(OWN, entrypoint), ())
        running = asyncio.create_task(steps_of(adapter, asking(stream=True)))
        while not model.asked:
            await asyncio.sleep(0.01)
        begun = time.monotonic()
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        while not model.left:
            await asyncio.sleep(0.01)
        assert time.monotonic() - begun < 1
