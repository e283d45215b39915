"""What a reconcile wants, what it is going to do about it, and what came of it."""

from dataclasses import dataclass
from enum import StrEnum

from controller.api.conditions import ProgrammedReason, ReadyReason
from controller.api.identity_policy import IdentityPolicy, TargetRef
from controller.model.objects import Child, ChildRef, Key
from controller.model.queue import (
    Bucket,
    Consumer,
    ConsumerRef,
    EntryRef,
    KvEntry,
    QueueThing,
    Stream,
)
from controller.model.views import Problem
from runtime.contract.catalogue import ToolFunctions


@dataclass(frozen=True, slots=True, kw_only=True)
class Desired:
    """All that an object implies: nothing else is to exist on its account.

    Shape:
        bound         children that are first made once the queue has what they bind to.
        purges        (stream, subject) whose messages are to be forgotten.
        not_ours      entries that somebody else writes and that stay for now.
        keeps_children children that are not named here stay as they are.
        keeps_queue   parts of the queue that are not named here stay as they are.
        revision      digest of what its workers are configured with.
    """

    children: tuple[Child, ...] = ()
    streams: tuple[Stream, ...] = ()
    buckets: tuple[Bucket, ...] = ()
    consumers: tuple[Consumer, ...] = ()
    entries: tuple[KvEntry, ...] = ()
    bound: tuple[ChildRef, ...] = ()
    purges: tuple[tuple[str, str], ...] = ()
    not_ours: tuple[EntryRef, ...] = ()
    keeps_children: bool = False
    keeps_queue: bool = False
    revision: str = ""


@dataclass(frozen=True, slots=True)
class ApplyChild:
    """Make an object of Kubernetes so; `force`: it is ours already."""

    child: Child
    force: bool


@dataclass(frozen=True, slots=True)
class DeleteChild:
    """Take an object of Kubernetes away."""

    ref: ChildRef


@dataclass(frozen=True, slots=True)
class ApplyQueue:
    """Make a part of the queue so."""

    thing: QueueThing


@dataclass(frozen=True, slots=True)
class DeleteStream:
    """Take a stream away with all it holds."""

    name: str


@dataclass(frozen=True, slots=True)
class DeleteConsumer:
    """Take a consumer away."""

    ref: ConsumerRef


@dataclass(frozen=True, slots=True)
class DeleteEntry:
    """Take a key away."""

    ref: EntryRef


@dataclass(frozen=True, slots=True)
class Purge:
    """Forget the messages of a stream on a subject."""

    stream: str
    subject: str


type Step = (
    ApplyChild | DeleteChild | ApplyQueue | DeleteStream | DeleteConsumer | DeleteEntry | Purge
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """The difference between desired and observed, in the order it is to be carried out.

    Shape:
        url      of the queue the steps are about; None if none of them is about one.
        repairs  sentences on what somebody else had taken away or changed.
        blocked  why there are not more steps.
    """

    url: str | None = None
    steps: tuple[Step, ...] = ()
    repairs: tuple[str, ...] = ()
    blocked: "Failure | None" = None


class Origin(StrEnum):
    """Who did not do its part."""

    CLUSTER = "Cluster"
    CHILD = "Child"
    QUEUE = "Queue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why not everything could be carried out: a reason of Programmed and a sentence.

    Shape:
        origin  Kubernetes, an object of ours that Kubernetes refuses, or the queue.

    Units:
        `retry_after` in seconds.
    """

    origin: Origin
    reason: ProgrammedReason
    message: str
    unknown: bool = False
    retry_after: float


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a plan: the steps that were carried out, and why the rest was not."""

    done: tuple[Step, ...] = ()
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Health:
    """What an object's workloads, as observed, have to say.

    Shape:
        reason     of the condition Ready. `unknown`: there is no workload to ask.
        replicas   that exist; `ready`: of these.
        message    for who runs it: it may quote what pods, registries and other objects say.
        told       the same for clients, without that; null where the message quotes nothing.
        stalled    only a person can change it.
        is_stuck   none of its pods is ready or about to be, as far as they say.
    """

    reason: ReadyReason
    message: str
    told: str | None = None
    replicas: int = 0
    ready: int = 0
    unknown: bool = False
    stalled: bool = False
    is_stuck: bool = False


class Stage(StrEnum):
    """How far an object is on its way out."""

    STAYING = "Staying"
    DRAINING = "Draining"
    CANCELLING = "Cancelling"
    LEAVING = "Leaving"
    GONE = "Gone"


@dataclass(frozen=True, slots=True)
class Proving:
    """One workload that proves who it is.

    Shape:
        account    its ServiceAccount. `spiffe_id`: that its SVIDs name; None if it has none.
        ref        of its ClusterSPIFFEID.
        replicas   that are wanted, `ready`: of its pods, which are so when the queue let them in.
    """

    account: str
    spiffe_id: str | None
    ref: ChildRef
    replicas: int
    ready: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Thought:
    """What one reconcile made of its view.

    Shape:
        desired    None while something in the spec has to be put right: what runs stays as it is.
        denied     what policies do not let an Agent's spec use; what they do goes on without it.
        policies   all that count for an Agent, or for what its spec lets it call.
        image      that an Agent's workers run. `url`: where clients ask, `model`: for what. ""
                   if unknown.
        functions  of a Tool, as its worker of the current revision has found them out.
        capabilities  that were proved of what an Agent's workers run.
        proving    each workload that comes to the queue.
    """

    stage: Stage = Stage.STAYING
    problems: tuple[Problem, ...] = ()
    denied: tuple[Problem, ...] = ()
    policies: tuple[IdentityPolicy, ...] = ()
    health: Health
    desired: Desired | None = None
    image: str = ""
    url: str = ""
    model: str = ""
    functions: ToolFunctions | None = None
    capabilities: tuple[str, ...] = ()
    proving: tuple[Proving, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetThought:
    """What an IdentityPolicy does to one of its targets.

    Shape:
        rival     the older policy that says instead who may call whom; or, of one that is not
                  about that, how its workers prove who they are: for the others this is `vouching`.
        is_there  whether there is such an object.
        rules     the places of the rules that are about it.
        untold    the Agents whose workers and callers are not bound by these yet.
    """

    ref: TargetRef
    rival: IdentityPolicy | None = None
    vouching: IdentityPolicy | None = None
    is_there: bool = True
    rules: tuple[int, ...] = ()
    untold: tuple[Key, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyThought:
    """What one reconcile made of the view of an IdentityPolicy.

    Shape:
        idle        sentences about rules that count for nothing.
        has_nobody  Stacks that authenticate nobody, so that rules about users let nobody in.
    """

    targets: tuple[TargetThought, ...]
    idle: tuple[str, ...] = ()
    has_nobody: tuple[Key, ...] = ()

    @property
    def is_awaited(self) -> bool:
        """Whether Agents are about to be bound."""
        return any(target.untold for target in self.targets)


@dataclass(frozen=True, slots=True)
class Progress:
    """What follows a reconcile.

    Shape:
        finished  the object desires nothing and nothing of it is left: its finalizer can go.
        again_in  seconds after which to reconcile without being woken; None: when woken.
    """

    finished: bool = False
    again_in: float | None = None
