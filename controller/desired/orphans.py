"""What the queue of a Stack has of objects that are no more: a Stack sweeps it up.

An object normally takes along what is its own. Left over is what it had in a Stack it has moved
away from, and what could not be removed because the queue did not answer at the time.
"""

from collections.abc import Iterator
from dataclasses import replace

from controller.api.names import Kind
from controller.desired.metadata import Role, workload_name
from controller.model import EntryRef, Member, QueueState, StackView, Unavailable
from runtime.contract.keys import agent_entry, functions_entry, tool_entry, workload_entry
from runtime.contract.subjects import Bucket, StackSubjects


def own_parts(view: StackView) -> QueueState:
    """The queue of a Stack without what belongs to its Agents and Tools: its own, and orphans.

    `members` are newer than `queue`, so whoever has made something in the queue is among them.
    """
    if isinstance(view.queue, Unavailable):
        return view.queue
    members = [one for one in view.members if one.stack in (None, view.key)]
    owners = {"", *(f"{member.key} {member.uid}" for member in members)}
    entries = {ref for member in members for ref in _entries(member, view)}
    return replace(
        view.queue,
        consumers={
            ref: one for ref, one in view.queue.consumers.items() if one.owner not in owners
        },
        entries={ref: value for ref, value in view.queue.entries.items() if ref not in entries},
    )


def _entries(member: Member, view: StackView) -> Iterator[EntryRef]:
    subjects, name = StackSubjects(view.key.object_name), member.key.object_name
    catalogue = subjects.bucket(Bucket.CATALOGUE)
    is_agent = member.key.kind is Kind.AGENT
    role = Role.AGENT if is_agent else Role.TOOL
    account = workload_name(role, member.key)
    yield EntryRef(subjects.bucket(Bucket.POLICY), workload_entry(account))
    if is_agent:
        yield EntryRef(catalogue, agent_entry(name))
    else:
        yield EntryRef(catalogue, tool_entry(name))
        yield EntryRef(catalogue, functions_entry(name))
