"""What JetStream says of messages that no worker sees again.

Source:
    nats-server 2.15, advisories `io.nats.jetstream.advisory.v1.max_deliver` and `.terminated`. The
    message of the first kind is still in its work queue; that of the second is gone.
"""

from dataclasses import dataclass

from runtime.contract.dead_letter import LastWords
from runtime.contract.subjects import ADVISORY, WORK_KINDS, StackSubjects, Stream
from runtime.contract.value import Value


class _Advisory(Value):
    stream: str
    consumer: str
    stream_seq: int
    deliveries: int
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Exhausted:
    """The queue has delivered a message as often as it may; it is still there."""

    stream: Stream
    sequence: int
    deliveries: int


@dataclass(frozen=True, slots=True)
class Terminated:
    """A worker wanted a message never to be delivered again; `durable` is whose worker."""

    stream: Stream
    sequence: int
    deliveries: int
    durable: str
    words: LastWords


type Advisory = Exhausted | Terminated


def read_advisory(subjects: StackSubjects, subject: str, data: bytes) -> Advisory:
    """The advisory that ADVISORIES captured under `subject`.

    Raises:
        ValueError: it is none of those that `subjects.advisories` names.
    """
    told = _Advisory.decode(data)
    streams = {subjects.stream(stream): stream for stream in WORK_KINDS}
    if told.stream not in streams:
        raise ValueError(f"an advisory about {told.stream}, which is no work queue of ours")
    stream = streams[told.stream]
    match subject.removeprefix(f"{ADVISORY}.").split(".")[0]:
        case "MAX_DELIVERIES":
            return Exhausted(stream, told.stream_seq, told.deliveries)
        case "MSG_TERMINATED":
            words = LastWords.heard(told.reason)
            return Terminated(stream, told.stream_seq, told.deliveries, told.consumer, words)
        case kind:
            raise ValueError(f"an advisory of kind {kind}, which nobody asked for")
