"""Events in order, each once, whatever the network did to them."""

import pytest

from runtime.amf.sequence import Sequence
from runtime.contract.messages import Event, Started
from runtime.tests.amf.events import attempts, completed, said, started

ONE = attempts([started(), said("a"), said("b"), completed("ab")])
TWO = attempts([started(), said("a")], [started("w2"), said("a"), completed("a")])
# An attempt that was handed back is begun anew under its number.
ANEW = [
    *attempts([started("w1"), said("a"), said("b")]),
    *attempts([started("w2"), said("a"), completed("a")]),
]


TWICE = attempts([started(), said("a"), said("b")], [started("w2"), completed("a")])


def taken(events: list[Event]) -> list[Event]:
    sequence = Sequence()
    return [told for event in events for told in sequence.take(event)]


@pytest.mark.parametrize(
    ("arriving", "told"),
    [
        pytest.param(ONE, ONE, id="in order"),
        pytest.param([ONE[0], ONE[2], ONE[1], ONE[3]], ONE, id="two changed places"),
        pytest.param([ONE[2], ONE[1], ONE[0], ONE[3]], ONE, id="the beginning came late"),
        pytest.param([ONE[0], ONE[1], ONE[1], ONE[0], *ONE[2:]], ONE, id="some came twice"),
        pytest.param([*ONE, *ONE], ONE, id="all came twice"),
        pytest.param(TWO, TWO, id="two attempts"),
        pytest.param(
            [*TWO[:3], TWO[1], *TWO[3:]], TWO, id="a stale attempt has still something to say"
        ),
        pytest.param(ANEW, ANEW, id="one attempt begun anew"),
        pytest.param([ONE[0], ONE[3]], [ONE[0]], id="the end waits for what is missing"),
        pytest.param(
            [TWICE[0], *TWICE[2:]],
            [TWICE[0], *TWICE[2:]],
            id="what came after a gap is told before the next attempt",
        ),
    ],
)
def test_order(arriving: list[Event], told: list[Event]) -> None:
    assert taken(arriving) == told


def test_an_end_told_again_by_who_saw_nothing_else_is_an_end() -> None:
    repeated = attempts([completed("ab")])[0]

    assert taken([*ONE[:3], repeated]) == [*ONE[:3], repeated]


def test_an_end_of_an_earlier_attempt_is_an_end() -> None:
    end = attempts([completed("a")])[0]

    assert taken([TWO[2], TWO[3], end]) == [TWO[2], TWO[3], end]


def test_nothing_follows_an_end() -> None:
    sequence = Sequence()
    for event in ONE:
        sequence.take(event)

    assert sequence.has_ended
    assert sequence.take(TWO[2]) == []


def test_what_never_comes_is_skipped() -> None:
    sequence = Sequence()
    assert sequence.take(ONE[0]) == [ONE[0]]
    assert sequence.take(ONE[2]) == []
    assert sequence.take(ONE[3]) == []
    assert sequence.has_gap

    assert sequence.skip() == [ONE[2], ONE[3]]

    assert sequence.has_ended
    assert sequence.skip() == []


def test_of_what_is_kept_only_the_present_beginning_is_read_again() -> None:
    sequence = Sequence()
    for event in ANEW[:5]:
        sequence.take(event)

    assert isinstance(ANEW[3], Started)
    assert sequence.unknown(ANEW) == ANEW[3:]
    assert Sequence().unknown(ANEW) == ANEW


@pytest.mark.parametrize(
    ("before", "event", "out_of_turn"),
    [
        pytest.param([], ONE[0], False, id="the first event"),
        pytest.param([], ONE[2], False, id="a gap shows it"),
        pytest.param(ONE[:1], ONE[1], False, id="the next one"),
        pytest.param(ONE[:3], ONE[3], False, id="the end"),
        pytest.param(ONE[:3], attempts([completed("ab")])[0], True, id="an end told by another"),
        pytest.param([], TWO[2], True, id="not the first attempt"),
        pytest.param(TWO[:2], TWO[2], True, id="another attempt"),
        pytest.param(TWO[:3], TWO[1], False, id="an attempt that is over"),
        pytest.param(TWO[:3], attempts([completed("a")])[0], True, id="the end of it"),
        pytest.param(ANEW[:3], ANEW[3], True, id="another worker under the same number"),
        pytest.param(ONE, ONE[3], False, id="nothing is missing after the end"),
    ],
)
def test_what_may_hide_that_something_is_missing(
    before: list[Event], event: Event, *, out_of_turn: bool
) -> None:
    sequence = Sequence()
    for one in before:
        sequence.take(one)

    assert sequence.is_out_of_turn(event) is out_of_turn
