"""What every adapter does with users' own agents: one class of tests for all."""

import asyncio
import random
from collections.abc import Sequence
from typing import Any, ClassVar

import pytest

from runtime.adapters.port import AgentFailure, Answer, BadAgent, EmptyAnswer, Text, Used
from runtime.adapters.registry import build
from runtime.contract.agent_config import AgentConfig, Framework
from runtime.tests.adapter_contract import BOTH, ends_within_a_second
from runtime.tests.agents import (
    NOWHERE,
    SPEC,
    Config,
    answer,
    asking,
    cost,
    function,
    run,
    steps_of,
    text,
)
from runtime.tests.scripted_model import NEVER, scripted

FORMS = """
    def plain(): return agent
    async def later(): return agent
    def with_context(context): return agent if context.config.agent.name == "math" else None
    def optional(context=None): return agent
    class Maker:
        def make(self): return agent
    maker = Maker().make
"""
INVALID = """
    from pydantic import BaseModel

    class Kind(BaseModel):
        name: str
        key: str

    agent = Kind(key="secret")
"""
NO_AGENTS = (
    ("agent = 5", "agent", "is an int, but spec.framework is {framework}, which needs a"),
    ("class agent: ...", "agent", "{a_class}, but spec.framework is {framework}, which needs"),
    ("def agent(): return {}", "agent", "makes a dict, but spec.framework is {framework}"),
    ("def agent(): ...", "agent", "makes None, but spec.framework is {framework}, which needs"),
    ("async def agent(): return 5", "agent", "makes an int, but spec.framework is {framework}"),
    (
        "def agent(): raise SystemExit(3)",
        "agent",
        "was called to make an agent, and failed: ",
    ),
    ("from time import time as agent", "agent", "makes a float, but spec.framework is"),
    ("def agent(a, b): ...", "agent", "takes a, b; a function that makes an agent"),
    ("def agent(): 1 / 0", "agent", "was called to make an agent, and failed: "),
    ("def agent(): 1 / 0", "agent", "py:1 ZeroDivisionError: division by zero"),
    (INVALID, "agent", "py:8 ValidationError: of Kind: name: Field required"),
    ("def agent(): import nowhere_at_all", "agent", "if nowhere_at_all is a file of yours, add"),
    ("def agent(): ...", "agnt", "has no agnt; did you mean agent?"),
    ("from json import dumps\ndef agent(): ...", "nobody", "has no nobody; it has agent"),
)
"""Source, entrypoint and what is said of it."""


class OwnAgentContract:
    """Agents of users, unchanged; `source` is the module that has them all.

    Shape:
        source    defines `agent`, which says its input backwards and asks no model, `wordless`,
                  `dividing`, whose only line with `1 / 0` fails, `stopping`, which cancels itself,
                  and `platforms(context)`, which adds with the platform's model and tools and
                  multiplies with a tool of its own.
        forms     what stands for `agent`.
        thinkers  agents that have a model and a tool of their own, to multiply.
        askers    agents that have a model of their own.
        refused   more of what is no agent, in the form of `NO_AGENTS`.
    """

    framework: ClassVar[Framework]
    source: ClassVar[str]
    forms: ClassVar[Sequence[str]] = (
        *("agent", "plain", "later", "with_context", "optional", "maker"),
    )
    thinkers: ClassVar[Sequence[str]]
    askers: ClassVar[Sequence[str]]
    refused: ClassVar[Sequence[tuple[str, str, str]]] = ()
    a_class: ClassVar[str] = "is a class"
    """What is said of a class that makes no agent."""
    cancelled: ClassVar[str] = "the agent was cancelled by its own code"
    counts_streams: ClassVar[bool] = True
    """Whether a user's own model tells what a streamed answer has cost."""

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Fill in the tables that each framework has of its own."""
        tables = {"form": self.forms, "thinker": self.thinkers, "asker": self.askers}
        for name, values in tables.items():
            if name in metafunc.fixturenames:
                metafunc.parametrize(name, values)
        if "no_agent" in metafunc.fixturenames:
            metafunc.parametrize("no_agent", (*NO_AGENTS, *self.refused))

    @pytest.fixture(autouse=True)
    def users_environment(self, environment: None) -> None:
        """What a worker sets for a user's own code."""

    @pytest.fixture
    def own(self, config: Config) -> Config:
        """The configuration of an agent of `source`; the platform's model cannot be reached."""

        def made(entrypoint: str, **facts: Any) -> AgentConfig:
            return config(self.source + FORMS, entrypoint, framework=self.framework, **facts)

        return made

    @BOTH
    async def test_an_agent_runs_in_whatever_form_it_is_given(
        self, own: Config, form: str, stream: bool
    ) -> None:
        steps = await run(own(form), asking("abc", stream=stream))
        assert steps == [*([Text("cba")] if stream else []), Answer("cba")]

    @BOTH
    async def test_an_agent_with_its_own_model_and_tool_needs_no_change(
        self, own: Config, thinker: str, stream: bool
    ) -> None:
        a, b = random.sample(range(11, 99), 2)
        steps = await run(own(thinker), asking(f"What is {a} * {b}?", stream=stream))
        assert str(a * b) in answer(steps)
        assert text(steps) == (answer(steps) if stream else "")
        assert (len([step for step in steps if isinstance(step, Text)]) > 1) is stream
        is_counted = self.counts_streams or not stream
        assert len([step for step in steps if isinstance(step, Used)]) == (2 if is_counted else 0)
        assert (cost(steps).input_tokens > 0) is is_counted

    async def test_a_function_may_use_the_platforms_model_and_tools(
        self, own: Config, model_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", NOWHERE)
        asked = asking("What is 4 * 5? What is 100 + 11?", function())
        said = answer(await run(own("platforms", url=model_url), asked, (SPEC,)))
        assert "20" in said
        assert "111" in said

    async def test_what_is_no_agent_is_refused(
        self, config: Config, no_agent: tuple[str, str, str]
    ) -> None:
        source, entrypoint, said = no_agent
        made = config(source, entrypoint, framework=self.framework)
        assert made.module is not None
        with pytest.raises(BadAgent) as caught:
            await build(made, (SPEC,))
        a_class = self.a_class.format(module=made.module.entrypoint.partition(":")[0])
        assert said.format(framework=self.framework, a_class=a_class) in str(caught.value)
        assert str(caught.value).startswith('spec.source.module.entrypoint "users_agent_')

    @BOTH
    async def test_an_error_of_the_users_code_names_its_line(
        self, own: Config, stream: bool
    ) -> None:
        (line,) = [
            number for number, line in enumerate(self.source.splitlines(), 1) if "1 / 0" in line
        ]
        said = rf"^users_agent_\d+\.py:{line} ZeroDivisionError: division by zero$"
        with pytest.raises(AgentFailure, match=said) as caught:
            await run(own("dividing"), asking(stream=stream))
        assert type(caught.value) is AgentFailure

    async def test_an_agent_without_a_word_is_told(self, own: Config) -> None:
        with pytest.raises(EmptyAnswer):
            await run(own("wordless"))

    @BOTH
    async def test_code_that_cancels_itself_has_failed(self, own: Config, stream: bool) -> None:
        with pytest.raises(AgentFailure, match=self.cancelled):
            await run(own("stopping"), asking(stream=stream))

    @BOTH
    async def test_cancelling_ends_the_call_of_a_users_own_model(
        self, own: Config, monkeypatch: pytest.MonkeyPatch, asker: str, stream: bool
    ) -> None:
        async with scripted(NEVER) as model:
            monkeypatch.setenv("OPENAI_BASE_URL", model.url)
            adapter = await build(own(asker), ())
            running = asyncio.create_task(steps_of(adapter, asking(stream=stream)))
            await model.asked.wait()
            await ends_within_a_second(running, model.left)
