from datetime import datetime, timedelta
from typing import Any

import pytest

from controller.api.agent import Agent
from controller.api.names import Kind
from controller.api.parse import parse
from controller.api.stack import Stack
from controller.api.tool import Tool
from controller.desired.removal import stage_of
from controller.desired.workload import consumers
from controller.model import (
    Backlog,
    Child,
    ChildRef,
    Children,
    EntryRef,
    Key,
    Pod,
    QueueFacts,
    Reference,
    Stage,
    Unavailable,
    WorkloadView,
)
from controller.tests import samples
from controller.tests.desired.views import the_stack
from runtime.contract.agent_config import Framework
from runtime.contract.catalogue import AgentEntry
from runtime.contract.subjects import StackSubjects
from runtime.contract.value import ObjectName

DELETED = datetime.fromisoformat("2026-11-22T12:00:00Z")
STACK = Key(Kind.STACK, "team", "default")
WORKER: Children = {ChildRef("apps/v1", "Deployment", "team", "agent-math"): {}}
DOWN = Unavailable("NATS does not answer")


def agent(**spec: Any) -> Agent:
    return parse(Agent, _deleted(samples.agent(**spec)))


def tool(**spec: Any) -> Tool:
    return parse(Tool, _deleted(samples.tool(**spec)))


def _deleted(body: dict[str, Any]) -> dict[str, Any]:
    metadata = {"uid": "u", "deletionTimestamp": "2026-11-22T12:00:00Z", **body["metadata"]}
    return {**body, "metadata": metadata}


def view[R: (Agent, Tool)](
    owner: R, *, busy: int = 0, asked: int = 0, **facts: Any
) -> WorkloadView[R]:
    subjects = StackSubjects(ObjectName(namespace="team", name="default"))
    backlogs = (Backlog(busy, 0), Backlog(0, asked))
    cursors = consumers(owner, subjects)
    given = {
        "stack": Reference(STACK, the_stack()),
        "children": WORKER,
        "queue": QueueFacts(
            backlogs={one.ref: backlog for one, backlog in zip(cursors, backlogs, strict=False)}
        ),
        **facts,
    }
    return WorkloadView(key=Key(owner.kind, "team", owner.metadata.name), owner=owner, **given)


def listed(value: bytes) -> QueueFacts:
    return QueueFacts(entries={EntryRef("team_default_catalogue", "agents.team.math"): value})


OPEN = listed(
    AgentEntry(
        agent=ObjectName(namespace="team", name="math"),
        model="math",
        framework=Framework.LANGGRAPH,
        accepting=True,
    ).encode()
)
DAMAGED = listed(b"{")
GONE_STACK: Reference[Stack] = Reference(STACK, None)
CASES = [
    pytest.param(view(agent(), busy=1), 0, Stage.DRAINING, id="work is left"),
    pytest.param(view(agent(), asked=1), 0, Stage.DRAINING, id="an agent waits for it"),
    pytest.param(view(agent(), unfinished=1), 0, Stage.DRAINING, id="a task waits its turn"),
    pytest.param(view(agent()), 0, Stage.LEAVING, id="nothing is left but workers"),
    pytest.param(view(agent(), queue=OPEN), 0, Stage.DRAINING, id="new tasks may still come"),
    pytest.param(
        view(agent(), queue=OPEN, children={}), 0, Stage.DRAINING, id="nobody takes what may come"
    ),
    pytest.param(view(agent(), queue=DAMAGED), 0, Stage.DRAINING, id="nobody knows what may come"),
    pytest.param(
        view(agent(), children={}, pods=(Pod(name="p", component="worker"),)),
        0,
        Stage.LEAVING,
        id="a worker still stops",
    ),
    pytest.param(view(agent(), children={}), 0, Stage.GONE, id="nothing is left"),
    pytest.param(view(agent(), busy=1), 589, Stage.DRAINING, id="long, but not too long"),
    pytest.param(view(agent(), busy=1), 590, Stage.CANCELLING, id="just before the end"),
    pytest.param(view(agent(), busy=1), 600, Stage.GONE, id="the time is over"),
    pytest.param(
        view(agent(drainSeconds=10), busy=1), 8, Stage.DRAINING, id="a short time ends shortly"
    ),
    pytest.param(view(agent(drainSeconds=10), busy=1), 9, Stage.CANCELLING, id="before it"),
    pytest.param(view(agent(drainSeconds=0), busy=1), 0, Stage.GONE, id="no time at all"),
    pytest.param(
        view(agent(deletionPolicy="Cancel"), busy=1), 0, Stage.CANCELLING, id="cancel at once"
    ),
    pytest.param(view(agent(suspend=True), busy=1), 0, Stage.CANCELLING, id="nobody would drain"),
    pytest.param(view(agent(), queue=DOWN), 0, Stage.DRAINING, id="nobody knows what is left"),
    pytest.param(view(agent(), queue=DOWN), 600, Stage.GONE, id="nobody knows until the end"),
    pytest.param(view(agent(), queue=DOWN, children={}), 0, Stage.GONE, id="it never had workers"),
    pytest.param(
        view(agent(), stack=GONE_STACK, queue=None), 0, Stage.GONE, id="the queue is gone"
    ),
    pytest.param(view(tool(), busy=1), 0, Stage.DRAINING, id="calls are left"),
    pytest.param(
        view(tool(deletionPolicy="Cancel"), busy=1), 0, Stage.LEAVING, id="calls just end"
    ),
]


@pytest.mark.fault(19)
@pytest.mark.parametrize(("seen", "seconds", "wanted"), CASES)
def test_how_far_a_deleted_object_is(seen: WorkloadView[Any], seconds: int, wanted: Stage) -> None:
    assert stage_of(seen, DELETED + timedelta(seconds=seconds)) is wanted


def test_an_object_that_nobody_deletes_stays() -> None:
    owner = parse(Agent, samples.agent())

    assert stage_of(view(owner, busy=0, queue=DOWN), DELETED) is Stage.STAYING


def test_children_are_told_by_their_reference() -> None:
    (ref,) = WORKER
    manifest = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"namespace": "team", "name": "agent-math"},
    }

    assert Child(manifest).ref == ref
