"""The whole policy of settling deliveries, without I/O, clock or log."""

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

FIRST_DELAY_SECONDS = 1.0
LONGEST_DELAY_SECONDS = 60.0
# The queue delivers a message 1000 times at most; so what waits for long asks less often.
LATER_SECONDS = 1.0
LATER_SECONDS_PER_DELIVERY = 0.1


def decide(outcome: Outcome) -> Verdict:
    """What to tell the queue about one delivery."""
    match outcome:
        case Done():
            return Ack()
        case Malformed(reason):
            return Term(f"malformed: {reason}")
        case GivenUp(reason):
            return Term(reason)
        case Again(attempt):
            return Nak(delay(attempt))
        case Later(deliveries):
            longer = LATER_SECONDS_PER_DELIVERY * deliveries
            return Nak(min(max(LATER_SECONDS, longer), LONGEST_DELAY_SECONDS))
        case HandedBack():
            return Nak()
        case Lost():
            return Leave()


def delay(attempt: int) -> float:
    """Seconds to wait after the `attempt`-th try failed: doubling, up to a minute."""
    return min(FIRST_DELAY_SECONDS * 2.0 ** (attempt - 1), LONGEST_DELAY_SECONDS)
