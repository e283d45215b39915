"""What stands in the book, and when it comes up."""

from typing import Any

import pytest

from runtime.contract.access import Guard, Rule
from runtime.contract.agent_config import Framework
from runtime.contract.catalogue import AgentEntry
from runtime.contract.keys import agent_entry, run_key
from runtime.contract.messages import Asked, Message, Role, Task
from runtime.contract.runs import RunRecord, RunState
from runtime.contract.value import ObjectName
from runtime.dispatch.book import (
    SLACK,
    TELLING_SECONDS,
    AnsweredRun,
    Book,
    Conversation,
    EndedRun,
    Matter,
    OpenRun,
)
from runtime.dispatch.decide import UNPUBLISHED_SECONDS
from runtime.transport.port import Entry

STACK = ObjectName(namespace="ns", name="stack")
MATH = ObjectName(namespace="ns", name="math")
OPEN, ENDED, TALK = OpenRun(MATH, "t1"), EndedRun(MATH, "t1"), Conversation("c")


def note(
    book: Book,
    state: RunState,
    *,
    now: float = 0,
    task: str = "t1",
    conversation: str | None = None,
    cancel: bool = False,
    ended: float | None = None,
    deadline: float = 600,
    asked: Asked | None = None,
    inherited: bool = False,
) -> None:
    run = RunRecord(
        task=Task(
            id=task,
            stack=STACK,
            agent=MATH,
            origin="api",
            conversation=conversation,
            input=(Message(role=Role.USER, text="1 + 1"),),
            asked=asked,
            created=0,
            deadline=deadline,
        ),
        state=state,
        cancel_requested=cancel,
        ended=ended,
    )
    book.note(Entry(run_key(MATH, task), run.encode(), 1), now, inherited=inherited)


@pytest.mark.parametrize(
    ("state", "conversation", "matters"),
    [
        pytest.param(RunState.QUEUED, None, {OPEN: 600.0}, id="queued"),
        pytest.param(RunState.RUNNING, None, {OPEN: 610.0}, id="running"),
        pytest.param(RunState.RUNNING, "c", {OPEN: 610.0}, id="running in a conversation"),
        pytest.param(RunState.WAITING, "c", {OPEN: 600.0, TALK: 50.0}, id="waiting"),
        pytest.param(RunState.COMPLETED, None, {}, id="completed"),
        pytest.param(RunState.COMPLETED, "c", {TALK: 50.0}, id="completed in a conversation"),
        pytest.param(RunState.FAILED, None, {ENDED: 50 + TELLING_SECONDS}, id="failed"),
        pytest.param(RunState.CANCELLED, None, {ENDED: 50 + TELLING_SECONDS}, id="cancelled"),
    ],
)
def test_a_record_asks_for_a_look(
    state: RunState, conversation: str | None, matters: dict[Matter, float]
) -> None:
    book = Book(event_seconds=3600)

    note(book, state, conversation=conversation, now=50)

    assert taken(book) == matters


def taken(book: Book) -> dict[Matter, float]:
    """Everything that stands in the book, with its time."""
    found: dict[Matter, float] = {}
    while (at := book.next_time) is not None:
        assert book.take(at - 0.001) == []
        found |= dict.fromkeys(book.take(at), at)
    return found


def test_a_queued_run_of_a_conversation_may_have_been_left_unpublished() -> None:
    book = Book(event_seconds=3600)

    note(book, RunState.QUEUED, conversation="c", now=50, inherited=True)

    assert taken(book) == {TALK: 50.0, OPEN: 600.0}


def test_a_run_of_a_conversation_is_looked_at_once_it_should_be_published() -> None:
    book = Book(event_seconds=3600)
    note(book, RunState.QUEUED, conversation="c", now=1)
    note(book, RunState.QUEUED, task="t2", conversation="d", now=1)
    note(book, RunState.WAITING, task="t3", conversation="d", now=2)
    note(book, RunState.QUEUED, task="t2", conversation="d", now=3)

    assert [book.take(at) for at in (4, UNPUBLISHED_SECONDS)] == [[Conversation("d")], [TALK]]


def test_an_end_closes_what_was_open() -> None:
    book = Book(event_seconds=3600)
    note(book, RunState.QUEUED)
    note(book, RunState.RUNNING)

    note(book, RunState.COMPLETED)

    assert book.take(10_000) == []


def test_a_record_that_is_deleted_closes_what_was_open() -> None:
    book = Book(event_seconds=3600)
    note(book, RunState.QUEUED)
    note(book, RunState.QUEUED, task="t2")

    book.note(Entry(run_key(MATH, "t1"), b"", 2, deleted=True), 0)

    assert taken(book) == {OpenRun(MATH, "t2"): 600.0}


def test_an_end_that_nobody_can_follow_any_more_is_not_told() -> None:
    book = Book(event_seconds=3600)

    note(book, RunState.FAILED, ended=0, now=4000)

    assert book.next_time is None


def test_an_end_that_a_dead_leader_wrote_is_told_at_once() -> None:
    book = Book(event_seconds=3600)

    note(book, RunState.FAILED, ended=40, now=50, inherited=True)

    assert taken(book) == {ENDED: 50.0}


def test_a_cancellation_counts_from_when_it_was_first_seen() -> None:
    book = Book(event_seconds=3600)
    note(book, RunState.RUNNING, cancel=True, now=10)
    note(book, RunState.RUNNING, cancel=True, now=20)

    assert book.cancelled_since("t1") == 10
    assert taken(book) == {OPEN: 25.0}
    note(book, RunState.CANCELLED, now=30)
    assert book.cancelled_since("t1") is None


ASKED = Asked(call="k", task="t0", worker="w", chain=(MATH,), deadline=600)


@pytest.mark.parametrize("inherited", [True, False])
@pytest.mark.parametrize("state", [RunState.COMPLETED, RunState.FAILED, RunState.CANCELLED])
def test_the_end_of_a_run_that_an_agent_has_asked_for_is_brought_to_it(
    state: RunState, *, inherited: bool
) -> None:
    book = Book(event_seconds=3600)
    note(book, state, asked=ASKED, now=50, inherited=inherited)
    assert AnsweredRun(MATH, "t1") in book.take(50)


@pytest.mark.parametrize("state", [RunState.COMPLETED, RunState.FAILED])
def test_an_end_at_its_deadline_is_brought_to_who_may_wait_longer(state: RunState) -> None:
    """Who asked may be parked, and then its own deadline moves on."""
    book = Book(event_seconds=3600)
    note(book, state, asked=ASKED, ended=600, now=601, inherited=True)
    assert AnsweredRun(MATH, "t1") in book.take(601)


def test_an_end_that_no_agent_waits_for_any_more_is_brought_to_nobody() -> None:
    book = Book(event_seconds=3600)
    note(book, RunState.COMPLETED, asked=ASKED, ended=40, now=3640, inherited=True)
    assert book.next_time is None


@pytest.mark.parametrize(
    ("state", "cancel"),
    [
        (RunState.RUNNING, True),
        (RunState.COMPLETED, False),
        (RunState.FAILED, False),
        (RunState.CANCELLED, True),
    ],
)
def test_what_a_run_has_asked_for_comes_up_when_it_waits_no_more(
    state: RunState, *, cancel: bool
) -> None:
    book = Book(event_seconds=3600)
    note(book, RunState.RUNNING, task="t0")
    note(book, RunState.RUNNING, task="t1", asked=ASKED)
    assert book.take(100) == []

    note(book, state, task="t0", cancel=cancel, now=100)
    assert OPEN in book.take(100)


def test_what_a_deleted_run_has_asked_for_comes_up() -> None:
    book = Book(event_seconds=3600)
    note(book, RunState.RUNNING, task="t0")
    note(book, RunState.RUNNING, task="t1", asked=ASKED)
    book.note(Entry(run_key(MATH, "t0"), b"", 3, deleted=True), 100)
    assert book.take(100) == [OPEN]
    book.note(Entry(run_key(MATH, "t1"), b"", 4, deleted=True), 100)
    note(book, RunState.COMPLETED, task="t0", now=100)
    assert taken(book) == {}


@pytest.mark.parametrize("inherited", [True, False])
def test_what_was_asked_for_too_late_comes_up_at_once(*, inherited: bool) -> None:
    book = Book(event_seconds=3600)
    note(book, RunState.QUEUED, asked=ASKED, now=50, inherited=inherited)
    assert book.take(50) == [OPEN]


def test_whoever_led_before_need_not_have_seen_them_in_their_order() -> None:
    book = Book(event_seconds=3600)
    note(book, RunState.QUEUED, asked=ASKED, now=50, inherited=True)
    note(book, RunState.RUNNING, task="t0", now=50, inherited=True)
    (seen,) = book.take(50)
    assert seen == OPEN
    task = Task(
        id="t1", stack=STACK, agent=MATH, origin="o", input=(), asked=ASKED, created=0, deadline=9
    )
    assert not book.is_unwanted(task)


def note_agent(
    book: Book, *, cancelling: bool = False, now: float, agent: ObjectName = MATH, **facts: Any
) -> None:
    told = AgentEntry(
        agent=agent, model=agent.name, framework=Framework.LANGGRAPH, cancelling=cancelling, **facts
    )
    book.note_agent(Entry(agent_entry(agent), told.encode(), 1), now)


@pytest.mark.parametrize("state", [RunState.WAITING, RunState.QUEUED, RunState.RUNNING])
def test_runs_of_an_agent_that_is_deleted_come_up_at_once(state: RunState) -> None:
    book = Book(event_seconds=3600)
    note(book, state)
    note_agent(book, cancelling=True, now=10, agent=ObjectName(namespace="ns", name="other"))
    assert book.take(10) == []

    note_agent(book, cancelling=True, now=20)
    assert book.take(20) == [OPEN]
    note(book, state, task="t2", now=30)
    assert book.take(30) == [OpenRun(MATH, "t2")]
    note(book, RunState.RUNNING, cancel=True, now=40)
    assert book.take(54) == []


@pytest.mark.parametrize("gone", [b"", b"not json"])
def test_an_agent_that_is_there_again_has_runs_again(gone: bytes) -> None:
    book = Book(event_seconds=3600)
    note_agent(book, cancelling=True, now=0)
    assert book.is_cancelling(MATH)
    book.note_agent(Entry(agent_entry(MATH), gone, 2, deleted=not gone), 0)
    assert not book.is_cancelling(MATH)

    note_agent(book, cancelling=True, now=0)
    note_agent(book, cancelling=False, now=0)
    note(book, RunState.QUEUED)
    assert taken(book) == {OPEN: 600.0}


ADDER = ObjectName(namespace="ns", name="adder")
FOR_ANN = Guard(
    policy=ObjectName(namespace="ns", name="p"),
    rules=(
        Rule(place=0, users={"sub": ("ann",)}, to_agents=("math",)),
        Rule(place=1, from_agents=("adder",), to_agents=("math",)),
    ),
)
FOR_NOBODY = FOR_ANN.model_copy(update={"rules": ()})
OF_ADDER = ASKED.model_copy(update={"chain": (ADDER,)})


def run_of(user: str | None, asked: Asked | None = None) -> RunRecord:
    task = Task(
        id="t1",
        stack=STACK,
        agent=MATH,
        origin="o",
        user=user or "anonymous",
        input=(),
        asked=asked,
        created=0,
        deadline=600,
    )
    return RunRecord(task=task, claims=None if user is None else {})


@pytest.mark.parametrize(
    ("run", "guards", "denial"),
    [
        pytest.param(run_of(None), {}, "", id="no policy"),
        pytest.param(run_of("ann"), {MATH: FOR_ANN}, "", id="the rule names her"),
        pytest.param(
            run_of("bob"),
            {MATH: FOR_ANN},
            "the user bob may not call the agent math any more.",
            id="it does not name him",
        ),
        pytest.param(
            run_of(None),
            {MATH: FOR_ANN},
            "an anonymous user may not call the agent math any more.",
            id="anonymous",
        ),
        pytest.param(run_of("bob", OF_ADDER), {MATH: FOR_ANN}, "", id="an agent has asked"),
        pytest.param(
            run_of("ann", OF_ADDER),
            {ADDER: FOR_NOBODY},
            "the agent adder may not call the agent math any more.",
            id="the agent that has asked may call nobody",
        ),
    ],
)
def test_who_may_have_a_run_is_decided_by_what_the_catalogue_says(
    run: RunRecord, guards: dict[ObjectName, Guard], denial: str
) -> None:
    book = Book(event_seconds=3600)
    for agent, guard in guards.items():
        note_agent(book, now=0, agent=agent, guard=guard)

    assert book.denial(run) == denial


def test_runs_come_up_when_other_rules_are_about_who_runs_or_asks() -> None:
    book = Book(event_seconds=3600)
    note(book, RunState.RUNNING, task="t0")
    note(book, RunState.RUNNING, task="t1", asked=OF_ADDER)
    book.put(OpenRun(MATH, "t0"), 900)
    assert book.take(0) == []
    note_agent(book, now=10, guard=FOR_ANN)
    assert set(book.take(10)) == {OPEN, OpenRun(MATH, "t0")}
    book.put(OPEN, 600)
    note_agent(book, now=20, guard=FOR_ANN, message="nothing that matters")
    assert book.take(20) == []
    note_agent(book, now=30, agent=ADDER, guard=FOR_NOBODY)
    assert book.take(30) == [OPEN]
    book.put(OPEN, 600)
    book.note_agent(Entry(agent_entry(ADDER), b"not json", 2), 40)
    assert book.take(40) == []
    book.note_agent(Entry(agent_entry(ADDER), b"", 3, deleted=True), 50)
    assert book.take(50) == [OPEN]


def test_a_conversation_waits_for_as_long_as_anybody_in_it() -> None:
    book = Book(event_seconds=3600)
    note(book, RunState.WAITING, task="t1", conversation="c")
    note(book, RunState.WAITING, task="t2", conversation="c")

    note(book, RunState.QUEUED, task="t1", conversation="c")
    assert book.waits("c")
    note(book, RunState.CANCELLED, task="t2", conversation="c")
    assert not book.waits("c")


@pytest.mark.parametrize(
    "entry",
    [
        pytest.param(Entry("ns.math.t1", b"not json", 1), id="not json"),
        pytest.param(Entry("ns.math.t1", b'{"schema":99}', 1), id="a schema of tomorrow"),
        pytest.param(Entry("ns.math.t1", b"", 1, deleted=True), id="deleted"),
    ],
)
def test_what_is_no_record_is_passed_over(entry: Entry) -> None:
    book = Book(event_seconds=3600)

    book.note(entry, 0)

    assert book.next_time is None


def test_a_put_replaces_what_stood_there() -> None:
    book = Book(event_seconds=3600)
    book.put(TALK, 10)
    book.put(TALK, 5)
    book.put(TALK, 20)

    assert book.take(19) == []
    assert book.take(20) == [TALK]
    assert book.take(99) == []


def test_what_has_ended_takes_no_room() -> None:
    book = Book(event_seconds=3600)
    for number in range(20 * SLACK):
        note(book, RunState.QUEUED, task=f"t{number}")
        note(book, RunState.COMPLETED, task=f"t{number}")

    assert len(book._heap) <= SLACK + 1
    assert book._times == {}


def test_why_no_worker_of_an_agent_can_start_is_known_until_one_can() -> None:
    book = Book(event_seconds=3600)
    assert book.trouble(MATH) == ""
    note_agent(book, now=0, available=False, message="worker stopped: no module")
    assert book.trouble(MATH) == "worker stopped: no module"
    note_agent(book, now=1, message="0 of 1 workers ready")
    assert book.trouble(MATH) == ""
