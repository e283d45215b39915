"""What an attempt needs from outside to go on: people who agree, outputs of its client."""

from collections.abc import Callable
from dataclasses import dataclass, field

from runtime.contract.messages import TokenUsage
from runtime.contract.runs import RunRecord
from runtime.tools.approvals import Approvals
from runtime.tools.client_calls import ClientCalls


@dataclass(slots=True)
class Outside:
    """What was got in attempts before, and what this one has to be parked for.

    One kind at a time: if a person is needed, the client is asked for nothing; the next attempt
    comes by the same calls again.

    Shape:
        used  what the models of the attempt took and gave so far.
    """

    approvals: Approvals
    calls: ClientCalls
    used: TokenUsage = field(default_factory=TokenUsage)

    @classmethod
    def of(cls, record: RunRecord, seconds: float) -> "Outside":
        """For the next attempt at a run that may yet wait for `seconds`."""
        return cls(
            Approvals(record.approvals, seconds=seconds),
            ClientCalls(
                handovers=record.handovers,
                seconds=seconds,
                parallel=record.task.options.parallel_calls,
            ),
        )

    def tell(self, on_asked: Callable[[], object]) -> None:
        """Call `on_asked` once, when the first thing is needed; more may follow at once."""

        def on_first() -> None:  # each side tells of its own first
            if len(self.approvals.needed) + len(self.calls.needed) == 1:
                on_asked()

        self.approvals.on_asked = self.calls.on_asked = on_first

    @property
    def is_needed(self) -> bool:
        """Whether the attempt can go on no further."""
        return bool(self.approvals.needed or self.calls.needed)
