"""Agents that ask each other, over frameworks and with one place each, while processes die."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from runtime.adapters.ag2_model import connections
from runtime.contract.agent_config import Framework, Retry
from runtime.contract.messages import LONGEST_CHAIN
from runtime.contract.runs import RunRecord, RunState
from runtime.tests.clients import close_clients
from runtime.tests.dispatch.crew import Crew, crew
from runtime.tests.dispatch.scene import STACK, until
from runtime.tests.nats import running_stack
from runtime.worker.slots import MOST_LENT

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(180),
    pytest.mark.asyncio(loop_scope="module"),
]

# It writes down that it has begun, and answers once it may.
WRITER = """
    import asyncio
    from pathlib import Path

    from langchain_core.messages import AIMessage
    from langgraph.graph import START, MessagesState, StateGraph

    FOLDER = Path(__file__).parent

    async def write(state):
        with (FOLDER / "begun").open("a") as begun:
            begun.write(state["messages"][-1].text + "\\n")
        while not (FOLDER / "may").exists():
            await asyncio.sleep(0.02)
        return {"messages": [AIMessage("a poem")]}

    graph = StateGraph(MessagesState)
    graph.add_node(write)
    graph.add_edge(START, "write")
"""
DEEP = 'Ask editor "Ask writer: rain"'


@pytest_asyncio.fixture(loop_scope="module", scope="module", autouse=True)
async def closed_connections() -> AsyncIterator[None]:
    """Frameworks keep the connections to their models for as long as a process lives."""
    yield
    gc.unfreeze()  # what a worker has spared the garbage collector
    await connections().aclose()
    connections.cache_clear()
    await close_clients()


@pytest_asyncio.fixture(loop_scope="module")
async def made(tmp_path: Path, model_url: str) -> AsyncIterator[Crew]:
    async with running_stack(STACK, tmp_path) as nats, crew(nats, tmp_path, model_url) as one:
        yield one


@pytest_asyncio.fixture(loop_scope="module")
async def mixed(made: Crew) -> Crew:
    """A planner in AG2 asks an editor in LangGraph, who asks a writer that waits to be allowed."""
    await made.add("planner", ["editor"], Framework.AG2)
    await made.add("editor", ["writer"])
    await made.add("writer", source=WRITER)
    return made


def begun(crew: Crew) -> list[str]:
    path = crew.folder / "begun"
    return path.read_text().splitlines() if path.exists() else []


async def writes(crew: Crew, times: int = 1) -> None:
    """Wait until the writer has begun so often."""

    async def look() -> bool:
        return len(begun(crew)) >= times

    await until(look, 60)


def may(crew: Crew) -> None:
    (crew.folder / "may").touch()


async def attempts(crew: Crew) -> dict[str, list[int]]:
    return {name: [run.attempt for run in await crew.runs(name)] for name in crew.configs}


def is_the_poem(record: RunRecord) -> bool:
    return record.state is RunState.COMPLETED and "a poem" in (record.text or "")


async def test_an_answer_comes_up_a_chain_over_two_frameworks(mixed: Crew) -> None:
    await mixed.dispatcher()
    may(mixed)
    async with mixed.working():
        task = await mixed.ask("planner", DEEP)
        assert is_the_poem(await mixed.ended(task))
    assert begun(mixed) == ["rain"]
    assert await attempts(mixed) == {"planner": [1], "editor": [1], "writer": [1]}
    assert [run.task.user for run in await mixed.runs("writer")] == ["ann"]


async def test_a_dispatcher_that_is_killed_in_between_is_followed_by_one_that_goes_on(
    mixed: Crew,
) -> None:
    first = await mixed.dispatcher()
    async with mixed.working():
        task = await mixed.ask("planner", DEEP)
        await writes(mixed)
        await first.kill()
        may(mixed)
        (writer,) = await mixed.runs("writer")
        await mixed.ended(writer.task)
        await mixed.dispatcher()
        assert is_the_poem(await mixed.ended(task))
    assert await attempts(mixed) == {"planner": [1], "editor": [1], "writer": [1]}


async def test_no_dispatcher_is_there_when_somebody_asks(mixed: Crew) -> None:
    may(mixed)
    async with mixed.working():
        task = await mixed.ask("planner", DEEP)

        async def runs() -> bool:
            return [run.state for run in await mixed.runs("planner")] == [RunState.RUNNING]

        await until(runs)
        await mixed.dispatcher()
        assert is_the_poem(await mixed.ended(task))
    assert await attempts(mixed) == {"planner": [1], "editor": [1], "writer": [1]}


async def test_a_worker_that_is_killed_while_it_waits_asks_nobody_twice(mixed: Crew) -> None:
    await mixed.dispatcher()
    editor = await mixed.start("editor")
    async with mixed.working("planner", "writer"):
        task = await mixed.ask("planner", DEEP)
        await writes(mixed)
        await editor.kill()
        await mixed.start("editor")
        may(mixed)
        assert is_the_poem(await mixed.ended(task))
    assert begun(mixed) == ["rain"]
    assert await attempts(mixed) == {"planner": [1], "editor": [2], "writer": [1]}


async def test_a_worker_that_is_killed_while_it_answers_is_waited_for(mixed: Crew) -> None:
    await mixed.dispatcher()
    writer = await mixed.start("writer")
    async with mixed.working("planner", "editor"):
        task = await mixed.ask("planner", DEEP)
        await writes(mixed)
        await writer.kill()
        may(mixed)
        await mixed.start("writer")
        assert is_the_poem(await mixed.ended(task))
    assert await attempts(mixed) == {"planner": [1], "editor": [1], "writer": [2]}


async def test_a_cancelled_run_ends_everything_below_it_within_a_second(mixed: Crew) -> None:
    await mixed.dispatcher()
    async with mixed.working():
        task = await mixed.ask("planner", DEEP)
        await writes(mixed)
        began = time.monotonic()
        await mixed.cancel(task)
        for name in ("planner", "editor", "writer"):
            (run,) = await mixed.runs(name)
            assert (await mixed.ended(run.task, 5)).state is RunState.CANCELLED
        assert time.monotonic() - began < 1


async def test_a_run_that_is_out_of_time_takes_along_what_it_has_asked_for(mixed: Crew) -> None:
    await mixed.dispatcher()
    async with mixed.working():
        task = await mixed.ask("planner", DEEP, seconds=4)
        await writes(mixed)
        assert (await mixed.ended(task)).state is RunState.FAILED
        for name in ("editor", "writer"):
            (run,) = await mixed.runs(name)
            assert (await mixed.ended(run.task, 5)).state is not RunState.COMPLETED


async def test_two_agents_with_one_place_each_that_ask_each_other_do_not_block(made: Crew) -> None:
    await made.dispatcher()
    await made.add("planner", ["editor"])
    await made.add("editor", ["planner"])
    async with made.working():
        asked = [
            await made.ask(one, f'Ask {other} "rain {number}"')
            for number in range(4)
            for one, other in (("planner", "editor"), ("editor", "planner"))
        ]
        ended = await asyncio.gather(*map(made.ended, asked))
    assert [run.state for run in ended] == [RunState.COMPLETED] * len(asked)
    assert all("You said: rain" in str(run.text) for run in ended)
    assert await attempts(made) == {"planner": [1] * 8, "editor": [1] * 8}


@pytest.mark.parametrize(
    ("max_ack_pending", "most_lent"),
    [
        pytest.param(2, MOST_LENT, id="delivered and waiting"),
        pytest.param(4, 1, id="handed back"),
    ],
)
async def test_what_agents_have_asked_for_is_not_behind_what_clients_want(
    made: Crew, monkeypatch: pytest.MonkeyPatch, max_ack_pending: int, most_lent: int
) -> None:
    """There is more of clients, in the queue first, than may be delivered without an end.

    Behind it, in one queue, no agent got what it was asked for, and all ended at their deadlines.
    """
    monkeypatch.setattr("runtime.worker.slots.MOST_LENT", most_lent)
    pairs = (("planner", "editor"), ("editor", "planner"))
    for one, other in pairs:
        await made.add(one, [other], max_ack_pending=max_ack_pending)
    asked = [await made.ask(one, f'Ask {other} "rain"') for _ in range(8) for one, other in pairs]
    await made.dispatcher()
    async with made.working():
        ended = await asyncio.gather(*map(made.ended, asked))
    assert [run.state for run in ended] == [RunState.COMPLETED] * len(asked)
    assert await attempts(made) == {"planner": [1] * 16, "editor": [1] * 16}
    assert [await made.deliveries(name) for name, _ in pairs] == [8, 8]


NAMES = ("planner", "editor", "writer", "painter", "singer", "dancer")


def nested(names: tuple[str, ...]) -> str:
    return ": ".join(f"Ask {name}" for name in names) + ": rain"


async def chain_of(made: Crew, agents: int) -> None:
    for number, name in enumerate(NAMES[:agents]):
        await made.add(name, NAMES[number + 1 : number + 2] if number + 1 < agents else ())


async def test_agents_that_ask_each_other_do_not_block_after_their_workers_were_lost(
    made: Crew,
) -> None:
    """Each has lost as many workers as it may before it has to be alone of its kind."""
    await made.dispatcher()
    for one, other in (("planner", "editor"), ("editor", "planner")):
        await made.add(one, [other])
        config = made.configs[one]
        model = config.model.model_copy(update={"id": "slow-2000"})
        update = {"model": model, "retry": Retry(max_attempts=2)}
        made.configs[one] = config.model_copy(update=update)
    lost = [await made.start("planner"), await made.start("editor")]
    asked = [
        await made.ask("planner", 'Ask editor "x"'),
        await made.ask("editor", 'Ask planner "y"'),
    ]

    async def all_are_under_way() -> bool:
        runs = [*await made.runs("planner"), *await made.runs("editor")]
        return [run.state for run in runs] == [RunState.RUNNING] * 4

    await until(all_are_under_way, 30)
    for process in lost:
        await process.kill()
    async with made.working():
        ended = [await made.ended(task) for task in asked]
    assert [run.state for run in ended] == [RunState.COMPLETED] * 2, ended


async def test_as_many_as_may_wait_for_each_other_do_not_block(made: Crew) -> None:
    await made.dispatcher()
    await chain_of(made, LONGEST_CHAIN)
    async with made.working():
        asked = [await made.ask("planner", nested(NAMES[1:LONGEST_CHAIN])) for _ in range(3)]
        ended = await asyncio.gather(*map(made.ended, asked))
    assert all("You said: rain" in str(run.text) for run in ended)
    assert await attempts(made) == {name: [1] * 3 for name in NAMES[:LONGEST_CHAIN]}


async def test_a_chain_that_is_too_long_ends_with_an_answer(made: Crew) -> None:
    await made.dispatcher()
    await chain_of(made, LONGEST_CHAIN + 1)
    async with made.working():
        ended = await made.ended(await made.ask("planner", nested(NAMES[1 : LONGEST_CHAIN + 1])))
    assert "dancer cannot be asked: 5 agents wait for each other already" in str(ended.text)
    assert await made.runs("dancer") == []


async def test_agents_that_ask_in_a_circle_end_with_an_answer(made: Crew) -> None:
    await made.dispatcher()
    await made.add("planner", ["editor"])
    await made.add("editor", ["planner"])
    async with made.working():
        ended = await made.ended(await made.ask("planner", nested(("editor", "planner"))))
    assert "waits for this answer itself (planner → editor → planner)" in str(ended.text)
    assert len(await made.runs("planner")) == 1


async def test_an_agent_that_is_deleted_cannot_be_asked(made: Crew) -> None:
    await made.dispatcher()
    await made.add("planner", ["editor"])
    async with made.working():
        ended = await made.ended(await made.ask("planner", 'Ask editor "rain"'))
    assert ended.state is RunState.COMPLETED
    assert "there is no agent editor" in str(ended.text)


async def test_an_agent_that_fails_is_told_to_the_one_that_has_asked(made: Crew) -> None:
    await made.dispatcher()
    await made.add("planner", ["editor"])
    await made.add("editor")
    config = made.configs["editor"]
    broken = config.model.model_copy(update={"id": "error-500"})
    made.configs["editor"] = config.model_copy(update={"model": broken})
    async with made.working():
        ended = await made.ended(await made.ask("planner", 'Ask editor "rain"'))
    assert ended.state is RunState.COMPLETED
    assert "the agent editor failed (ModelError)" in str(ended.text)
