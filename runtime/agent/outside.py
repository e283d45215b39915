"""What an attempt needs from outside to go on: people who agree, outputs of its client."""

from dataclasses import dataclass, field

from runtime.contract.messages import TokenUsage
from runtime.contract.runs import RunRecord
from runtime.tools.approvals import Approvals
from runtime.tools.client_calls import ClientCalls
from runtime.tools.waiting import Waiting


@dataclass(slots=True)
class Outside:
    """What was got in attempts before, and what this one has to be parked for.

    One kind at a time: if a person is needed, the client is asked for nothing; the next attempt
    comes by the same calls again.

    Shape:
        used  what the models of the attempt took and gave so far.
    """

    waiting: Waiting
    approvals: Approvals
    calls: ClientCalls
    used: TokenUsage = field(default_factory=TokenUsage)

    @classmethod
    def of(cls, record: RunRecord, seconds: float) -> "Outside":
        """For the next attempt at a run that may yet wait for `seconds`."""
        waiting, parallel = Waiting(seconds=seconds), record.task.options.parallel_calls
        calls = ClientCalls(handovers=record.handovers, waiting=waiting, parallel=parallel)
        return cls(waiting, Approvals(record.approvals, waiting), calls)
