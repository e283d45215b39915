"""What a run came to piece by piece, and which piece an attempt finds again."""

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import pytest

from runtime.adapters.progress import Keeper, Progress
from runtime.adapters.recorded import Outcome, Recorded, Work, as_json, beginning, question
from runtime.kit.resuming import Kept
from runtime.tests.agents import asking
from runtime.tools.numbering import Numbering


def keeper(kept: Kept, attempt: int = 1) -> Keeper:
    run = replace(asking(), attempt=attempt, checkpoint=kept, numbering=Numbering())
    return Keeper(run, "this")


@pytest.mark.parametrize(
    ("said", "is_last", "kept"),
    [
        pytest.param([("q", "a")], True, False, id="perhaps the last"),
        pytest.param([("q", "a")], False, True, id="one that calls tools"),
        pytest.param([("q", "a"), ("r", None)], True, True, id="something follows"),
    ],
)
async def test_an_answer_is_kept_when_something_follows(
    said: list[tuple[str, str | None]],
    is_last: bool,  # a parameter of the table
    kept: bool,  # a parameter of the table
) -> None:
    place = Kept()
    recorded = await Recorded.of(keeper(place))
    for asked, answered in said:
        assert await recorded.answer(asked) is None
        if answered is not None:
            await recorded.take(asked, answered, is_last=is_last)
    assert (place.data is not None) is kept


async def test_each_answer_is_given_once_an_attempt() -> None:
    place = Kept()
    first = await Recorded.of(keeper(place))
    for answered in ("a", "b"):
        assert await first.answer("q") is None
        await first.take("q", answered, is_last=False)
    second = await Recorded.of(keeper(place, 2))
    assert [await second.answer("q") for _ in range(3)] == ["a", "b", None]


async def test_an_answer_of_no_use_is_forgotten() -> None:
    place = Kept()
    first = await Recorded.of(keeper(place))
    await first.answer("q")
    await first.take("q", "bad", is_last=True)
    first.drop("q")
    assert await first.answer("q") is None
    await first.take("q", "good", is_last=False)
    second = await Recorded.of(keeper(place, 2))
    assert await second.answer("q") == "good"


async def test_pieces_that_are_none_are_of_no_use(caplog: pytest.LogCaptureFixture) -> None:
    place = Kept(Progress(made_for="this", said={"pieces": ["a"]}).encode())
    recorded = await Recorded.of(keeper(place, 2))
    assert await recorded.answer("q") is None
    assert "holds no pieces" in caplog.records[0].__dict__["error"]


async def begun(recorded: Recorded, asked: str) -> Work:
    return await recorded.begin(asked, Outcome)


def come_to(value: Any) -> Callable[[], Any]:
    return lambda: value


async def test_a_piece_is_given_what_it_came_to() -> None:
    place = Kept()
    first = await Recorded.of(keeper(place))
    pieces = [await begun(first, "p") for _ in range(3)]
    assert [piece.outcome for piece in pieces] == [None] * 3
    await pieces[2].end(come_to("third"))  # equal ones may end in another order
    await pieces[0].end(come_to("first"))
    second = await Recorded.of(keeper(place, 2))
    outcomes = [(await begun(second, "p")).outcome for _ in range(3)]
    assert outcomes == [Outcome("first"), None, Outcome("third")]


async def test_what_was_answered_is_kept_before_a_piece_is_done() -> None:
    place = Kept()
    recorded = await Recorded.of(keeper(place))
    await recorded.answer("q")
    await recorded.take("q", "a", is_last=True)
    assert place.data is None
    await begun(recorded, "p")
    assert place.data is not None


async def test_an_equal_piece_elsewhere_is_another_one() -> None:
    """What was done within a piece that has ended is nothing that is done behind it."""
    place = Kept()
    first = await Recorded.of(keeper(place))
    outer = await begun(first, "task")
    with outer.doing():
        assert await first.answer("q") is None
        await first.take("q", "a", is_last=False)
        await (await begun(first, "p")).end(come_to("inner"))
    again = await Recorded.of(keeper(place, 2))
    with (await begun(again, "task")).doing():
        assert await again.answer("q") == "a"
        assert (await begun(again, "p")).outcome == Outcome("inner")
    await outer.end(come_to("done"))
    assert place.data is not None
    assert b"inner" not in place.data
    third = await Recorded.of(keeper(place, 3))
    assert (await begun(third, "task")).outcome == Outcome("done")
    assert (await begun(third, "p")).outcome is None
    assert await third.answer("q") is None


async def test_calls_of_a_piece_that_has_ended_count_as_made() -> None:
    """Those of the others are made again, and find their records."""
    place = Kept()
    one = keeper(place)
    first = await Recorded.of(one)
    with beginning():
        one.run.numbering.take("add")
        done, cut = await begun(first, "done"), await begun(first, "cut")
        with done.doing(), (await begun(first, "within")).doing():
            one.run.numbering.take("add")
        with cut.doing():
            one.run.numbering.take("add")
        await done.end(come_to("x"))
    for attempt in (2, 3):  # what was restored counts in the attempt after that, too
        two = keeper(place, attempt)
        second = await Recorded.of(two)
        assert two.run.numbering.taken(lambda _: True) == [("add", 1)]
        with beginning():
            assert two.run.numbering.take("add") == 0
            await (await begun(second, "other")).end(come_to("y"))


async def test_what_cannot_be_written_ends_the_keeping(caplog: pytest.LogCaptureFixture) -> None:
    place = Kept()
    recorded = await Recorded.of(keeper(place))
    await (await begun(recorded, "p")).end(come_to("kept"))
    before = place.data
    with caplog.at_level(logging.WARNING):
        for value in (object(), "later"):
            await (await begun(recorded, "p")).end(partial(as_json, value))
    assert place.data == before
    (record,) = caplog.records
    assert record.message == "the run cannot be kept; a crash would begin anew"
    assert "object" in record.__dict__["error"]


async def test_what_cannot_be_read_is_done_again(caplog: pytest.LogCaptureFixture) -> None:
    place = Kept()
    first = await Recorded.of(keeper(place))
    await (await begun(first, "p")).end(come_to("x"))
    second = await Recorded.of(keeper(place, 2))
    piece = await second.begin("p", lambda said: Outcome(int(said)))
    assert piece.outcome is None
    assert caplog.records[0].message == "a piece of a run is done again"


def test_an_outcome_is_a_value_or_an_error() -> None:
    assert Outcome(None).give() is None
    with pytest.raises(ValueError, match="no good"):
        Outcome(error=ValueError("no good")).give()


class Text(str):
    __slots__ = ()


@dataclass
class Point:
    x: int = 1


@pytest.mark.parametrize("value", [None, True, 1, 1.5, "a", [1, [None]], {"a": {"b": [False]}}])
def test_what_json_knows_stays_as_it_is(value: Any) -> None:
    assert as_json(value) == value


@pytest.mark.parametrize(
    "value",
    [
        pytest.param(math.nan, id="nan"),
        pytest.param(-math.inf, id="infinity"),
        pytest.param((1, 2), id="tuple"),
        pytest.param({1, 2}, id="set"),
        pytest.param(b"a", id="bytes"),
        pytest.param(Text("a"), id="its own text"),
        pytest.param(Point(), id="dataclass"),
        pytest.param({1: 2}, id="numbered keys"),
        pytest.param([{"a": object()}], id="object within"),
    ],
)
def test_what_json_would_change_is_refused(value: Any) -> None:
    with pytest.raises(TypeError):
        as_json(value)


def test_questions_differ_by_all_that_is_asked() -> None:
    asked = {question("m", "hi"), question("m", "ho"), question("n", "hi"), question("m", ["hi"])}
    assert len(asked) == 4
    assert question("m", {"a": 1, "b": [2]}) == question("m", {"a": 1, "b": [2]})
