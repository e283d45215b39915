"""Agents that are made anew with the functions of their clients."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from runtime.adapters.client_functions import MOST_KEPT, WithClientFunctions
from runtime.adapters.port import Adapter, AgentFailure, Answer, BadAgent, Run, Step
from runtime.contract.agent_config import AgentConfig
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.client_calls import ClientFunction
from runtime.tests.agents import (
    CLIENTS,
    NUMBERS,
    SPEC,
    Config,
    answer,
    asking,
    function,
    run,
    steps_of,
)

MINUS = ClientFunction(name="minus", parameters=NUMBERS)


class Named:
    """An adapter that answers with the names of the functions that it was made with."""

    def __init__(self, specs: tuple[FunctionSpec, ...]) -> None:
        self.names = " ".join(spec.name for spec in specs)

    async def run(self, _run: Run) -> AsyncIterator[Step]:
        yield Answer(self.names)


class Maker:
    """Makes adapters, and knows which."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self.slow_begins, self.slow_may_end = asyncio.Event(), asyncio.Event()

    async def __call__(self, _config: AgentConfig, specs: tuple[FunctionSpec, ...]) -> Adapter:
        named = Named(specs)
        self.made.append(named.names)
        if "bad" in named.names:
            raise BadAgent("spec.source.module made no agent")
        if "slow" in named.names:
            self.slow_begins.set()
            await self.slow_may_end.wait()
        return named


@pytest.fixture
def maker() -> Maker:
    return Maker()


@pytest.fixture
def adapter(maker: Maker, config: Config) -> Adapter:
    return WithClientFunctions(Named((SPEC,)), maker, config(), (SPEC,))


async def named(adapter: Adapter, *functions: ClientFunction) -> str:
    return answer(await steps_of(adapter, asking(functions=functions)))


async def test_an_agent_is_made_once_for_each_set_of_functions(
    maker: Maker, adapter: Adapter
) -> None:
    assert await named(adapter) == "add"
    assert maker.made == []
    for _ in range(2):
        assert await named(adapter, MINUS) == "add minus"
    other = MINUS.model_copy(update={"description": "Take away."})
    assert await named(adapter, other) == "add minus"
    assert maker.made == ["add minus"] * 2


async def test_of_the_agents_that_were_made_some_are_kept(maker: Maker, adapter: Adapter) -> None:
    each = [MINUS.model_copy(update={"name": f"f{number}"}) for number in range(MOST_KEPT + 1)]
    for one in (*each, each[-1], each[0]):
        await named(adapter, one)
    assert maker.made == [f"add {one.name}" for one in (*each, each[0])]


async def test_one_that_is_slow_to_make_holds_up_no_other_and_is_made_once(
    maker: Maker, adapter: Adapter
) -> None:
    await named(adapter, MINUS)
    slow = MINUS.model_copy(update={"name": "slow"})
    async with asyncio.timeout(5), asyncio.TaskGroup() as group:
        same = [group.create_task(named(adapter, slow)) for _ in range(2)]
        await maker.slow_begins.wait()
        assert await named(adapter, MINUS) == "add minus"
        assert await named(adapter, MINUS.model_copy(update={"name": "other"})) == "add other"
        maker.slow_may_end.set()
    assert [one.result() for one in same] == ["add slow"] * 2
    assert maker.made == ["add minus", "add slow", "add other"]


async def test_an_agent_that_cannot_be_made_fails_the_run_alone(adapter: Adapter) -> None:
    with pytest.raises(AgentFailure, match="the functions of the client cannot be used: spec"):
        await named(adapter, MINUS.model_copy(update={"name": "bad"}))
    assert await named(adapter, MINUS) == "add minus"


async def test_code_that_takes_no_tools_gets_none(maker: Maker, config: Config) -> None:
    for source in ("agent = 1", "def agent(): ...", "class agent: ..."):
        made = config(source, "agent")
        adapter = WithClientFunctions(Named(()), maker, made, ())
        with pytest.raises(AgentFailure, match=r"^tools: .* leave them out"):
            await named(adapter, MINUS)
    assert maker.made == []


OWN = """
    from langchain.agents import create_agent

    def agent(context):
        return create_agent(context.model, context.tools)
"""


@pytest.mark.integration
@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.usefixtures("closed_clients", "environment")
async def test_a_users_own_function_is_given_them_as_tools(config: Config, model_url: str) -> None:
    made = config(OWN, "agent", url=model_url)
    steps = await run(made, asking("2 + 3?", function(), functions=(CLIENTS,)))
    assert "5" in answer(steps)
