"""What a run came to piece by piece, and which piece an attempt finds again."""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, override

import pytest

from runtime.adapters.once import once, once_awaited
from runtime.adapters.progress import Checkpointer, Progress
from runtime.adapters.recorded import (
    ERROR,
    Codec,
    Outcome,
    Piece,
    Recorded,
    Work,
    as_json,
    beginning,
    question,
)
from runtime.adapters.scope import Scope, call_tool, enter, opened
from runtime.kit.resuming import Kept
from runtime.tests.agents import asking, function
from runtime.tools.numbering import Numbering

AS_IT_IS = Codec(write=lambda value: value, read=lambda said: said)


def checkpointer(kept: Kept, attempt: int = 1) -> Checkpointer:
    run = replace(asking(), attempt=attempt, checkpoint=kept, numbering=Numbering())
    return Checkpointer(run, "this")


async def recorded(kept: Kept, attempt: int = 1) -> Recorded:
    return await Recorded.of(checkpointer(kept, attempt))


def piece(asked: Any, **facts: Any) -> Piece:
    return Piece(asked=lambda: (asked,), **{"result": AS_IT_IS, "error": ERROR} | facts)


def to_a_model(asked: str) -> Piece:
    return piece(asked, error=None, is_question=True, is_last=lambda _: True)


async def begun(run: Recorded, asked: Any) -> Work:
    return await run.begin(piece(asked))


async def answers(run: Recorded, asked: str, *answers: str | None) -> list[Outcome | None]:
    """What a model is asked, and answers where it has to; None where it fails."""
    given = []
    for answer in answers:
        work = await run.begin(to_a_model(asked))
        given.append(work.outcome)
        if work.outcome is None:
            await (work.end(answer) if answer is not None else work.fail(ValueError("busy")))
    return given


async def test_the_last_answer_is_kept_when_something_follows() -> None:
    place = Kept()
    run = await recorded(place)
    await answers(run, "q", "a")
    assert place.data is None
    await run.begin(to_a_model("r"))
    assert place.data is not None


async def test_an_answer_that_calls_tools_is_kept_at_once() -> None:
    place = Kept()
    run = await recorded(place)
    await (await run.begin(replace(to_a_model("q"), is_last=lambda _: False))).end("a")
    assert place.data is not None


async def test_each_answer_is_given_once_an_attempt() -> None:
    place = Kept()
    first = await recorded(place)
    await answers(first, "q", "a", "b")
    await first.flush()
    found = await answers(await recorded(place, 2), "q", "c", "c", "c")
    assert found == [Outcome("a"), Outcome("b"), None]


async def test_an_answer_of_no_use_is_forgotten_also_behind_a_question_that_failed() -> None:
    place = Kept()
    first = await recorded(place)
    await answers(first, "q", None)
    bad = await first.begin(to_a_model("q"))
    await bad.end("bad")
    await first.flush()
    bad.drop()
    assert await answers(first, "q", "good", "better") == [None, None]
    await first.flush()
    found = await answers(await recorded(place, 2), "q", "x", "x", "x")
    assert found == [Outcome("good"), Outcome("better"), None]


@pytest.mark.parametrize("said", [{"pieces": ["a"]}, {"pieces": ["a"], "began": 1}])
async def test_pieces_that_are_none_are_of_no_use(said: Any, caplog: Any) -> None:
    place = Kept(Progress(made_for="this", said=said).encode())
    assert (await begun(await recorded(place, 2), "q")).outcome is None
    assert "holds no pieces" in caplog.records[0].__dict__["error"]


async def test_a_piece_is_given_what_it_came_to() -> None:
    place = Kept()
    first = await recorded(place)
    pieces = [await begun(first, "p") for _ in range(3)]
    assert [piece.outcome for piece in pieces] == [None] * 3
    await pieces[2].end("third")  # equal ones may end in another order
    await pieces[0].end("first")
    second = await recorded(place, 2)
    outcomes = [(await begun(second, "p")).outcome for _ in range(3)]
    assert outcomes == [Outcome("first"), None, Outcome("third")]


async def test_an_equal_piece_elsewhere_is_another_one() -> None:
    """What was done within a piece that has ended is nothing that is done behind it."""
    place = Kept()
    first = await recorded(place)
    outer = await begun(first, "task")
    with outer.doing():
        await answers(first, "q", "a")
        await (await begun(first, "p")).end("inner")
    again = await recorded(place, 2)
    with (await begun(again, "task")).doing():
        assert await answers(again, "q", "b") == [Outcome("a")]
        assert (await begun(again, "p")).outcome == Outcome("inner")
    await outer.end("done")
    assert place.data is not None
    assert b"inner" not in place.data
    third = await recorded(place, 3)
    assert (await begun(third, "task")).outcome == Outcome("done")
    assert (await begun(third, "p")).outcome is None
    assert await answers(third, "q", "b") == [None]


async def test_calls_of_a_piece_that_is_given_again_count_as_made() -> None:
    """Those of the others are made again, and find their records."""
    place = Kept()
    one = checkpointer(place)
    first = await Recorded.of(one)
    with beginning():
        one.run.numbering.take("add")
        outer = await begun(first, "outer")
        with outer.doing():
            done, cut = await begun(first, "done"), await begun(first, "cut")
            with done.doing(), (await begun(first, "within")).doing():
                one.run.numbering.take("add")
            with cut.doing():
                one.run.numbering.take("add")
            await done.end("x")
    for attempt in (2, 3):  # a piece around one that was given has its calls as well
        two = checkpointer(place, attempt)
        numbering, second = two.run.numbering, await Recorded.of(two)
        assert len(numbering) == 0
        with beginning():
            outer = await begun(second, "outer")
            if attempt == 2:
                with outer.doing():
                    assert (await begun(second, "done")).outcome == Outcome("x")
                await outer.end("y")
            assert numbering.taken(lambda _: True) == [("add", 1)]
            assert numbering.take("add") == 0


async def test_calls_of_a_piece_that_is_done_again_are_made_again() -> None:
    place = Kept()
    one = checkpointer(place)
    work = await begun(await Recorded.of(one), "p")
    with work.doing():
        one.run.numbering.take("add")
    await work.end("x")
    two = checkpointer(place, 2)
    unreadable = piece("p", result=Codec(write=str, read=int))
    assert (await (await Recorded.of(two)).begin(unreadable)).outcome is None
    assert two.run.numbering.take("add") == 0


def circle() -> list[Any]:
    made: list[Any] = []
    made.append(made)
    return made


def refused(_: Any) -> Any:
    raise RuntimeError("of a user's own class")


@pytest.mark.parametrize(
    "unkept",
    [
        pytest.param(piece("odd", result=Codec(as_json, as_json)), id="nothing that JSON knows"),
        pytest.param(piece("odd", result=Codec(refused, as_json)), id="unwritable"),
        pytest.param(piece("odd", result=Codec(str, refused)), id="unreadable"),
        pytest.param(piece("odd", result=Codec(lambda _: circle(), as_json)), id="circle"),
        pytest.param(piece("odd", result=Codec(lambda _: "\ud800", as_json)), id="half a letter"),
        pytest.param(piece("odd", result=Codec(lambda _: nested(300), as_json)), id="too deep"),
    ],
)
async def test_what_cannot_be_kept_is_done_again_and_the_rest_is_not(
    unkept: Piece, caplog: pytest.LogCaptureFixture
) -> None:
    place = Kept()
    run = await recorded(place)
    await (await begun(run, "before")).end("b")
    await (await run.begin(unkept)).end(object())
    await (await begun(run, "behind")).end("c")
    (record,) = caplog.records
    assert record.message == "a piece of a run cannot be kept; a crash would do it again"
    second = await recorded(place, 2)
    assert (await begun(second, "before")).outcome == Outcome("b")
    assert (await second.begin(unkept)).outcome is None
    assert (await begun(second, "behind")).outcome == Outcome("c")


def nested(depth: int) -> list[Any]:
    made: list[Any] = []
    for _ in range(depth):
        made = [made]
    return made


async def test_what_cannot_be_read_is_done_again_and_may_be_kept_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = Kept()
    await (await begun(await recorded(place), "p")).end("x")
    second = await recorded(place, 2)
    work = await second.begin(piece("p", result=Codec(write=str, read=int)))
    assert work.outcome is None
    assert caplog.records[0].message == "a piece of a run is done again"
    await work.end("1")
    assert (await begun(await recorded(place, 3), "p")).outcome == Outcome("1")


class Told(ValueError):
    def __init__(self, message: str, more: object = None) -> None:
        super().__init__(message)
        self.more = more


def caused() -> ValueError:
    error = ValueError("why")
    error.__cause__ = KeyError("that")
    return error


@pytest.mark.parametrize(
    ("error", "is_kept"),
    [
        pytest.param(ValueError("no paper"), True, id="words"),
        pytest.param(KeyError("paper", 1), True, id="arguments"),
        pytest.param(ValueError(object()), False, id="an object"),
        pytest.param(Told("no paper"), False, id="fields"),
        pytest.param(caused(), False, id="cause"),
        pytest.param(FileNotFoundError(2, "No such file", "paper"), False, id="more than it says"),
        pytest.param(type("Local", (ValueError,), {})("x"), False, id="nobody finds its class"),
    ],
)
async def test_an_error_is_the_same_or_the_piece_is_done_again(
    error: Exception, is_kept: bool
) -> None:
    place = Kept()
    await (await begun(await recorded(place), "p")).fail(error)
    outcome = (await begun(await recorded(place, 2), "p")).outcome
    assert (outcome is not None) is is_kept
    if outcome is not None:
        with pytest.raises(type(error)) as raised:
            outcome.give()
        assert type(raised.value) is type(error)
        assert raised.value.args == error.args


@pytest.mark.parametrize(
    "module", [{"module": "os", "name": "system"}, {"module": "gone", "name": "Gone"}]
)
def test_nothing_but_an_error_is_made_of_an_error(module: dict[str, str]) -> None:
    with pytest.raises((TypeError, KeyError)):
        ERROR.read(module | {"args": ["true"]})


class Slow(Kept):
    """A place where a save takes until it is let go."""

    def __init__(self) -> None:
        super().__init__()
        self.saving, self.go_on = asyncio.Event(), asyncio.Event()

    @override
    async def save(self, write: Callable[[], bytes]) -> None:
        self.saving.set()
        await self.go_on.wait()
        await super().save(write)


@pytest.fixture
async def slow() -> Slow:
    return Slow()


async def entered(place: Kept, attempt: int = 1) -> Scope:
    """A run that this test belongs to."""
    run = replace(asking("?", function()), attempt=attempt, checkpoint=place)
    scope = opened(run)
    scope.recorded = await Recorded.of(Checkpointer(run, "this"))
    enter(scope)
    return scope


async def test_no_tool_is_called_before_what_it_follows_from_is_kept(slow: Slow) -> None:
    """Nor while somebody else is still keeping it."""
    scope = await entered(slow)
    assert scope.recorded is not None
    await answers(scope.recorded, "q", "a")
    calls = [asyncio.create_task(call_tool("add", {"a": 1, "b": n})) for n in (1, 2)]
    await slow.saving.wait()
    for _ in range(5):  # whatever they may do by themselves
        await asyncio.sleep(0)
    assert not any(call.done() for call in calls)
    assert slow.data is None
    slow.go_on.set()
    assert await asyncio.gather(*calls) == ["2", "3"]


async def test_a_save_that_is_given_up_is_made_by_the_next_one(slow: Slow) -> None:
    run = await recorded(slow)
    await answers(run, "q", "a")
    given_up = asyncio.create_task(run.flush())
    await slow.saving.wait()
    given_up.cancel()
    await asyncio.wait({given_up})
    slow.go_on.set()
    await run.flush()
    assert slow.data is not None


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param(lambda: b"\xff\x01", id="bytes"),
        pytest.param(circle, id="circle"),
        pytest.param(object, id="object"),
    ],
)
async def test_what_has_no_name_is_done_as_ever(asked: Callable[[], Any]) -> None:
    place = Kept()
    one = piece(asked())
    for attempt in (1, 2):
        scope = await entered(place, attempt)
        assert scope.recorded is not None
        await answers(scope.recorded, f"q{attempt}", "a")
        kept = place.data

        async def do(kept: bytes | None = kept) -> str:
            assert place.data != kept  # the answer that it follows from is kept
            return "done"

        assert await once_awaited(one, do) == "done"
        assert await asyncio.to_thread(once, one, lambda: "done") == "done"


async def test_what_can_be_read_once_is_left_for_whoever_is_asked() -> None:
    await entered(Kept())
    given = (number for number in (1, 2))
    assert await asyncio.to_thread(once, piece({"a": [given]}), lambda: list(given)) == [1, 2]


async def test_of_no_run_nothing_is_named() -> None:
    enter(None)
    assert once(Piece(asked=lambda: refused(0), result=AS_IT_IS), lambda: "done") == "done"


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
