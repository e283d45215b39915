"""Users' own crews, agents and flows, unchanged, on the real framework."""

import asyncio
import random
from typing import Any

import pytest

from runtime.adapters.crewai import build
from runtime.adapters.port import AgentFailure, Used
from runtime.contract.agent_config import Framework
from runtime.contract.messages import Message, Role
from runtime.tests.adapter_contract import BOTH
from runtime.tests.agents import (
    SPEC,
    Config,
    answer,
    asking,
    cost,
    function,
    run,
    steps_of,
    text,
    users,
)
from runtime.tests.foreign_contract import ForeignContract
from runtime.tests.frameworks.crewai.marks import MARKS
from runtime.tests.own_agent_contract import OwnAgentContract

pytestmark = [*MARKS, pytest.mark.usefixtures("environment")]


CREW = """
    import asyncio
    import os
    from crewai import LLM, Agent, Crew, Flow, Task
    from crewai.flow.flow import listen, start
    from crewai.project import CrewBase, agent, crew, task
    from crewai.tools import tool
    from pydantic import BaseModel

    llm = LLM(model=os.environ["OPENAI_MODEL"], custom_openai=True)

    @tool
    def multiply(a: int, b: int) -> int:
        '''Multiply two numbers.'''
        return a * b

    def member(role, **facts):
        return Agent(role=role, goal="Do it", backstory="You can.", **{"llm": llm} | facts)

    def asked(description, agent, **facts):
        return Task(description=description, expected_output="words", agent=agent, **facts)

    solo = member("Solo", tools=[multiply])
    made = Crew(agents=[solo], tasks=[asked("{input}", solo)])
    streamed = Crew(agents=[solo], tasks=[asked("{input}", solo)], stream=True, cache=True)
    apart = Crew(agents=[solo], tasks=[asked("{input}", solo, async_execution=True)])
    def plain(): return made
    async def later(): return made
    def with_context(context): return made if context.config.agent.name == "math" else None

    class Maker:
        def crew(self): return made

    class Sums(Flow):
        @start()
        def ask(self):
            return llm.call(self.state["input"])

        @listen(ask)
        def reply(self, said):
            return said

    flow = Sums()
    def make_flow(): return Sums()
"""


SHAPES = (
    CREW
    + """
    def more(given):
        return given | {"extra": "more"}

    def of(description, **facts):
        return Crew(agents=[solo], tasks=[asked(description, solo)], **facts)

    topic = of("Repeat: {topic}")
    unnamed = of("Repeat what you read.")
    placed = of("Repeat: {input} after {history} with {instructions}")
    as_json = of('Repeat: {"said": "{topic}"} and {"more": 1}')
    filled = of("{input} {extra}", before_kickoff_callbacks=[more])
    one_more = of("{input} {year}")
    two_of_them = of("{topic} {year}")
    asking_a_person = Crew(agents=[solo], tasks=[asked("{input}", solo, human_input=True)])

    class Question(BaseModel):
        question: str = ""

    class Asked(Flow[Question]):
        @start()
        async def ask(self):
            return {"asked": self.state.question}

    class Two(BaseModel):
        a: str = ""
        b: str = ""

    class Neither(Flow[Two]):
        @start()
        async def ask(self):
            return "never"
"""
)


class TestForeign(ForeignContract):
    framework = Framework.CREWAI


class TestOwn(OwnAgentContract):
    framework = Framework.CREWAI
    source = (
        CREW
        + """
    class Parrot(Flow):
        @start()
        def go(self):
            return self.state["input"][::-1]

    class Silent(Flow):
        @start()
        async def go(self):
            return None

    class Wrong(Flow):
        @start()
        def go(self):
            return 1 / 0

    class Leaving(Flow):
        @start()
        async def go(self):
            raise asyncio.CancelledError

    agent, wordless, dividing, stopping = Parrot(), Silent(), Wrong(), Leaving()

    def platforms(context):
        one = member("One", llm=context.model, tools=[*context.tools, multiply])
        return Crew(agents=[one], tasks=[asked("{input}", one)])
    """
    )
    thinkers = ("made", "solo")
    askers = (*thinkers, "flow")
    a_class = "makes a {module}.agent"
    refused = (
        (SHAPES, "two_of_them", "nobody fills the placeholders topic, year of the crew's tasks"),
        (SHAPES, "one_more", "nobody fills the placeholders year of the crew's tasks"),
        (SHAPES, "Neither", "has the fields a, b; it needs `input`"),
        (SHAPES, "asking_a_person", "has human_input, and nobody can answer it yet"),
        (SHAPES, "multiply", "is a crewai.tools.base_tool.Tool, but spec.framework is CrewAI"),
    )


FORMS = [
    "made",
    "streamed",
    "apart",
    "plain",
    "later",
    "with_context",
    "Maker",
    "solo",
    "flow",
    "Sums",
    "make_flow",
]


@pytest.mark.parametrize("entrypoint", FORMS)
@BOTH
async def test_a_crew_an_agent_and_a_flow_run_in_whatever_form_they_are_given(
    config: Config,
    entrypoint: str,
    stream: bool,
) -> None:
    word = f"w{random.randrange(10**6)}"
    steps = await run(config(CREW, entrypoint), asking(f"Say {word}", stream=stream))
    assert word in answer(steps)
    assert text(steps) == (answer(steps) if stream else "")
    assert len([step for step in steps if isinstance(step, Used)]) == 1
    assert cost(steps).input_tokens > 0


async def test_an_agent_that_names_no_model_asks_that_of_the_platform(
    config: Config, model_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_MODEL_NAME", "restored afterwards")
    monkeypatch.delenv("OPENAI_MODEL_NAME")
    source = """
        from crewai import Agent
        agent = Agent(role="One", goal="Do it", backstory="You can.")
    """
    made = config(source, "agent", url=model_url, model="small/stand-in")
    assert "walrus" in answer(await run(made, asking("Say walrus")))


TWO = (
    CREW
    + """
    first, second = member("First"), member("Second")
    two = Crew(
        agents=[first, second],
        tasks=[asked("Repeat: alpha {input}", first), asked("Repeat: omega", second)],
    )
"""
)


@BOTH
async def test_the_answer_is_what_the_last_task_came_to(
    config: Config,
    stream: bool,
) -> None:
    steps = await run(config(TWO, "two"), asking("x", stream=stream))
    said = answer(steps)
    assert "omega" in said
    assert "alpha" in said  # of the context, which is the answer of the first
    assert text(steps) == (said if stream else "")
    assert len([step for step in steps if isinstance(step, Used)]) == 2


@pytest.mark.parametrize("entrypoint", ["two", "solo", "flow", "Sums"])
async def test_runs_at_the_same_time_are_kept_apart(config: Config, entrypoint: str) -> None:
    adapter = await build(config(TWO, entrypoint), ())
    words = [f"w{word}" for word in random.sample(range(10**6), 6)]
    several = await asyncio.gather(
        *(steps_of(adapter, asking(f"Say {word}", stream=True)) for word in words)
    )
    for word, steps in zip(words, several, strict=True):
        assert word in answer(steps)
        assert text(steps) == answer(steps)
        assert not [other for other in words if other != word and other in answer(steps)]


@pytest.mark.parametrize("entrypoint", ["made", "solo", "flow"])
async def test_a_run_changes_nothing_that_the_user_made(config: Config, entrypoint: str) -> None:
    given = config(CREW, entrypoint)
    assert given.module is not None
    adapter = await build(given, ())
    found = users(given, entrypoint)
    parts = [found, *getattr(found, "agents", []), *getattr(found, "tasks", [])]
    before = [repr((vars(part), part.__pydantic_private__)) for part in parts]
    await steps_of(adapter, asking("What is 3 * 4?", stream=True))
    assert [repr((vars(part), part.__pydantic_private__)) for part in parts] == before


@pytest.mark.parametrize("entrypoint", ["made", "flow", "Sums"])
async def test_a_run_finds_nothing_of_the_one_before(config: Config, entrypoint: str) -> None:
    adapter = await build(config(CREW, entrypoint), ())
    first = answer(await steps_of(adapter, asking("Say alpha")))
    second = answer(await steps_of(adapter, asking("Say omega")))
    assert "alpha" in first
    assert "omega" in second
    assert "alpha" not in second


@pytest.mark.parametrize(
    ("entrypoint", "said"),
    [
        ("topic", ["Repeat: walrus"]),
        ("unnamed", ["Repeat what you read.", "walrus"]),
        ("placed", ["walrus after user: Hello", "with Be kind."]),
        ("filled", ["walrus more"]),
        ("as_json", ['{"said": "walrus"} and {"more": 1}']),
        ("Asked", ['{"asked":"walrus"}']),
    ],
)
async def test_the_input_finds_its_place(config: Config, entrypoint: str, said: list[str]) -> None:
    history = (Message(role=Role.USER, text="Hello"),)
    asked = asking("walrus", history=history, instructions="Be kind.")
    found = answer(await run(config(SHAPES, entrypoint), asked))
    assert [part for part in said if part not in found] == []


async def test_what_no_placeholder_names_is_added(config: Config) -> None:
    history = (Message(role=Role.USER, text="My cat is Tom."),)
    asked = asking("walrus", history=history, instructions="Be kind.")
    said = answer(await run(config(SHAPES, "topic"), asked))
    assert "Tom" in said
    assert "Be kind." in said


async def test_a_task_that_fails_is_not_begun_again(config: Config) -> None:
    called: list[dict[str, Any]] = []

    async def add(arguments: dict[str, Any]) -> str:
        called.append(arguments)
        return "5"

    source = (
        CREW
        + """
    def after(answer):
        raise RuntimeError("no good")

    def crew(context):
        one = member("One", tools=context.tools, step_callback=after)
        return Crew(agents=[one], tasks=[asked("{input}", one)])
    """
    )
    with pytest.raises(AgentFailure, match="no good"):
        await run(config(source, "crew"), asking("2 + 3?", function(add)), (SPEC,))
    assert len(called) == 1


async def test_a_blocking_method_may_call_the_platforms_tools(config: Config) -> None:
    source = """
        from crewai.flow.flow import Flow, start

        def flow(context):
            (add,) = context.tools

            class Adding(Flow):
                @start()
                def go(self):
                    return add.run(a=1, b=2)

            return Adding()
    """
    assert answer(await run(config(source, "flow"), asking("?", function()), (SPEC,))) == "3"
