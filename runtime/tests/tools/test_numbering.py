from contextvars import copy_context

import pytest

from runtime.contract.agent_config import Budget
from runtime.tests.tools.place import Place, agent_config, task
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.numbering import Numbering, working_on


def test_equal_calls_are_counted_and_others_begin_anew() -> None:
    numbering = Numbering()
    assert [numbering.take("add 1 2") for _ in range(3)] == [0, 1, 2]
    assert numbering.take("add 2 2") == 0
    assert len(numbering) == 4


def test_work_that_was_cut_off_finds_its_number_again() -> None:
    """Whichever of two equal calls at the same time was done, the other one gets its own."""
    lost = Numbering()
    with working_on("a"):
        assert lost.take("roll") == 0
    with working_on("b"):
        assert lost.take("roll") == 1
    numbering = Numbering()
    numbering.restore(lost.taken(lambda work: work == "b"))
    assert [numbering.take("roll") for _ in range(2)] == [0, 2]


def test_work_may_be_closed_in_another_context() -> None:
    """As the garbage collector closes a coroutine that was given up."""
    work = working_on("a")
    copy_context().run(work.__enter__)
    work.__exit__(None, None, None)


def test_what_was_restored_is_kept_by_the_attempt_after_the_next() -> None:
    numbering = Numbering()
    numbering.restore([("roll", 0)])
    with working_on("a"):
        numbering.take("roll")
    assert numbering.taken(lambda work: not work) == [("roll", 0)]
    assert len(numbering) == 2


def test_a_number_that_was_taken_meanwhile_is_exchanged() -> None:
    """An equal call beside the piece has found its record, so that of the call is left for it."""
    numbering = Numbering()
    assert numbering.take("roll") == 0
    numbering.restore([("roll", 0)], work="done")
    assert numbering.taken(lambda work: work == "done") == [("roll", 1)]
    assert numbering.take("roll") == 2


@pytest.mark.fault(1)
async def test_a_run_that_goes_on_repeats_no_effect_and_leaves_none_out() -> None:
    """Its first call is behind it; the one that was cut off is made again, an equal one follows."""
    place, two = Place(), {"a": 1, "b": 1}
    config = agent_config(budget=Budget(tool_calls=3))
    async with place.working(), place.toolbox(config) as box:
        lost = Numbering()
        (add,) = box.bind(task(), place.tell, lost)
        with working_on("done"):
            await add.call(two)
        await add.call(two)
        numbering = Numbering()
        numbering.restore(lost.taken(lambda work: work == "done"))
        (add,) = box.bind(task(), place.tell, numbering)
        await add.call(two)
        assert len(place.executor.asked) == 2
        await add.call(two)
        assert len(place.executor.asked) == 3
        with pytest.raises(CallBudgetSpent, match="made 3 tool calls"):
            await add.call(two)
