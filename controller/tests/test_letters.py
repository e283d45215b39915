"""What people read of a dead letter."""

import dataclasses
from datetime import UTC, datetime

import pytest

from controller.letters import Letter, listed, plain, shown
from controller.model import Stored
from runtime.contract.dead_letter import DeadLetter
from runtime.contract.keys import effect_key
from runtime.contract.messages import Call, Message, Role, Task
from runtime.contract.subjects import StackSubjects, Stream
from runtime.contract.value import ObjectName

STACK = ObjectName(namespace="team", name="default")
MATH = ObjectName(namespace="team", name="math")
ADD = ObjectName(namespace="tools", name="add")
SUBJECTS = StackSubjects(STACK)
WHEN = datetime(2026, 11, 22, 23, 28, 57, 123456, tzinfo=UTC)
TASK = Task(
    id="t1",
    stack=STACK,
    agent=MATH,
    origin="o1",
    user="ann",
    input=(
        Message(role=Role.SYSTEM, text="Be brief."),
        Message(role=Role.USER, text="two\nlines\x1b[2J"),
    ),
    created=1.5,
    deadline=2.5,
    grant="eyJhbGciOi.secret",
)
CALL = Call(
    id=effect_key(ADD, MATH, "t1", 1, 0),
    task="t1",
    step=1,
    index=0,
    caller=MATH,
    tool=ADD,
    function="add",
    arguments={"a": 2},
    worker="w1",
    deadline=2.5,
)
LETTER = DeadLetter(
    stream=Stream.TASKS,
    sequence=17,
    subject=SUBJECTS.tasks(MATH),
    reason="gave up after 4 attempts",
    deliveries=5,
    work="t1",
    error="it crashed",
    data=TASK.encode(),
)


def letter(dead: DeadLetter = LETTER, owner: ObjectName = MATH, number: int = 3) -> Letter:
    subject = SUBJECTS.dead(dead.stream, owner)
    return Letter.of(Stored(number, subject, dead.headers(), dead.data, WHEN), SUBJECTS)


def changed(**facts: object) -> DeadLetter:
    return dataclasses.replace(LETTER, **facts)  # type: ignore[arg-type]  # fields of many types


def test_a_letter_is_a_line_below_its_headings() -> None:
    other = changed(
        stream=Stream.CALLS, reason="malformed: no call\nat all " + "x" * 200, deliveries=1
    )
    assert listed([letter(number=12), letter(other, ADD)]) == [
        "ID  WHEN                  FOR        DELIVERED  WHY",
        "12  2026-11-22T23:28:57Z  team/math  5          gave up after 4 attempts",
        "3   2026-11-22T23:28:57Z  tools/add  1          malformed: no call at all "
        + "x" * 73
        + "…",
    ]


def test_a_task_is_shown_with_its_input_and_without_its_grant() -> None:
    lines = shown(letter())
    assert lines[:10] == [
        "for        team/math, task t1",
        "when       2026-11-22T23:28:57Z",
        "why        gave up after 4 attempts",
        "error      it crashed",
        "delivered  5 times",
        "was        message 17 of TASKS, k8gentai.team.default.tasks.team.math",
        "input      system: Be brief.",
        "input      user: two",
        "           lines\\x1b[2J",
        "message    {",
    ]
    assert lines[10] == '             "schema": 1,'
    text = "\n".join(lines)
    assert '"user": "ann"' in text
    assert "secret" not in text
    assert "\x1b" not in text


def test_a_call_is_shown_with_its_function_and_its_caller() -> None:
    dead = changed(stream=Stream.CALLS, data=CALL.encode(), work=CALL.id, error=LETTER.reason)
    lines = shown(letter(dead, ADD))
    assert lines[0] == f"for        tools/add, call {CALL.id}"
    assert not [line for line in lines if line.startswith("error")], "it is the reason itself"
    assert "input      add, called by team/math" in lines
    assert any('"a": 2' in line for line in lines)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        pytest.param(b"not\xff json", r"           not\xff json", id="no text"),
        pytest.param(b'{"schema":99}', '           {"schema":99}', id="no task"),
        pytest.param(
            b"", "message    was dropped by the queue before anybody could tell it", id="untold"
        ),
    ],
)
@pytest.mark.fault(6)
def test_bad_bytes_can_be_read(data: bytes, said: str) -> None:
    lines = shown(letter(changed(data=data, work=None, subject=None, reason="malformed")))
    assert lines[0] == "for        team/math, task that could not be read"
    assert lines[-1] == said


@pytest.mark.parametrize(
    ("text", "harmless"),
    [
        ("plain äöü 日本\nline", "plain äöü 日本\nline"),
        ("\x1b]0;title\x07", r"\x1b]0;title\x07"),
        ("\r\x9b1m", r"\r\x9b1m"),
        ("abc\u202edef", r"abc\u202edef"),
    ],
)
def test_what_a_terminal_would_obey_is_escaped(text: str, harmless: str) -> None:
    assert plain(text) == harmless


@pytest.mark.parametrize(
    ("subject", "headers"),
    [
        pytest.param("k8gentai.team.default.tasks.team.math", LETTER.headers(), id="subject"),
        pytest.param(SUBJECTS.dead(Stream.TASKS, MATH), {}, id="headers"),
    ],
)
def test_what_is_no_letter_is_told(subject: str, headers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no dead letter|no subject of a dead letter"):
        Letter.of(Stored(1, subject, headers, b"", WHEN), SUBJECTS)
