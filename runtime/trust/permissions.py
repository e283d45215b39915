"""What each role may say and hear on the queue of its Stack, and nothing beyond. Pure.

NATS denies whatever an allow list leaves out, but takes an empty list for "everything": no list
here is ever empty.
"""

from dataclasses import dataclass
from typing import assert_never

from runtime.contract.keys import (
    WORKLOAD_ENTRIES,
    effects_for,
    functions_entry,
    keys_of,
    workload_entry,
)
from runtime.contract.subjects import (
    DISPATCHER_DURABLE,
    Account,
    Bucket,
    StackSubjects,
    Stream,
    asked_durable,
    inbox,
    token,
)
from runtime.contract.trust_config import Role, Workload
from runtime.contract.value import ObjectName


@dataclass(frozen=True, slots=True)
class Permissions:
    """The account a workload is let into, and the subjects it may publish and subscribe to."""

    account: Account
    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


def permissions(
    workload: Workload, subjects: StackSubjects, service_account: ObjectName
) -> Permissions:
    """What `workload`, which runs as `service_account`, may do on the queue of one Stack.

    Raises:
        ValueError: an Agent or Tool without its durable, or a name that is no DNS label.
    """
    own_inbox = f"{inbox(service_account)}.>"
    match workload.role:
        case Role.OPERATOR:
            return _operator(subjects, own_inbox)
        case Role.SERVER:
            return _server(subjects, own_inbox)
        case Role.DISPATCHER:
            return _dispatcher(subjects, own_inbox)
        case Role.AGENT:
            return _agent(workload, subjects, own_inbox, service_account)
        case Role.TOOL:
            return _tool(workload, subjects, own_inbox)
        case _:
            assert_never(workload.role)


def _operator(subjects: StackSubjects, own_inbox: str) -> Permissions:
    everything = f"{subjects.root}.>"
    return Permissions(
        Account.WORK,
        publish=("$JS.API.>", "$JS.ACK.>", "$JS.FC.>", "$KV.>", everything),
        subscribe=(own_inbox, everything, "$JS.EVENT.ADVISORY.>"),
    )


def _server(subjects: StackSubjects, own_inbox: str) -> Permissions:
    return Permissions(
        Account.WORK,
        publish=(*_runs(subjects), *_erased(subjects)),
        subscribe=(own_inbox, subjects.every("events")),
    )


def _dispatcher(subjects: StackSubjects, own_inbox: str) -> Permissions:
    return Permissions(
        Account.WORK,
        publish=(
            *_runs(subjects),
            subjects.every("events"),
            subjects.every("dead"),
            subjects.every("wake"),
            subjects.every("asked"),
            *_worked_on(subjects, Stream.ADVISORIES, DISPATCHER_DURABLE),
            *_worked_on(subjects, Stream.CALLS, DISPATCHER_DURABLE),
            *_taken_out(subjects.stream(Stream.TASKS)),
            *_taken_out(subjects.stream(Stream.CALLS)),
            *_records(subjects, Bucket.EFFECTS),
            *_records(subjects, Bucket.CHECKPOINTS),
            f"$JS.API.DIRECT.GET.{_kv_stream(subjects, Bucket.CHECKPOINTS)}",
        ),
        subscribe=(own_inbox, subjects.every("events")),
    )


def _runs(subjects: StackSubjects) -> tuple[str, ...]:
    """Taking runs of any agent in, following and cancelling them."""
    return (
        subjects.every("tasks"),
        subjects.every("cancel"),
        *_records(subjects, Bucket.RUNS),
        *_records(subjects, Bucket.CONVERSATIONS),
        f"$JS.API.DIRECT.GET.{_kv_stream(subjects, Bucket.CONVERSATIONS)}",
        *_followed(_kv_stream(subjects, Bucket.RUNS)),
        *_followed(_kv_stream(subjects, Bucket.CATALOGUE)),
        *_followed(subjects.stream(Stream.EVENTS)),
        *_infos(
            subjects.stream(Stream.TASKS),
            _kv_stream(subjects, Bucket.CONVERSATIONS),
        ),
    )


def _erased(subjects: StackSubjects) -> tuple[str, ...]:
    """Taking away for good what runs and users have left; only the request says which subjects.

    A dead letter says whose it was in its message alone, and so does whatever waits for a worker.
    """
    purged = (
        subjects.stream(Stream.EVENTS),
        _kv_stream(subjects, Bucket.CHECKPOINTS),
        _kv_stream(subjects, Bucket.CONVERSATIONS),
        _kv_stream(subjects, Bucket.EFFECTS),
    )
    picked = (Stream.TASKS, Stream.CALLS, Stream.DEAD, Stream.ADVISORIES)
    return (
        *(f"$JS.API.STREAM.PURGE.{stream}" for stream in purged),
        *(subject for stream in picked for subject in _taken_out(subjects.stream(stream))),
    )


def _agent(
    workload: Workload, subjects: StackSubjects, own_inbox: str, service_account: ObjectName
) -> Permissions:
    agent, durable = workload.name, _durable(workload)
    return Permissions(
        Account.AGENTS,
        publish=(
            *_delivered(subjects, Stream.TASKS, durable),
            *_delivered(subjects, Stream.TASKS, asked_durable(durable)),
            subjects.events_by(agent),
            *(subjects.calls(tool, agent) for tool in workload.calls),
            *(subjects.asks(other, agent) for other in workload.asks),
            *_records(subjects, Bucket.RUNS, keys_of(agent)),
            *_records(subjects, Bucket.CHECKPOINTS, keys_of(agent)),
            subjects.direct_get(Bucket.EFFECTS, effects_for(agent)),
            *(
                subjects.direct_get(Bucket.CATALOGUE, functions_entry(tool))
                for tool in workload.calls
            ),
            subjects.direct_get(Bucket.POLICY, workload_entry(service_account)),
        ),
        subscribe=(own_inbox, subjects.wakes(agent), subjects.cancels(agent)),
    )


def _tool(workload: Workload, subjects: StackSubjects, own_inbox: str) -> Permissions:
    tool, durable = workload.name, _durable(workload)
    return Permissions(
        Account.AGENTS,
        publish=(
            *_delivered(subjects, Stream.CALLS, durable),
            *_records(subjects, Bucket.EFFECTS, keys_of(tool)),
            *_records(subjects, Bucket.CATALOGUE, functions_entry(tool)),
            # What its callers may call; the subject of a call says by whom it is, not whether.
            subjects.direct_get(Bucket.POLICY, WORKLOAD_ENTRIES),
            subjects.every("wake"),
        ),
        subscribe=(own_inbox, subjects.every("cancel")),
    )


def _durable(workload: Workload) -> str:
    if not workload.durable:
        raise ValueError(f"the {workload.role} {workload.name} has no durable")
    return token(workload.durable)


def _records(subjects: StackSubjects, bucket: Bucket, keys: str = ">") -> tuple[str, str]:
    """Writing and reading the keys that match."""
    return subjects.record(bucket, keys), subjects.direct_get(bucket, keys)


def _kv_stream(subjects: StackSubjects, bucket: Bucket) -> str:
    return f"KV_{subjects.bucket(bucket)}"


def _followed(stream: str) -> tuple[str, ...]:
    """Reading a stream by position: an ephemeral consumer, or message by message."""
    return (
        f"$JS.API.CONSUMER.CREATE.{stream}",
        f"$JS.API.CONSUMER.CREATE.{stream}.>",
        f"$JS.API.CONSUMER.INFO.{stream}.*",
        f"$JS.API.CONSUMER.DELETE.{stream}.*",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.>",
        f"$JS.FC.{stream}.>",
        *_infos(stream),
    )


def _taken_out(stream: str) -> tuple[str, ...]:
    """Reading single messages of a stream by position, and taking them out of it."""
    return (
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$JS.API.STREAM.MSG.DELETE.{stream}",
        *_infos(stream),
    )


def _delivered(subjects: StackSubjects, stream: Stream, durable: str) -> tuple[str, str]:
    """Taking and settling the deliveries of one durable."""
    return subjects.pull(stream, durable), subjects.acks(stream, durable)


def _worked_on(subjects: StackSubjects, stream: Stream, durable: str) -> tuple[str, ...]:
    """The same, and seeing how it stands."""
    return (
        *_delivered(subjects, stream, durable),
        f"$JS.API.CONSUMER.INFO.{subjects.stream(stream)}.{durable}",
    )


def _infos(*streams: str) -> tuple[str, ...]:
    return tuple(f"$JS.API.STREAM.INFO.{stream}" for stream in streams)
