"""The whole policy of settling deliveries, without I/O, clock or log."""

from runtime.worker.outcomes import (
    Ack,
    Again,
    Done,
    GivenUp,
    HandedBack,
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
        case HandedBack():
            return Nak()
        case Lost():
            return Leave()


def delay(attempt: int) -> float:
    """Seconds to wait after the `attempt`-th try failed: doubling, up to a minute."""
    return min(FIRST_DELAY_SECONDS * 2.0 ** (attempt - 1), LONGEST_DELAY_SECONDS)
