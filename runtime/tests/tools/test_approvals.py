"""Calls that a person has to agree to, on a queue in memory."""

import asyncio
import time
from typing import Any

import pytest

from runtime.contract.agent_config import ToolBinding
from runtime.contract.approval import Approval, Verdict
from runtime.contract.messages import Asked, Outcome
from runtime.contract.value import ObjectName
from runtime.tests.tools.place import ADD, MATH, Place, agent_config, call, task
from runtime.tools.approvals import Approvals
from runtime.tools.port import Called, Returned, ToolFailure
from runtime.tools.waiting import Waiting

CONFIG = agent_config(ToolBinding(tool=ADD, approval_required=True, approval_seconds=50))
KEY = call().id
ARGUMENTS = '{"a":2,"b":3}'


def known(verdict: Verdict | None = None, **facts: Any) -> Approvals:
    fields = {"call": KEY, "function": "add", "arguments": ARGUMENTS, "expires": time.time() + 9}
    return Approvals([Approval(**fields | {"verdict": verdict} | facts)])


@pytest.mark.parametrize("approvals", [Approvals(), known()], ids=["new", "asked before"])
async def test_a_call_that_nobody_has_decided_on_waits_and_is_not_made(
    approvals: Approvals,
) -> None:
    place, asked = Place(), asyncio.Event()
    approvals.waiting.on_needed = asked.set
    async with place.working(), place.toolbox(CONFIG) as box:
        (add,) = box.bind(task(), place.tell, agreement=approvals)
        calling = [asyncio.ensure_future(add.call({"a": 2, "b": b})) for b in (3, 4)]
        await asyncio.wait_for(asked.wait(), 5)
        done, _ = await asyncio.wait(calling, timeout=0.1)
        assert not done
        for one in calling:
            one.cancel()
        await asyncio.gather(*calling, return_exceptions=True)
    assert [(one.call, one.function) for one in approvals.needed] == [
        (KEY, "add"),
        (call(b=4).id, "add"),
    ]
    assert approvals.needed[0].arguments == ARGUMENTS
    assert 45 < approvals.needed[0].expires - time.time() <= 50
    assert place.executor.asked == []
    assert place.told == []


async def test_an_approved_call_is_made_as_any_other() -> None:
    place, approvals = Place(), known(Verdict.APPROVED, by="ann")
    async with place.working(), place.toolbox(CONFIG) as box:
        (add,) = box.bind(task(), place.tell, agreement=approvals)
        assert await add.call({"a": 2, "b": 3}) == "5"
    assert place.told == [
        Called(KEY, "add", ARGUMENTS),
        Returned(KEY, "add", "5", Outcome.SUCCEEDED),
    ]
    assert approvals.needed == ()


@pytest.mark.parametrize(
    ("approvals", "sentence"),
    [
        pytest.param(
            known(Verdict.DENIED, by="ann", reason="too much"),
            "ann did not agree to this call of add: too much",
            id="denied",
        ),
        pytest.param(
            known(Verdict.DENIED, by="ann"),
            "ann did not agree to this call of add",
            id="denied without a word",
        ),
        pytest.param(
            known(Verdict.EXPIRED),
            "nobody agreed in time to this call of add; it was not made",
            id="expired",
        ),
    ],
)
async def test_a_refused_call_is_told_to_the_model_and_not_made(
    approvals: Approvals, sentence: str
) -> None:
    place = Place()
    async with place.working(), place.toolbox(CONFIG) as box:
        (add,) = box.bind(task(), place.tell, agreement=approvals)
        with pytest.raises(ToolFailure, match=f"^{sentence}$"):
            await add.call({"a": 2, "b": 3})
    assert place.told == [
        Called(KEY, "add", ARGUMENTS),
        Returned(KEY, "add", sentence, Outcome.FAILED),
    ]
    assert place.executor.asked == []


async def test_nobody_is_asked_about_arguments_that_do_not_fit() -> None:
    place, approvals = Place(), Approvals()
    async with place.toolbox(CONFIG) as box:
        (add,) = box.bind(task(), place.tell, agreement=approvals)
        with pytest.raises(ToolFailure, match="wrong arguments: a: 'two' is not of type 'integer'"):
            await add.call({"a": "two", "b": 3})
    assert approvals.needed == ()


async def test_an_approval_expires_when_its_run_may_wait_no_longer() -> None:
    approvals = Approvals(waiting=Waiting(seconds=20))
    asking = asyncio.ensure_future(approvals.agreed(KEY, "add", ARGUMENTS, seconds=50))
    approvals.waiting.on_needed = asking.cancel
    await asyncio.wait({asking}, timeout=5)
    (asked,) = approvals.needed
    assert 15 < asked.expires - time.time() <= 20


async def test_nobody_is_asked_in_a_run_that_has_waited_for_as_long_as_it_may() -> None:
    approvals = Approvals(waiting=Waiting(seconds=0.5))
    with pytest.raises(ToolFailure, match=r"as its Stack allows \(retention\.taskSeconds\)"):
        await asyncio.wait_for(approvals.agreed(KEY, "add", ARGUMENTS, seconds=50), 5)
    assert approvals.needed == ()


async def test_nobody_can_be_asked_in_a_run_of_another_agents_making() -> None:
    place, approvals = Place(), Approvals()
    writer = ObjectName(namespace="team", name="writer")
    asked = Asked(call="c", task="t0", worker="w", chain=(writer, MATH), deadline=time.time() + 9)
    async with place.toolbox(CONFIG) as box:
        child = task().model_copy(update={"asked": asked})
        (add,) = box.bind(child, place.tell, agreement=approvals)
        with pytest.raises(ToolFailure, match="add needs the approval of a person"):
            await add.call({"a": 2, "b": 3})
    assert approvals.needed == ()
