"""What an agent may call, and what becomes of its calls, on a queue in memory."""

import asyncio
import contextlib
import time
from typing import Any

import pytest

from runtime.contract.agent_config import Budget, SideEffects, ToolBinding
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.keys import functions_entry
from runtime.contract.messages import Outcome
from runtime.contract.subjects import Stream
from runtime.contract.value import ObjectName
from runtime.tests.tools.place import (
    ADD,
    MATH,
    NUMBERS,
    SPEC,
    Place,
    adding,
    agent_config,
    call,
    task,
    tool_config,
)
from runtime.tools.calls import Calls, step_of
from runtime.tools.errors import BadSpec, CallBudgetSpent
from runtime.tools.executors import announce, said_of
from runtime.tools.offer import offers, visible
from runtime.tools.port import Announced, Called, Returned, ToolFailure
from runtime.tools.toolbox import CatalogueToolbox
from runtime.transport.port import Entry, Unavailable

SUB = ObjectName(namespace="team", name="sub")


async def test_a_call_goes_to_the_tool_and_back() -> None:
    place = Place()
    async with place.working(), place.toolbox() as box:
        (add,) = box.bind(task(), place.tell)
        assert (add.name, add.tool, add.spec) == ("add", ADD, SPEC)
        assert await add.call({"a": 2, "b": 3}) == "5"
    key = call().id
    assert place.told == [
        Called(key, "add", '{"a":2,"b":3}'),
        Returned(key, "add", "5", Outcome.SUCCEEDED),
    ]


@pytest.mark.fault(1)
async def test_a_rerun_makes_no_second_effect() -> None:
    place = Place()
    async with place.working(), place.toolbox() as box:
        for _ in range(3):
            (add,) = box.bind(task(), place.tell)
            assert await add.call({"a": 2, "b": 3}) == "5"
            assert await add.call({"b": 4, "a": 2}) == "6"
    assert place.executor.asked == [{"a": 2, "b": 3}, {"a": 2, "b": 4}]


@pytest.mark.fault(1)
async def test_a_rerun_in_another_order_makes_no_second_effect() -> None:
    place = Place()
    async with place.working(), place.toolbox() as box:
        for order in ([1, 2, 3], [3, 1, 2]):
            (add,) = box.bind(task(), place.tell)
            results = await asyncio.gather(*(add.call({"a": a, "b": 0}) for a in order))
            assert results == [str(a) for a in order]
    assert len(place.executor.asked) == 3


async def test_equal_calls_of_one_run_are_calls_of_their_own() -> None:
    place = Place()
    async with place.working(), place.toolbox() as box:
        for _ in range(2):
            (add,) = box.bind(task(), place.tell)
            asked = [add.call({"a": 1, "b": 1}) for _ in range(3)]
            assert await asyncio.gather(*asked) == ["2", "2", "2"]
    assert len(place.executor.asked) == 3


async def test_two_tasks_share_no_results() -> None:
    place = Place()
    async with place.working(), place.toolbox() as box:
        for name in ("t1", "t2"):
            (add,) = box.bind(task(name), place.tell)
            await add.call({"a": 1, "b": 1})
    assert len(place.executor.asked) == 2


async def test_parallel_calls_do_not_wait_for_each_other() -> None:
    place = Place()
    together = asyncio.Barrier(3)

    async def meet(function: str, arguments: dict[str, Any]) -> Any:
        await together.wait()
        return await adding(function, arguments)

    place.executor.play = meet
    async with place.working(), place.toolbox() as box:
        (add,) = box.bind(task(), place.tell)
        results = await asyncio.gather(*(add.call({"a": a, "b": 1}) for a in range(3)))
    assert results == ["1", "2", "3"]


async def test_a_worker_that_is_not_woken_looks_by_itself() -> None:
    place = Place()
    async with place.working(), place.toolbox(look_seconds=0.05) as box:
        listening, place.queue._listeners = place.queue._listeners, []
        (add,) = box.bind(task(), place.tell)
        assert await add.call({"a": 2, "b": 3}) == "5"
        place.queue._listeners = listening


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("plain", "plain"),
        ("5", "5"),
        (None, "null"),
        ([1, {"ä": None}], '[1,{"ä":null}]'),
        (True, "true"),
    ],
)
async def test_a_result_becomes_text_for_the_model(value: Any, text: str) -> None:
    async def give(_function: str, _arguments: dict[str, Any]) -> Any:
        return value

    place = Place(give)
    async with place.working(), place.toolbox() as box:
        (add,) = box.bind(task(), place.tell)
        assert await add.call({}) == text


async def test_a_large_result_reaches_the_model_whole_and_a_rerun_finds_it() -> None:
    async def give(_function: str, arguments: dict[str, Any]) -> Any:
        return ["ä" * 1_500_000, arguments["a"]]

    place = Place(give)
    async with place.working(), place.toolbox() as box:
        for _ in range(2):
            (add,) = box.bind(task(), place.tell)
            assert await add.call({"a": 7}) == f'["{"ä" * 1_500_000}",7]'
    assert len(place.executor.asked) == 1


async def test_a_result_that_a_server_has_in_part_is_waited_for() -> None:
    """Of several servers the one that answers may lag behind."""

    async def give(_function: str, _arguments: dict[str, Any]) -> Any:
        return "x" * 1_000_000

    place = Place(give)
    held_back = asyncio.Event()
    real = place.effects.get

    async def lagging(key: str) -> Entry | None:
        if key.endswith(".1") and not held_back.is_set():
            held_back.set()
            return None
        return await real(key)

    async with place.working(), place.toolbox(look_seconds=0.05) as box:
        place.effects.get = lagging  # type: ignore[method-assign]  # a server that lags
        (add,) = box.bind(task(), place.tell)
        assert await add.call({"a": 7}) == "x" * 1_000_000
    assert held_back.is_set()


async def test_wrong_arguments_are_told_without_a_call() -> None:
    place = Place()
    async with place.toolbox() as box:
        (add,) = box.bind(task(), place.tell)
        with pytest.raises(ToolFailure, match=r"^wrong arguments: a: 'x' is not of type 'integer'"):
            await add.call({"a": "x", "b": 1})
    assert place.queue.messages(Stream.CALLS) == []
    assert [type(told) for told in place.told] == [Called, Returned]


async def test_what_json_cannot_say_is_called_with_what_it_can() -> None:
    place = Place()

    async def echo(_function: str, arguments: dict[str, Any]) -> Any:
        return arguments

    place.executor.play = echo
    async with place.working(), place.toolbox() as box:
        (add,) = box.bind(task(), place.tell)
        assert await add.call({"c": float("nan"), "d": (1, 2)}) == '{"c":null,"d":[1,2]}'


async def test_a_failure_and_an_unknown_end_are_told_to_the_model() -> None:
    async def fail(_function: str, arguments: dict[str, Any]) -> Any:
        if arguments["a"] == 1:
            raise ToolFailure("no")
        await asyncio.sleep(10)

    place = Place(fail, tool_config(SideEffects.AT_MOST_ONCE, timeout_seconds=1))
    async with place.working(), place.toolbox() as box:
        (add,) = box.bind(task(), place.tell)
        with pytest.raises(ToolFailure, match=r"^no$"):
            await add.call({"a": 1})
        with pytest.raises(ToolFailure, match="add did not end in time"):
            await add.call({"a": 2})
    returned = [told.outcome for told in place.told if isinstance(told, Returned)]
    assert returned == [Outcome.FAILED, Outcome.UNKNOWN]


async def test_a_tool_that_never_answers_is_given_up_in_time() -> None:
    place = Place()
    binding = ToolBinding(tool=ADD, timeout_seconds=1)
    async with place.toolbox(agent_config(binding)) as box:
        (add,) = box.bind(task(), place.tell)
        begun = time.monotonic()
        with pytest.raises(ToolFailure, match=r"^add gave no answer in time"):
            await add.call({"a": 2, "b": 3})
        assert 0.9 < time.monotonic() - begun < 1.5
    assert isinstance(place.told[-1], Returned)
    assert place.told[-1].outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("a", "said"), [(2, "5"), ("x", "wrong arguments")])
async def test_a_call_that_cannot_be_announced_is_made_all_the_same(a: Any, said: str) -> None:
    tried: list[type[Announced]] = []

    async def nobody_listens(what: Announced) -> None:
        tried.append(type(what))
        raise Unavailable("the queue is away")

    place = Place()
    async with place.working(), place.toolbox() as box:
        (add,) = box.bind(task(), nobody_listens)
        try:
            result = await add.call({"a": a, "b": 3})
        except ToolFailure as failure:
            result = str(failure)
    assert result.startswith(said)
    assert tried == [Called, Returned]


async def test_a_full_queue_is_asked_again() -> None:
    place = Place()
    place.queue._max_messages = 0
    async with place.working(), place.toolbox() as box:
        (add,) = box.bind(task(), place.tell)
        calling = asyncio.ensure_future(add.call({"a": 2, "b": 3}))
        await asyncio.sleep(0.1)  # it asks again before there is room, too
        place.queue._max_messages = 10
        assert await calling == "5"


async def test_the_budget_of_calls_ends_the_run() -> None:
    place = Place()
    config = agent_config(budget=Budget(tool_calls=2))
    async with place.working(), place.toolbox(config) as box:
        (add,) = box.bind(task(), place.tell)
        await add.call({"a": 1, "b": 1})
        await add.call({"a": 1, "b": 2})
        with pytest.raises(
            CallBudgetSpent, match=r"made 2 tool calls, and spec\.budget\.toolCalls"
        ):
            await add.call({"a": 1, "b": 3})
    assert len(place.executor.asked) == 2


def binding(tool: ObjectName = ADD, **facts: Any) -> ToolBinding:
    return ToolBinding(tool=tool, **facts)


def test_two_functions_of_one_name_are_refused() -> None:
    said = said_of(tool_config(), (SPEC,))
    with pytest.raises(BadSpec) as caught:
        offers((binding(), binding(SUB)), {ADD: said, SUB: said})
    assert str(caught.value) == (
        "spec.tools: the Tools team/add and team/sub both have a function add; "
        "name only one of them, or rename the function"
    )


def test_a_function_without_a_usable_schema_is_refused() -> None:
    broken = FunctionSpec(name="add", input_schema={"type": "nothing"})
    with pytest.raises(BadSpec, match="the input schema of add of the Tool team/add is no JSON"):
        offers((binding(),), {ADD: said_of(tool_config(), (broken,))})


@pytest.mark.parametrize(
    ("name", "seen"), [("add", "add"), ("math.add/v1", "math_add_v1"), ("x" * 70, "x" * 64)]
)
def test_a_name_becomes_one_that_models_take(name: str, seen: str) -> None:
    assert visible(name) == seen


async def test_a_function_is_asked_by_the_name_its_tool_knows() -> None:
    place = Place()

    async def name_of(function: str, _arguments: dict[str, Any]) -> Any:
        return function

    place.executor.play = name_of
    place.executor.functions = (FunctionSpec(name="math.add", input_schema=NUMBERS),)
    async with place.working(), place.toolbox() as box:
        (add,) = box.bind(task(), place.tell)
        assert add.name == "math_add"
        assert await add.call({}) == "math.add"


def calls_of(place: Place) -> Calls:
    return Calls(place.link.outbox, place.effects, place.queue.subjects, caller=MATH, worker="w1")


async def test_the_toolbox_waits_for_a_tool_that_has_said_nothing() -> None:
    place = Place()
    box = CatalogueToolbox(
        agent_config(), place.catalogue, place.rights, calls_of(place), place.places
    )
    opening = asyncio.create_task(box.open())
    while box.why_not() is None:
        await asyncio.sleep(0)
    assert box.why_not() == (
        "spec.tools: the Tool team/add has not said yet what it can do; "
        "see its status, it has to start once"
    )
    await announce(place.config, (SPEC,), place.catalogue)
    await opening
    assert box.why_not() is None
    assert box.specs == (SPEC,)


async def test_the_toolbox_follows_what_its_tools_say() -> None:
    place = Place()
    await announce(place.config, (SPEC,), place.catalogue)
    box = CatalogueToolbox(
        agent_config(),
        place.catalogue,
        place.rights,
        calls_of(place),
        place.places,
        refresh_seconds=0.01,
    )
    await box.open()
    changes: asyncio.Queue[tuple[FunctionSpec, ...]] = asyncio.Queue()
    refusals = [RuntimeError("the user's factory failed")]

    async def on_change(specs: tuple[FunctionSpec, ...]) -> None:
        if refusals:
            raise refusals.pop()
        await changes.put(specs)

    following = asyncio.create_task(box.follow(on_change))
    other = FunctionSpec(name="sum", input_schema=NUMBERS)
    await announce(place.config, (other,), place.catalogue)
    assert await asyncio.wait_for(changes.get(), 5) == (other,)
    assert refusals == []
    bad = FunctionSpec(name="sum", input_schema={"type": "nothing"})
    await announce(place.config, (bad,), place.catalogue)
    async with asyncio.timeout(5):
        while box.why_not() is None:
            await asyncio.sleep(0.01)
    assert box.specs == (other,)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


async def test_what_may_not_be_called_is_not_offered_and_comes_back_with_the_right() -> None:
    place = Place()
    other = ToolBinding(tool=ObjectName(namespace="team", name="sub"), timeout_seconds=20)
    config = agent_config(ToolBinding(tool=ADD, timeout_seconds=20), other)
    await announce(place.config, (SPEC,), place.catalogue)
    place.allow(ADD)
    box = CatalogueToolbox(
        config,
        place.catalogue,
        place.rights,
        calls_of(place),
        place.places,
        refresh_seconds=0.01,
    )
    await box.open()  # and waits for nothing that `sub` would say
    assert box.specs == (SPEC,)
    (add,) = box.bind(task(), place.tell)
    changes: asyncio.Queue[tuple[FunctionSpec, ...]] = asyncio.Queue()
    following = asyncio.create_task(box.follow(changes.put))

    place.allow()
    assert await asyncio.wait_for(changes.get(), 5) == ()
    with pytest.raises(ToolFailure, match="add may not be called any more; go on without it"):
        await add.call({"a": 2, "b": 3})
    assert place.queue.messages(Stream.CALLS) == []

    place.allow(ADD)
    assert await asyncio.wait_for(changes.get(), 5) == (SPEC,)
    following.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await following


async def test_functions_are_written_when_they_are_news() -> None:
    place = Place()
    key = functions_entry(ADD)
    await announce(place.config, (SPEC,), place.catalogue)
    first = await place.catalogue.get(key)
    await announce(place.config, (SPEC,), place.catalogue)
    assert await place.catalogue.get(key) == first
    await announce(tool_config(revision="2"), (SPEC,), place.catalogue)
    second = await place.catalogue.get(key)
    assert first is not None
    assert second is not None
    assert second.revision > first.revision


def test_a_step_names_function_and_arguments() -> None:
    assert step_of("add", {"a": 1, "b": 2}) == step_of("add", {"b": 2, "a": 1})
    assert step_of("add", {"a": 1, "b": 2}) != step_of("add", {"a": 2, "b": 1})
    assert step_of("add", {"a": 1}) != step_of("sub", {"a": 1})
    assert 0 <= step_of("add", {}) < 2**60
