"""What the queue is told, outcome by outcome."""

import pytest

from runtime.worker.decide import decide
from runtime.worker.outcomes import (
    Ack,
    Again,
    Done,
    GivenUp,
    HandedBack,
    Later,
    Leave,
    Lost,
    Malformed,
    Nak,
    Outcome,
    Term,
    Verdict,
)


@pytest.mark.parametrize(
    ("outcome", "verdict"),
    [
        pytest.param(Done(), Ack(), id="work with an end is never seen again"),
        pytest.param(Malformed("no JSON"), Term("malformed: no JSON"), id="nobody understands it"),
        pytest.param(GivenUp("after 5"), Term("after 5"), id="started too often"),
        pytest.param(Again(1), Nak(1), id="the first failure waits a second"),
        pytest.param(Again(4), Nak(8), id="each later one twice as long"),
        pytest.param(Again(50), Nak(60), id="but never more than a minute"),
        pytest.param(Later(3), Nak(1), id="what is not begun comes again soon"),
        pytest.param(Later(300), Nak(30), id="and less often when it waits for long"),
        pytest.param(Later(1000), Nak(60), id="but at least each minute"),
        pytest.param(HandedBack(), Nak(), id="a worker that stops hands back at once"),
        pytest.param(Lost(), Leave(), id="what is not ours is left alone"),
    ],
)
def test_every_outcome_has_one_verdict(outcome: Outcome, verdict: Verdict) -> None:
    assert decide(outcome) == verdict
