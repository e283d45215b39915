"""Users' own BeeAI agents, unchanged, on the real framework."""

import pytest

from runtime.adapters.beeai import build
from runtime.adapters.port import AgentFailure, EmptyAnswer, Text, Used
from runtime.contract.agent_config import Framework
from runtime.contract.messages import Message, Role
from runtime.tests.adapter_contract import kept_apart
from runtime.tests.agents import SPEC, Config, answer, asking, function, run, steps_of, text
from runtime.tests.foreign_contract import ForeignContract
from runtime.tests.frameworks.beeai.endings import ending
from runtime.tests.frameworks.beeai.marks import MARKS
from runtime.tests.own_agent_contract import OwnAgentContract
from runtime.tests.scripted_model import calling, saying, scripted

pytestmark = [*MARKS, pytest.mark.usefixtures("environment")]


class TestForeign(ForeignContract):
    framework = Framework.BEEAI


class TestOwn(OwnAgentContract):
    framework = Framework.BEEAI
    source = """
    import asyncio
    import os

    from beeai_framework.agents import AgentOutput, BaseAgent
    from beeai_framework.backend import AssistantMessage
    from beeai_framework.emitter import Emitter
    from beeai_framework.memory import UnconstrainedMemory
    from beeai_framework.runnable import runnable_entry
    from beeai_framework.adapters.openai import OpenAIChatModel
    from beeai_framework.agents.lite import LiteAgent
    from beeai_framework.agents.react import ReActAgent
    from beeai_framework.agents.requirement import RequirementAgent
    from beeai_framework.tools import tool

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

    def platforms(context):
        return RequirementAgent(llm=context.model, tools=[*context.tools, multiply])
    """
    thinkers = ("requirement", "named", "lite")
    askers = (*thinkers, "react")
    refused = (
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
    )

    @pytest.fixture(autouse=True)
    def no_model_of_beeais_own(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`named` would take it."""
        monkeypatch.delenv("OPENAI_CHAT_MODEL", raising=False)


async def test_an_agent_remembers_nothing_of_another_run(agent: Config) -> None:
    adapter = await build(agent(TestOwn.source, "counting"), ())
    for _ in range(2):
        assert answer(await steps_of(adapter, asking("abc"))) == "1"


async def test_history_and_instructions_come_before_the_input(agent: Config) -> None:
    history = (
        Message(role=Role.USER, text="a"),
        Message(role=Role.ASSISTANT, text="b"),
    )
    asked = asking(history=history, instructions="Be brief.")
    said = answer(await run(agent(TestOwn.source, "roles"), asked))
    assert said == "system user assistant user"


async def test_a_react_agent_says_its_answer_as_the_model_writes_it(agent: Config) -> None:
    steps = await run(agent(TestOwn.source, "react"), asking("Hello there", stream=True))
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
    async with scripted(saying("Thought: I know.\nFinal Answer: It is so.")) as model:
        steps = await run(agent(source.format(url=model.url), "agent"), asking(stream=True))
    assert (text(steps), answer(steps)) == ("It is so.", "It is so.")


async def test_runs_of_an_agent_do_not_hear_each_other(agent: Config, model_url: str) -> None:
    adapter = await build(
        agent(TestOwn.source, "platforms", url=model_url, model="slow-5"), (SPEC,)
    )

    await kept_apart(adapter, lambda _place: True)


SIGNS = 'Is 1 < 2 & "so" that it\'s > 0?'
ASKED = """
    from beeai_framework.agents.react import ReActAgent
    from beeai_framework.agents.requirement import RequirementAgent
    from beeai_framework.agents.requirement.prompts import RequirementAgentTaskPromptInput
    from beeai_framework.memory import UnconstrainedMemory
    from beeai_framework.template import PromptTemplate
    from beeai_framework.tools import tool

    @tool
    def less(a: int, b: int) -> bool:
        '''Whether a < b & a > 0.'''
        return a < b

    def requirement(context):
        return RequirementAgent(llm=context.model, tools=[less])

    def react(context):
        return ReActAgent(context.model, [less], UnconstrainedMemory())

    def templated(context):
        own = PromptTemplate(
            schema=RequirementAgentTaskPromptInput, template="<asked>{{prompt}}</asked>"
        )
        return RequirementAgent(llm=context.model, tools=[less], templates={"task": own})
"""


@pytest.mark.parametrize("entrypoint", ["requirement", "react"])
async def test_a_model_reads_what_was_asked_and_no_html(agent: Config, entrypoint: str) -> None:
    last = ending("Yes") if entrypoint == "requirement" else saying("Final Answer: Yes")
    async with scripted(last) as model:
        await run(agent(ASKED, entrypoint, url=model.url), asking(SIGNS))

    system, user = model.requests[0]["messages"]
    assert SIGNS in user["content"][0]["text"]
    assert "Description: Whether a < b & a > 0." in system["content"]


async def test_a_template_of_the_users_own_stays_as_it_is(agent: Config) -> None:
    async with scripted(ending("Yes")) as model:
        await run(agent(ASKED, "templated", url=model.url), asking("1 < 2"))

    user = model.requests[0]["messages"][-1]
    assert user["content"][0]["text"] == "<asked>1 &lt; 2</asked>"


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
    async with scripted(*said, *said) as model:
        source = TEAM.format(url=model.url, expert=expert)
        adapter = await build(agent(source, "agent"), ())
        for _ in range(2):
            steps = await steps_of(adapter, asking("?", stream=True))
            assert (answer(steps), text(steps)) == ("so be it",) * 2
            assert len([step for step in steps if isinstance(step, Used)]) == 3
    first, second = model.requests[:3], model.requests[3:]
    assert [body["messages"] for body in first] == [body["messages"] for body in second]


async def test_an_error_is_told_as_the_users_code_says_it(agent: Config) -> None:
    with pytest.raises(AgentFailure, match=r"LookupError: no such order$"):
        await run(agent(TestOwn.source, "looking"))


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
    async with scripted(calling(("divide", '{"a": 1}')), ending("no way")) as model:
        assert answer(await run(agent(source, "agent", url=model.url))) == "no way"
    assert "division by zero" in str(model.requests[1]["messages"][-1])


async def test_an_agent_that_never_ends_is_told(agent: Config) -> None:
    source = """
        from beeai_framework.agents.requirement import RequirementAgent

        def agent(context):
            return RequirementAgent(
                llm=context.model, tools=context.tools, tool_call_checker=False
            )
    """
    async with scripted(calling(("add", '{"a": 1, "b": 2}'))) as model:
        made = agent(source, "agent", url=model.url)
        with pytest.raises(AgentFailure, match="not able to resolve the task in"):
            await run(made, asking("?", function()), (SPEC,))


@pytest.mark.parametrize("entrypoint", ["requirement", "lite", "react"])
async def test_a_model_without_a_word_is_told(
    agent: Config, monkeypatch: pytest.MonkeyPatch, entrypoint: str
) -> None:
    monkeypatch.setenv("OPENAI_MODEL", "empty")
    with pytest.raises(EmptyAnswer):
        await run(agent(TestOwn.source, entrypoint))
