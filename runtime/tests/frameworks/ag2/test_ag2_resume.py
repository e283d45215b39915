"""Runs of AG2 that go on behind the events of an attempt that was cut off."""

import sys
from typing import Any

import pytest

from runtime.contract.agent_config import Framework
from runtime.tests.agents import Config, answer, of_revision
from runtime.tests.resuming import Attempts, EqualCallsContract, attempts, listened, why_not
from runtime.tests.scripted_model import calling, saying, scripted

__all__ = ["attempts"]  # a fixture

# One event loop for all, as in a worker: the clients of models keep their connections in it.
pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]


class TestInstructed(EqualCallsContract):
    framework = Framework.AG2


OWN = """
    import os
    from ag2 import Agent, Context
    from ag2.config import OpenAIConfig

    DONE = []

    def note(context: Context) -> str:
        '''Note something.'''
        DONE.append("note")
        return "noted"

    def agent(context):
        model = OpenAIConfig(
            model="m",
            base_url=os.environ["OPENAI_BASE_URL"],
            api_key="canary",
            default_headers={"Authorization": "Bearer canary", "X-Key": "canary"},
        )
        made = Agent(
            "noting", "Note it.", config=model, tools=[note, *context.tools],
            variables={"token": "canary"}, dependencies={"account": "canary"},
        )

        @made.prompt
        async def number(context: Context) -> str:
            DONE.append("prompt")
            return f"Prompt {len(DONE)}."

        return made
"""


async def own_run(own: Config) -> tuple[list[str], list[Any], bytes]:
    """What an agent does in two attempts, what its model is asked, and what is kept."""
    script = (calling(("note", "{}")), calling(("add", '{"a": 1, "b": 2}')), saying("done"))
    async with scripted(*script) as model, listened(model.url) as proxy:
        agent = own(OWN, url=proxy.url)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OPENAI_BASE_URL", proxy.url)
            place = Attempts(agent, proxy)
            await place.cut()
            kept = await place.kept()
            assert answer(await place.whole()) == "done"
        assert agent.module
        module = sys.modules[agent.module.entrypoint.partition(":")[0]]
    assert place.effects == [{"a": 1, "b": 2}]
    assert kept is not None
    return module.DONE, model.requests, kept


async def test_tools_of_a_users_own_are_not_repeated_and_prompts_stay(own: Config) -> None:
    done, asked, _ = await own_run(own)
    assert done == ["prompt", "note"]
    systems = [body["messages"][0]["content"] for body in asked]
    assert systems == ["Note it.\nPrompt 1."] * 3


async def test_no_secret_of_a_users_agent_is_kept(own: Config) -> None:
    _, _, kept = await own_run(own)
    assert b"noted" in kept
    assert b"canary" not in kept


WRITING = """
    import os
    from ag2 import Agent, Context
    from ag2.config import OpenAIConfig

    DONE = []

    def note(context: Context) -> str:
        '''Note something.'''
        context.variables["noted"].append("it")
        DONE.append(list(context.variables["noted"]))
        return "noted"

    def agent(context):
        made = OpenAIConfig(model="m", base_url=os.environ["OPENAI_BASE_URL"])
        tools = [note, *context.tools]
        return Agent("noting", config=made, tools=tools, variables={"noted": []})
"""


async def test_variables_are_written_again(own: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no events: what was written is lost with the attempt, and so is what followed."""
    note, add = calling(("note", "{}")), calling(("add", '{"a": 1, "b": 2}'))
    async with scripted(note, add, add, saying("done")) as model, listened(model.url) as proxy:
        agent = own(WRITING, url=proxy.url)
        monkeypatch.setenv("OPENAI_BASE_URL", proxy.url)
        place = Attempts(agent, proxy)
        await place.cut()
        assert answer(await place.whole()) == "done"
    assert agent.module
    module = sys.modules[agent.module.entrypoint.partition(":")[0]]
    assert module.DONE == [["it"], ["it"]]
    assert place.effects == [{"a": 1, "b": 2}]
    assert len(model.requests) == 1 + 1 + 2


ADDING = """
    import os
    from ag2 import Agent
    from ag2.config import OpenAIConfig

    def agent(context):
        made = OpenAIConfig(model="m", base_url=os.environ["OPENAI_BASE_URL"])
        return Agent("adding", config=made, tools=context.tools)
"""


async def test_other_code_of_a_users_own_begins_anew(
    own: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    add = calling(("add", '{"a": 1, "b": 2}'))
    async with scripted(add, add, saying("done")) as model, listened(model.url) as proxy:
        monkeypatch.setenv("OPENAI_BASE_URL", proxy.url)
        place = Attempts(of_revision(own(ADDING, url=proxy.url), "one"), proxy)
        await place.cut()
        place.config = of_revision(place.config, "two")
        assert answer(await place.whole()) == "done"
    assert "other instructions, code, model or tools" in why_not(caplog)
    assert place.effects == [{"a": 1, "b": 2}]
    assert len(model.requests) == 1 + 2


AWKWARD = """
    import os
    from ag2 import Agent
    from ag2.config import OpenAIConfig

    class Table:
        def __eq__(self, other):
            raise ValueError("the truth of a table is ambiguous")

    def agent(context):
        made = OpenAIConfig(model="m", base_url=os.environ["OPENAI_BASE_URL"])
        return Agent(
            "adding", config=made, tools=context.tools, variables={"table": Table()}
        )
"""


async def test_variables_that_do_not_compare_end_the_keeping_and_not_the_run(
    own: Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not known whether they were written, so that nothing may lead past them."""
    add = calling(("add", '{"a": 1, "b": 2}'))
    async with scripted(add, add, saying("done")) as model, listened(model.url) as proxy:
        monkeypatch.setenv("OPENAI_BASE_URL", proxy.url)
        place = Attempts(own(AWKWARD, url=proxy.url), proxy)
        await place.cut()
        assert await place.kept() is None
        assert answer(await place.whole()) == "done"
    assert place.effects == [{"a": 1, "b": 2}]
    assert len(model.requests) == 1 + 2
