"""Names are injective and cannot be used to reach beyond an object's own place."""

import pytest

from runtime.contract.keys import ask_key, effect_key, keys_of, run_key
from runtime.contract.subjects import (
    Bucket,
    StackSubjects,
    Stream,
    asked_durable,
    durable,
    durable_owner,
    inbox,
    token,
)
from runtime.contract.value import ObjectName


def name(namespace: str, name: str) -> ObjectName:
    return ObjectName(namespace=namespace, name=name)


SUBJECTS = StackSubjects(name("ns", "stack"))
MATH, ADD = name("a", "math"), name("b", "add")


@pytest.mark.parametrize(
    ("made", "expected"),
    [
        (SUBJECTS.stream(Stream.TASKS), "ns_stack_TASKS"),
        (SUBJECTS.bucket(Bucket.RUNS), "ns_stack_runs"),
        (SUBJECTS.tasks(MATH), "k8gentai.ns.stack.tasks.a.math"),
        (SUBJECTS.asked(MATH), "k8gentai.ns.stack.asked.a.math"),
        (SUBJECTS.calls(ADD, MATH), "k8gentai.ns.stack.calls.b.add.a.math"),
        (SUBJECTS.calls_of(ADD), "k8gentai.ns.stack.calls.b.add.>"),
        (SUBJECTS.events(MATH, "o", "t"), "k8gentai.ns.stack.events.a.math.o.t"),
        (SUBJECTS.events_for("o"), "k8gentai.ns.stack.events.*.*.o.*"),
        (SUBJECTS.events_of("t"), "k8gentai.ns.stack.events.*.*.*.t"),
        (SUBJECTS.dead(Stream.CALLS, ADD), "k8gentai.ns.stack.dead.calls.b.add"),
        (SUBJECTS.wake(MATH, "w"), "k8gentai.ns.stack.wake.a.math.w"),
        (SUBJECTS.cancel(MATH, "t"), "k8gentai.ns.stack.cancel.a.math.t"),
        (run_key(MATH, "t"), "a.math.t"),
        (effect_key(ADD, MATH, "t", 1, 0), "b.add.a.math.t.1.0"),
    ],
)
def test_each_name_is_made_in_one_place(made: str, expected: str) -> None:
    assert made == expected


@pytest.mark.parametrize("text", ["", ">", "*", "a.b", "a b", "A", "a_b", "-a", "a" * 64, "ü"])
def test_what_is_no_label_never_becomes_part_of_a_subject(text: str) -> None:
    with pytest.raises(ValueError, match="no DNS label"):
        token(text)


@pytest.mark.fault(37)
def test_a_recreated_object_gets_another_durable() -> None:
    assert durable("math", "a", "uid-1") != durable("math", "a", "uid-2")


def test_an_agent_has_a_second_durable_that_no_object_can_have() -> None:
    first = durable("math-2", "a", "uid")
    second = asked_durable(first)
    assert second == f"{first}_asked"
    assert durable_owner(first) == durable_owner(second) == "math-2"
    with pytest.raises(ValueError, match="no DNS label"):
        asked_durable(second)


@pytest.mark.parametrize(
    ("stream", "subject"),
    [
        (Stream.TASKS, SUBJECTS.tasks(MATH)),
        (Stream.TASKS, SUBJECTS.asked(MATH)),
        (Stream.CALLS, SUBJECTS.calls(MATH, ADD)),
        (Stream.CALLS, SUBJECTS.asks(MATH, ADD)),
    ],
)
def test_every_message_of_a_work_queue_is_somebodys(stream: Stream, subject: str) -> None:
    assert SUBJECTS.owner(stream, subject) == MATH


@pytest.mark.parametrize(
    ("stream", "subject"),
    [(Stream.CALLS, SUBJECTS.asked(MATH)), (Stream.EVENTS, SUBJECTS.events(MATH, "o", "t"))],
)
def test_what_is_in_no_work_queue_is_nobodys(stream: Stream, subject: str) -> None:
    with pytest.raises(ValueError, match="is no subject of"):
        SUBJECTS.owner(stream, subject)


@pytest.mark.fault(37)
def test_agents_of_one_name_in_two_namespaces_share_nothing() -> None:
    other = name("c", "math")
    assert SUBJECTS.tasks(MATH) != SUBJECTS.tasks(other)
    assert SUBJECTS.asked(MATH) != SUBJECTS.asked(other)
    assert durable("math", "a", "u") != durable("math", "c", "u")
    assert inbox(MATH) != inbox(other)
    assert run_key(MATH, "t") != run_key(other, "t")


def test_a_call_of_an_agent_is_no_tools_to_answer() -> None:
    key = ask_key(MATH, MATH, "t1", 7, 0)
    assert key == "a.agent_math.a.math.t1.7.0"
    assert not key.startswith(keys_of(MATH).removesuffix(">"))
