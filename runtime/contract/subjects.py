"""Every NATS subject, stream, bucket and durable name is made here and nowhere else.

The keys in buckets are made in `keys`.

Names of our objects are DNS labels without dots (the CRDs enforce it), so each is one NATS token,
and since they hold no underscore, names joined with underscores stay injective.

Source:
    NATS documentation, Subject-Based Messaging and JetStream naming; key-value API ADR-8.
"""

import hashlib
import re
from dataclasses import dataclass
from enum import StrEnum

from runtime.contract.value import ObjectName

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
ADVISORY = "$JS.EVENT.ADVISORY.CONSUMER"
ASKED_DURABLE = "_asked"  # after the durable of an Agent: no durable of an object has a `_`
LIST_CONNECTIONS = "$SYS.REQ.SERVER.PING.CONNZ"  # every server of a cluster answers
DISPATCHER_DURABLE = "dispatcher"  # of ADVISORIES and CALLS; a Stack's dispatchers share it


class Stream(StrEnum):
    """The streams of a Stack."""

    TASKS = "TASKS"
    CALLS = "CALLS"
    EVENTS = "EVENTS"
    DEAD = "DEAD"
    ADVISORIES = "ADVISORIES"


WORK_KINDS = {Stream.TASKS: ("tasks", "asked"), Stream.CALLS: ("calls", "asks")}
"""The work queues and the kinds of message in each: the second is what agents want of agents."""


class Account(StrEnum):
    """The accounts of a NATS server: subjects cross from one to another only where exported.

    Shape:
        WORK    the streams, the operator, the servers and the dispatchers.
        AGENTS  the workers of agents and tools.
        AUTH    the trust plane, which the server asks about every connection.
        SYS     the server itself.
    """

    WORK = "WORK"
    AGENTS = "AGENTS"
    AUTH = "AUTH"
    SYS = "SYS"


class Bucket(StrEnum):
    """The key-value buckets of a Stack."""

    RUNS = "runs"
    CONVERSATIONS = "conversations"
    CHECKPOINTS = "checkpoints"
    EFFECTS = "effects"
    CATALOGUE = "catalogue"
    POLICY = "policy"


def token(text: str) -> str:
    """`text` itself, if it is one safe NATS token.

    Raises:
        ValueError: it is no DNS label, so it could change the meaning of a subject.
    """
    if not LABEL.fullmatch(text):
        raise ValueError(f"{text!r} is no DNS label and cannot be part of a subject")
    return text


def pair(name: ObjectName) -> str:
    """An object as the two tokens of its namespace and its name.

    Raises:
        ValueError: see `token`.
    """
    return f"{token(name.namespace)}.{token(name.name)}"


def durable(name: str, namespace: str, uid: str) -> str:
    """The durable of an Agent or Tool: its name and a digest that a re-created object changes."""
    digest = hashlib.sha256(f"{namespace}\0{name}\0{uid}".encode()).hexdigest()
    return f"{token(name)}-{digest[:8]}"


def asked_durable(durable: str) -> str:
    """The second durable of an Agent: of the tasks that other agents have asked for.

    Raises:
        ValueError: `durable` is no DNS label.
    """
    return f"{token(durable)}{ASKED_DURABLE}"


def durable_owner(durable: str) -> str:
    """The name of the Agent or Tool whose durable this is, one of the two of an Agent."""
    return durable.removesuffix(ASKED_DURABLE).rpartition("-")[0]


@dataclass(frozen=True, slots=True)
class StackSubjects:
    """All names that belong to one Stack.

    Shape:
        Subjects are `k8gentai.<namespace>.<stack>.<kind of message>.…`; streams are
        `<namespace>_<stack>_TASKS`; buckets are `<namespace>_<stack>_runs`, whose stream JetStream
        calls `KV_<bucket>` and whose keys are the subjects `$KV.<bucket>.<key>`.
    """

    stack: ObjectName

    @property
    def root(self) -> str:
        """The first three tokens of every subject of this Stack."""
        return f"k8gentai.{token(self.stack.namespace)}.{token(self.stack.name)}"

    def stream(self, stream: Stream) -> str:
        """The name of one of the Stack's streams."""
        return f"{token(self.stack.namespace)}_{token(self.stack.name)}_{stream}"

    def bucket(self, bucket: Bucket) -> str:
        """The name of one of the Stack's key-value buckets."""
        return f"{token(self.stack.namespace)}_{token(self.stack.name)}_{bucket}"

    def tasks(self, agent: ObjectName) -> str:
        """Where work of clients for `agent` is published."""
        return f"{self.root}.tasks.{pair(agent)}"

    def asked(self, agent: ObjectName) -> str:
        """Where the dispatcher publishes tasks for `agent` that other agents have asked for.

        The stream TASKS has them too, and no number of tasks of clients stands before them.
        """
        return f"{self.root}.asked.{pair(agent)}"

    def calls(self, tool: ObjectName, caller: ObjectName) -> str:
        """Where `caller` publishes its calls of `tool`; NATS lets nobody else publish there."""
        return f"{self.root}.calls.{pair(tool)}.{pair(caller)}"

    def calls_of(self, tool: ObjectName) -> str:
        """Everybody's calls of `tool`: the filter of its durable."""
        return f"{self.root}.calls.{pair(tool)}.>"

    def asks(self, agent: ObjectName, caller: ObjectName) -> str:
        """Where `caller` publishes its calls of `agent`; NATS lets nobody else publish there.

        The stream CALLS has them, and the dispatcher turns them into tasks.
        """
        return f"{self.root}.asks.{pair(agent)}.{pair(caller)}"

    def events(self, agent: ObjectName, origin: str, task: str) -> str:
        """Where the events of one task go; `origin` is the API process that follows it."""
        return f"{self.root}.events.{pair(agent)}.{token(origin)}.{token(task)}"

    def events_for(self, origin: str) -> str:
        """The events of all tasks that the API process `origin` accepted."""
        return f"{self.root}.events.*.*.{token(origin)}.*"

    def events_by(self, agent: ObjectName) -> str:
        """All events that `agent` may publish."""
        return f"{self.root}.events.{pair(agent)}.>"

    def events_of(self, task: str) -> str:
        """The events of one task, whoever accepted it: the filter of a reader that resumes."""
        return f"{self.root}.events.*.*.*.{token(task)}"

    def events_on(self, agent: ObjectName, task: str) -> str:
        """The events that `agent` publishes of one of its tasks, whoever follows it by then."""
        return f"{self.root}.events.{pair(agent)}.*.{token(task)}"

    def dead(self, stream: Stream, owner: ObjectName) -> str:
        """Where the dead letters of an Agent (`TASKS`), or of calls of a Tool or Agent, go."""
        return f"{self.root}.dead.{token(stream.lower())}.{pair(owner)}"

    def dead_owner(self, subject: str) -> ObjectName:
        """The Agent or Tool for whom the message of a dead letter was, by the letter's subject.

        Raises:
            ValueError: no dead letter has this subject.
        """
        prefix = f"{self.root}.dead."
        match subject.removeprefix(prefix).split("."):
            case [_, namespace, name] if subject.startswith(prefix):
                return ObjectName(namespace=token(namespace), name=token(name))
            case _:
                raise ValueError(f"{subject} is no subject of a dead letter")

    def owner(self, stream: Stream, subject: str) -> ObjectName:
        """The Agent or Tool for whom a message of `TASKS` or `CALLS` is.

        Calls of an Agent are `asks`, which are in `CALLS` too, and become `asked` in `TASKS`.

        Raises:
            ValueError: no message of that stream has this subject.
        """
        for kind in WORK_KINDS.get(stream, ()):
            if subject.startswith(prefix := f"{self.root}.{kind}."):
                namespace, _, rest = subject.removeprefix(prefix).partition(".")
                return ObjectName(namespace=token(namespace), name=token(rest.partition(".")[0]))
        raise ValueError(f"{subject} is no subject of {self.stream(stream)}")

    def wake(self, agent: ObjectName, worker: str) -> str:
        """Tells one worker process of `agent` that a result waits for it."""
        return f"{self.root}.wake.{pair(agent)}.{token(worker)}"

    def wakes(self, agent: ObjectName) -> str:
        """Whatever wakes a worker process of `agent`."""
        return f"{self.root}.wake.{pair(agent)}.>"

    def every(self, kind: str) -> str:
        """All subjects of one kind of message, such as `tasks`, `events` or `dead`."""
        return f"{self.root}.{token(kind)}.>"

    def cancel(self, agent: ObjectName, task: str) -> str:
        """Tells the workers of `agent` to cancel `task`."""
        return f"{self.root}.cancel.{pair(agent)}.{token(task)}"

    def cancelled(self, subject: str) -> tuple[ObjectName, str]:
        """The agent and the task that are told to cancel under `subject`, made by `cancel`.

        Raises:
            ValueError: it is no such subject.
        """
        prefix = f"{self.root}.cancel."
        match subject.removeprefix(prefix).split("."):
            case [namespace, name, task] if subject.startswith(prefix):
                return ObjectName(namespace=token(namespace), name=token(name)), token(task)
            case _:
                raise ValueError(f"{subject} cancels no task")

    def cancels(self, agent: ObjectName) -> str:
        """All cancellations for `agent`."""
        return f"{self.root}.cancel.{pair(agent)}.*"

    def pull(self, stream: Stream, durable: str = "*") -> str:
        """Where the deliveries of `durable` are asked for."""
        return f"$JS.API.CONSUMER.MSG.NEXT.{self.stream(stream)}.{durable}"

    def acks(self, stream: Stream, durable: str | None = None) -> str:
        """Where deliveries of `durable` are settled, or those of every durable of the stream."""
        owner = f"{durable}." if durable else ""
        return f"$JS.ACK.{self.stream(stream)}.{owner}>"

    def record(self, bucket: Bucket, key: str = ">") -> str:
        """Where the value of a key is written; `key` may be a pattern."""
        return f"$KV.{self.bucket(bucket)}.{key}"

    def direct_get(self, bucket: Bucket, key: str = ">") -> str:
        """Where the newest value of a key is asked for; `key` may be a pattern."""
        return f"$JS.API.DIRECT.GET.KV_{self.bucket(bucket)}.{self.record(bucket, key)}"

    def last_of(self, bucket: Bucket) -> str:
        """Where the last write of those to whichever keys the request names is asked for."""
        return f"$JS.API.DIRECT.GET.KV_{self.bucket(bucket)}"

    def advisories(self) -> tuple[str, ...]:
        """The advisories that the ADVISORIES stream captures: messages no worker will see again."""
        return tuple(
            f"{ADVISORY}.{kind}.{self.stream(stream)}.*"
            for stream in WORK_KINDS
            for kind in ("MAX_DELIVERIES", "MSG_TERMINATED")
        )


def close_connection(server: str) -> str:
    """Where one server, by its id, is told to close a connection; `*` for any of them."""
    return f"$SYS.REQ.SERVER.{server}.KICK"


def inbox(service_account: ObjectName) -> str:
    """The only inbox prefix that the workload with this ServiceAccount may subscribe to."""
    digest = hashlib.sha256(str(service_account).encode()).hexdigest()
    return f"_INBOX_{digest[:16]}"
