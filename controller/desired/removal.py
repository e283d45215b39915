"""How an Agent or a Tool goes: its work first, then its workers, then what it had of the queue."""

from datetime import datetime
from typing import Any, Final

from controller.api.agent import Agent
from controller.api.fields import DeletionPolicy
from controller.desired.agent import is_open
from controller.desired.workload import consumers
from controller.model import (
    AgentView,
    Backlog,
    Desired,
    KvEntry,
    QueueFacts,
    Stage,
    ToolView,
    Unavailable,
    WorkloadView,
)
from runtime.contract.keys import effects_for, keys_of
from runtime.contract.subjects import Bucket, StackSubjects, Stream

CANCEL_SECONDS: Final = 10
"""How long before the end of `drainSeconds` what is left is cancelled, so that it can still end."""
CANCEL_SHARE: Final = 0.1
"""The same as a share of a short `drainSeconds`; the longer wait of the two is never taken."""


def stage_of(view: WorkloadView[Any], now: datetime) -> Stage:
    """How far the object is on its way out.

    Without a Stack there is no queue and nothing to wait for. While the queue does not answer,
    nobody knows what is left, so it is waited for; but never longer than `drainSeconds`.
    """
    deleted = view.owner.metadata.deletion_timestamp
    if deleted is None:
        return Stage.STAYING
    stack = view.stack.target
    elapsed, limit = (now - deleted).total_seconds(), view.owner.spec.drain_seconds
    if stack is None or stack.metadata.is_deleting or elapsed >= limit:
        return Stage.GONE
    has_workers = bool(view.children or view.pods)
    if isinstance(view.queue, Unavailable):
        return Stage.DRAINING if has_workers else Stage.GONE
    if backlog_of(view).total + view.unfinished == 0 and _is_closed(view):
        return Stage.LEAVING if has_workers else Stage.GONE
    if _is_patient(view) and elapsed < limit - min(CANCEL_SECONDS, limit * CANCEL_SHARE):
        return Stage.DRAINING
    if isinstance(view.owner, Agent):
        return Stage.CANCELLING
    return Stage.LEAVING if has_workers else Stage.GONE  # nobody cancels a call: it just ends


def _is_closed(view: WorkloadView[Any]) -> bool:
    """Whether nothing new can come: what was found empty before that may be so no longer."""
    if not isinstance(view.owner, Agent) or not isinstance(view.queue, QueueFacts):
        return True
    name, stack = view.key.object_name, view.stack.key.object_name
    return not is_open(name, StackSubjects(stack), view.queue)


def _is_patient(view: WorkloadView[Any]) -> bool:
    owner = view.owner
    is_suspended = isinstance(owner, Agent) and owner.spec.suspend
    return owner.spec.deletion_policy is DeletionPolicy.DRAIN and not is_suspended


def backlog_of(view: WorkloadView[Any]) -> Backlog:
    """What waits for the workers, and what they have in hand."""
    if not isinstance(view.queue, QueueFacts) or view.stack.target is None:
        return Backlog()
    subjects = StackSubjects(view.stack.key.object_name)
    own = [one.ref for one in consumers(view.owner, subjects)]
    return sum((view.queue.backlogs.get(ref, Backlog()) for ref in own), start=Backlog())


def leaving(*entries: KvEntry) -> Desired:
    """No workers; what they pull from stays until they have stopped, and so do `entries`."""
    return Desired(entries=entries, keeps_queue=True)


def gone_agent(view: AgentView) -> Desired:
    """Nothing at all.

    The run records stay until their time is over: ends are still written to them and read.
    """
    subjects, name = StackSubjects(view.stack.key.object_name), view.key.object_name
    return Desired(
        purges=(
            (subjects.stream(Stream.TASKS), subjects.tasks(name)),
            (subjects.stream(Stream.TASKS), subjects.asked(name)),
            _keys(subjects, Bucket.CHECKPOINTS, keys_of(name)),
            _keys(subjects, Bucket.EFFECTS, effects_for(name)),
        )
    )


def gone_tool(view: ToolView) -> Desired:
    """Nothing at all."""
    subjects, name = StackSubjects(view.stack.key.object_name), view.key.object_name
    return Desired(
        purges=(
            (subjects.stream(Stream.CALLS), subjects.calls_of(name)),
            _keys(subjects, Bucket.EFFECTS, keys_of(name)),
        )
    )


def _keys(subjects: StackSubjects, bucket: Bucket, pattern: str) -> tuple[str, str]:
    return f"KV_{subjects.bucket(bucket)}", subjects.record(bucket, pattern)
