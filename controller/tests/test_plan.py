from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from controller.desired.streams import desired_streams
from controller.model import (
    ApplyChild,
    ApplyQueue,
    Child,
    ChildRef,
    Consumer,
    ConsumerRef,
    DeleteChild,
    DeleteConsumer,
    DeleteEntry,
    DeleteStream,
    Desired,
    EntryRef,
    KvEntry,
    Purge,
    QueueFacts,
    Unavailable,
)
from controller.plan import Plan, changes, conforms, plan
from controller.tests.desired.views import the_stack
from controller.tests.fakes import SITE

A, B, C = "a", "b", "c"


@pytest.mark.parametrize(
    ("desired", "observed", "wanted"),
    [
        ({}, {}, Plan()),
        ({A: 1}, {}, Plan(create=(1,))),
        ({A: 1}, {A: 1}, Plan()),
        ({A: 2}, {A: 1}, Plan(update=(2,))),
        ({}, {A: 1}, Plan(delete=(A,))),
        ({A: 1, B: 2}, {B: 1, C: 3}, Plan(create=(1,), update=(2,), delete=(C,))),
    ],
)
def test_a_plan_is_a_subtraction(
    desired: Mapping[str, int], observed: Mapping[str, int], wanted: Plan[int, str]
) -> None:
    assert plan(desired, observed) == wanted


CONTAINER = {"name": "worker", "image": "i", "env": [{"name": "A", "value": "1"}]}
CONFORMING = [
    pytest.param({"a": 1}, {"a": 1, "b": 2}, True, id="Kubernetes adds defaults"),
    pytest.param({"a": 1}, {"a": 2}, False, id="another value"),
    pytest.param({"a": {"b": 1}}, {}, False, id="it is missing"),
    pytest.param({"a": {}}, {}, False, id="an empty object is something"),
    pytest.param({"a": []}, {}, True, id="an empty list is nothing"),
    pytest.param({"a": ""}, {"a": None}, True, id="an empty string is nothing"),
    pytest.param({"a": False}, {}, False, id="what is not said may well be true"),
    pytest.param({"a": False}, {"a": True}, False, id="false is not true"),
    pytest.param({"cpu": "0.5"}, {"cpu": "500m"}, True, id="the same amount"),
    pytest.param({"cpu": "0.5"}, {"cpu": "501m"}, False, id="another amount"),
    pytest.param({"value": "1.0"}, {"value": "1"}, False, id="text is no amount"),
    pytest.param(
        {"containers": [CONTAINER]},
        {"containers": [{"name": "injected"}, {**CONTAINER, "imagePullPolicy": "Always"}]},
        True,
        id="somebody injected a container",
    ),
    pytest.param({"containers": [CONTAINER]}, {"containers": []}, False, id="no container"),
    pytest.param(
        {"containers": [CONTAINER]},
        {"containers": [{**CONTAINER, "image": "j"}]},
        False,
        id="another image",
    ),
    pytest.param({"args": ["a"]}, {"args": ["a", "b"]}, False, id="a plain list is compared whole"),
    pytest.param(
        {"ports": [{"port": 1}]}, {"ports": [{"port": 1, "nodePort": 3}]}, True, id="port"
    ),
    pytest.param({"args": ["a"]}, {"args": None}, False, id="a list that is gone"),
    pytest.param({"a": {"b": 1}}, {"a": "text"}, False, id="another shape"),
]


@pytest.mark.parametrize(("wanted", "found", "result"), CONFORMING)
def test_what_is_there_conforms_if_it_has_all_that_is_wanted(
    wanted: dict[str, Any], found: dict[str, Any], *, result: bool
) -> None:
    assert conforms(wanted, found) is result


def child(kind: str, name: str = "agent-math") -> Child:
    api_version = "apps/v1" if kind == "Deployment" else "v1"
    metadata = {"namespace": "team", "name": name}
    return Child({"apiVersion": api_version, "kind": kind, "metadata": metadata})


ACCOUNT, WORKER = child("ServiceAccount"), child("Deployment")
CONSUMER = Consumer(
    stream="team_default_TASKS",
    durable="math-1",
    filter_subject="k8gentai.team.default.tasks.team.math",
    owner="Agent team/math u",
    ack_wait=timedelta(seconds=10),
    max_deliver=1000,
    max_ack_pending=1000,
)
IDENTITY = KvEntry("team_default_policy", "workloads.team.agent-math", b"i")
LISTING = KvEntry("team_default_catalogue", "agents.team.math", b"l")
DESIRED = Desired(
    children=(ACCOUNT, WORKER),
    bound=(WORKER.ref,),
    consumers=(CONSUMER,),
    entries=(IDENTITY, LISTING),
)
TASKS = desired_streams(the_stack(), SITE)[0]
EMPTY = QueueFacts(streams={TASKS.name: TASKS})
FULL = replace(
    EMPTY,
    consumers={CONSUMER.ref: CONSUMER},
    entries={IDENTITY.ref: IDENTITY.value, LISTING.ref: LISTING.value},
)
CHILDREN = {ACCOUNT.ref: ACCOUNT.manifest, WORKER.ref: WORKER.manifest}
OWNER = "Agent team/math"


def test_what_comes_comes_in_order() -> None:
    """A worker that starts finds its identity and what it pulls from; clients find a worker."""
    assert changes(DESIRED, {}, EMPTY, owner=OWNER).steps == (
        ApplyChild(ACCOUNT, force=False),
        ApplyQueue(CONSUMER),
        ApplyQueue(IDENTITY),
        ApplyChild(WORKER, force=False),
        ApplyQueue(LISTING),
    )


def test_what_goes_goes_the_other_way_round() -> None:
    assert changes(Desired(), CHILDREN, FULL, owner=OWNER).steps == (
        DeleteChild(WORKER.ref),
        DeleteChild(ACCOUNT.ref),
        DeleteEntry(LISTING.ref),
        Purge(CONSUMER.stream, CONSUMER.filter_subject),
        DeleteConsumer(CONSUMER.ref),
        DeleteEntry(IDENTITY.ref),
    )


def test_what_is_as_it_should_be_is_left_alone() -> None:
    assert changes(DESIRED, CHILDREN, FULL, owner=OWNER).steps == ()


def test_what_is_ours_already_is_taken_back_by_force() -> None:
    worker = Child({**WORKER.manifest, "spec": {"replicas": 2}})
    desired = replace(DESIRED, children=(ACCOUNT, worker))

    assert changes(desired, CHILDREN, FULL, owner=OWNER).steps == (ApplyChild(worker, force=True),)


def test_without_a_queue_a_new_worker_waits_and_an_old_one_does_not() -> None:
    down = Unavailable("NATS at nats://n does not answer")
    worker = Child({**WORKER.manifest, "spec": {"replicas": 2}})
    desired = replace(DESIRED, children=(ACCOUNT, worker))

    fresh = changes(desired, {}, down, owner=OWNER)
    running = changes(desired, CHILDREN, down, owner=OWNER)

    assert fresh.steps == (ApplyChild(ACCOUNT, force=False),)
    assert running.steps == (ApplyChild(worker, force=True),)
    assert running.blocked is not None
    assert (running.blocked.message, running.blocked.unknown) == (down.reason, True)


def test_the_messages_of_a_stale_consumer_go_before_it_does() -> None:
    """Killed in between, the next reconcile still finds the consumer and so the rest of it."""
    stale = replace(CONSUMER, durable="math-0")
    facts = replace(EMPTY, consumers={stale.ref: stale})

    steps = changes(DESIRED, {}, facts, owner=OWNER).steps

    assert steps[1:4] == (
        Purge(stale.stream, stale.filter_subject),
        DeleteConsumer(stale.ref),
        ApplyQueue(CONSUMER),
    )


def test_a_consumer_of_everything_takes_nothing_along() -> None:
    everything = replace(CONSUMER, durable="all", filter_subject="")
    facts = replace(EMPTY, consumers={everything.ref: everything})

    steps = changes(Desired(), {}, facts, owner=OWNER).steps

    assert steps == (DeleteConsumer(ConsumerRef(CONSUMER.stream, "all")),)


def test_what_others_write_stays() -> None:
    functions = EntryRef("team_default_catalogue", "functions.team.add")
    facts = replace(FULL, entries={**FULL.entries, functions: b"f"})
    desired = replace(DESIRED, not_ours=(functions,))

    assert changes(desired, CHILDREN, facts, owner=OWNER).steps == ()
    assert DeleteEntry(functions) in changes(Desired(), CHILDREN, facts, owner=OWNER).steps


def test_what_is_to_be_kept_is_kept() -> None:
    leaving = changes(Desired(keeps_queue=True), CHILDREN, FULL, owner=OWNER)
    draining = changes(
        Desired(entries=(LISTING,), keeps_queue=True, keeps_children=True),
        CHILDREN,
        FULL,
        owner=OWNER,
    )

    assert leaving.steps == (DeleteChild(WORKER.ref), DeleteChild(ACCOUNT.ref))
    assert draining.steps == ()


def test_only_streams_of_the_owner_are_taken_away() -> None:
    mine = replace(TASKS, name="mine", owner=OWNER)
    facts = QueueFacts(streams={"mine": mine, TASKS.name: TASKS})

    assert changes(Desired(), {}, facts, owner=OWNER).steps == (DeleteStream("mine"),)


def test_what_was_taken_away_is_told_when_it_had_been_there() -> None:
    missing = changes(DESIRED, {}, EMPTY, owner=OWNER, was_programmed=True)
    fresh = changes(DESIRED, {}, EMPTY, owner=OWNER)

    assert missing.repairs == (
        "ServiceAccount team/agent-math was gone; it is made again",
        "Deployment team/agent-math was gone; it is made again",
        "consumer math-1 of team_default_TASKS was gone; it is made again",
        "entry workloads.team.agent-math was gone; it is made again",
        "entry agents.team.math was gone; it is made again",
    )
    assert fresh.repairs == ()


def test_a_reference_to_a_child_is_what_kubernetes_calls_it() -> None:
    assert WORKER.ref == ChildRef("apps/v1", "Deployment", "team", "agent-math")
