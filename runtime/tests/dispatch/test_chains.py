"""What becomes of what one agent asks of another, as tables."""

from typing import Any

import pytest

from runtime.contract.access import Guard, Rule
from runtime.contract.agent_config import Framework
from runtime.contract.catalogue import AgentEntry
from runtime.contract.keys import ask_key, asked_task
from runtime.contract.messages import (
    LONGEST_CHAIN,
    Asked,
    Call,
    CallResult,
    FailureReason,
    Message,
    Outcome,
    Role,
    Task,
)
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.subjects import StackSubjects, token
from runtime.contract.value import ObjectName
from runtime.dispatch.chains import (
    Chains,
    NotYet,
    Refuse,
    Take,
    genuine_ask,
    judged,
    result_of,
)
from runtime.tools.calls import step_of

STACK = ObjectName(namespace="ns", name="stack")
SUBJECTS = StackSubjects(STACK)
DEADLINE = 600.0


def named(name: str) -> ObjectName:
    return ObjectName(namespace="ns", name=name)


A, B, C, D, E = map(named, "abcde")


def call(caller: ObjectName = A, callee: ObjectName = B, **facts: Any) -> Call:
    arguments = {"input": "1 + 1"}
    step = step_of(callee.name, arguments)
    fields: dict[str, Any] = {
        "id": ask_key(callee, caller, "t1", step, 0),
        "task": "t1",
        "step": step,
        "index": 0,
        "caller": caller,
        "tool": callee,
        "function": callee.name,
        "arguments": arguments,
        "worker": "w",
        "deadline": DEADLINE,
    }
    return Call(**fields | facts)


def asked(*chain: ObjectName, task: str = "t0") -> Asked:
    return Asked(call="k", task=task, worker="w", chain=chain, deadline=DEADLINE)


def record(
    agent: ObjectName = A,
    *,
    task: str = "t1",
    asked: Asked | None = None,
    state: RunState = RunState.RUNNING,
    **facts: Any,
) -> RunRecord:
    made = Task(
        id=task,
        stack=STACK,
        agent=agent,
        origin="api",
        user="ann",
        input=(Message(role=Role.USER, text="?"),),
        asked=asked,
        created=0,
        deadline=DEADLINE,
        grant="of the parent",
    )
    return RunRecord(**{"task": made, "state": state, "attempt": 1} | facts)


def entry(**facts: Any) -> AgentEntry:
    return AgentEntry(
        **{"agent": B, "model": "b", "framework": Framework.AG2, "timeout_seconds": 60} | facts
    )


def test_a_call_becomes_a_task_of_the_same_user() -> None:
    made = judged(call(traceparent="trace", grant="signed"), record(), entry(), 100)

    assert isinstance(made, Take)
    task = made.task
    assert (task.stack, task.agent, task.user, task.grant) == (STACK, B, "ann", "signed")
    assert [message.text for message in task.input] == ["1 + 1"]
    assert (task.created, task.deadline, task.traceparent) == (100, 160, "trace")
    assert task.conversation is None
    key = call().id
    assert task.id == asked_task(key) == token(task.id)
    assert task.asked == Asked(call=key, task="t1", worker="w", chain=(A,), deadline=DEADLINE)


@pytest.mark.parametrize(
    ("timeout", "call_deadline", "deadline"),
    [
        pytest.param(60, 600, 160, id="its own timeout"),
        pytest.param(900, 600, 600, id="the deadline of whoever asks"),
        pytest.param(900, 300, 300, id="the deadline of the call"),
        pytest.param(900, 9999, 600, id="no call outlives its run"),
    ],
)
def test_a_task_ends_when_the_first_one_loses_patience(
    timeout: int, call_deadline: float, deadline: float
) -> None:
    made = judged(call(deadline=call_deadline), record(), entry(timeout_seconds=timeout), 100)
    assert isinstance(made, Take)
    assert made.task.deadline == deadline


def test_the_longest_chain_is_taken() -> None:
    made = judged(call(D, E), record(D, asked=asked(A, B, C)), entry(agent=E), 0)
    assert isinstance(made, Take)
    assert made.task.asked is not None
    assert made.task.asked.chain == (A, B, C, D)
    assert len(made.task.asked.chain) + 1 == LONGEST_CHAIN


@pytest.mark.parametrize("state", [RunState.RUNNING, RunState.QUEUED])
def test_a_run_that_was_handed_back_still_waits(state: RunState) -> None:
    assert isinstance(judged(call(), record(state=state), entry(), 0), Take)


@pytest.mark.parametrize(
    ("refused", "why"),
    [
        pytest.param(
            (call(A, A), record()), "a cannot be asked: it waits for this answer itself (a → a)"
        ),
        pytest.param(
            (call(C, A), record(C, asked=asked(A, B))),
            "a cannot be asked: it waits for this answer itself (a → b → c → a)",
        ),
        pytest.param(
            (call(E, named("f")), record(E, asked=asked(A, B, C, D))),
            "f cannot be asked: 5 agents wait for each other already (a → b → c → d → e), and no "
            "more than 5 may; find the answer without it",
        ),
        pytest.param((call(), record(), None), "there is no agent b; find the answer without it"),
        pytest.param(
            (call(), record(), entry(guard=Guard(policy=named("p")))),
            "the agent b may not be asked; find the answer without it",
        ),
        pytest.param(
            (call(), record(), entry(accepting=False)),
            "the agent b takes no work at the moment; find the answer without it",
        ),
        pytest.param(
            (call(), record(), entry(max_input_bytes=4)),
            "the input for b has 5 bytes, and it takes 4; say less",
        ),
        pytest.param(
            (call(deadline=9), record()),
            "b was not asked: the deadline had passed before its turn came",
        ),
        pytest.param(
            (call(), record(cancel_requested=True)),
            "b was not asked: the run that asks is at its end",
        ),
        *(
            pytest.param(
                (call(), record(state=state)), "b was not asked: the run that asks is at its end"
            )
            for state in (RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED)
        ),
    ],
)
def test_what_cannot_be_asked_is_refused_with_a_sentence(
    refused: tuple[Any, ...], why: str
) -> None:
    asks, parent, *rest = refused
    judgement = judged(asks, parent, rest[0] if rest else entry(), 10)
    assert isinstance(judgement, Refuse)
    assert judgement.sentence.startswith(why)


def test_both_who_asks_and_who_is_asked_have_to_allow_it() -> None:
    rules = (Rule(place=0, from_agents=("a",), to_agents=("b",)),)
    allows, denies = Guard(policy=named("p"), rules=rules), Guard(policy=named("q"))
    asked = entry(guard=allows)

    assert isinstance(judged(call(), record(), asked, 10), Take)
    assert isinstance(judged(call(), record(), asked, 10, asking=allows), Take)
    assert isinstance(judged(call(), record(), asked, 10, asking=denies), Refuse)


@pytest.mark.parametrize("parent", [None, record(state=RunState.QUEUED, attempt=0)])
def test_a_run_that_has_not_begun_cannot_ask_yet(parent: RunRecord | None) -> None:
    assert judged(call(), parent, entry(), 0) == NotYet()


def test_a_call_is_taken_from_whoever_may_publish_it() -> None:
    assert genuine_ask(SUBJECTS, SUBJECTS.asks(B, A), call().encode()) == call()


@pytest.mark.parametrize(
    ("subject", "data"),
    [
        pytest.param(SUBJECTS.asks(B, C), call().encode(), id="in another's name"),
        pytest.param(SUBJECTS.asks(C, A), call().encode(), id="of another agent"),
        pytest.param(SUBJECTS.calls(B, A), call().encode(), id="of a tool"),
        pytest.param(SUBJECTS.asks(B, A), call(id="k").encode(), id="another key"),
        pytest.param(SUBJECTS.asks(B, A), call(step=1).encode(), id="another step"),
        pytest.param(SUBJECTS.asks(B, A), call(index=1).encode(), id="another number"),
        pytest.param(SUBJECTS.asks(B, A), call(worker="*").encode(), id="a worker like no other"),
        pytest.param(SUBJECTS.asks(B, A), b"{", id="no call"),
        pytest.param(
            SUBJECTS.asks(B, A),
            call(
                id=ask_key(B, A, "t1", step_of("b", {"input": 1}), 0),
                step=step_of("b", {"input": 1}),
                arguments={"input": 1},
            ).encode(),
            id="no words",
        ),
    ],
)
def test_what_is_not_genuine_is_no_call(subject: str, data: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        genuine_ask(SUBJECTS, subject, data)


@pytest.mark.parametrize(
    ("end", "result"),
    [
        pytest.param(
            {"state": RunState.COMPLETED, "text": "2"},
            {"outcome": Outcome.SUCCEEDED, "value": "2"},
            id="completed",
        ),
        pytest.param(
            {
                "state": RunState.FAILED,
                "reason": FailureReason.TIMED_OUT,
                "message": "nobody took it",
            },
            {
                "outcome": Outcome.FAILED,
                "error": "the agent b failed (TimedOut): nobody took it",
            },
            id="failed",
        ),
        pytest.param(
            {"state": RunState.CANCELLED},
            {"outcome": Outcome.FAILED, "error": "the run of the agent b was cancelled"},
            id="cancelled",
        ),
    ],
)
def test_the_end_of_a_run_is_the_result_of_its_call(
    end: dict[str, Any], result: dict[str, Any]
) -> None:
    ended = record(B, asked=asked(A), **end)
    assert result_of(ended, asked(A)) == CallResult(call="k", **result)


def test_a_run_without_an_end_has_no_result() -> None:
    with pytest.raises(ValueError, match="has not ended"):
        result_of(record(B), asked(A))


PARENT = record(A, task="t1")
CHILD = record(B, task="t2", asked=asked(A, task="t1"))


def test_a_run_waits_for_what_it_has_asked_for_until_its_end() -> None:
    chains = Chains()
    chains.open(PARENT)
    chains.open(CHILD)
    assert not chains.is_orphan(PARENT.task)
    assert not chains.is_orphan(CHILD.task)
    assert chains.close("t1") == [(B, "t2")]
    assert chains.is_orphan(CHILD.task)


def test_a_run_that_is_to_be_cancelled_waits_no_more() -> None:
    chains = Chains()
    chains.open(PARENT)
    chains.open(CHILD)
    assert chains.unwanted("t1") == [(B, "t2")]
    chains.open(PARENT.model_copy(update={"cancel_requested": True}))
    assert chains.is_orphan(CHILD.task)


def test_a_run_that_was_asked_for_too_late_has_nobody() -> None:
    chains = Chains()
    chains.open(CHILD)
    assert chains.is_orphan(CHILD.task)


def test_what_has_ended_is_forgotten() -> None:
    chains = Chains()
    chains.open(PARENT)
    chains.open(CHILD)
    assert [chains.close(task) for task in ("t2", "t2", "t1")] == [[], [], []]
    assert (chains._asked_by, chains._asker, chains._wanted) == ({}, {}, set())
