"""What `up` tells, and how often."""

import json
import shlex

import pytest

from controller.api.names import Kind
from controller.local.screen import PATIENCE_SECONDS, STARTING_SECONDS, Screen
from controller.model import Key, Manifest

WORDS, MATH, POET = (
    Key(Kind.TOOL, "default", "words"),
    Key(Kind.AGENT, "default", "math"),
    Key(Kind.AGENT, "default", "poet"),
)
DEAD = "the MCP server at http://127.0.0.1:9/mcp cannot be reached; start it"


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def not_ready(message: str, reason: str = "DependencyNotReady") -> Manifest:
    ready = {"type": "Ready", "status": "False", "reason": reason, "message": message}
    return {"conditions": [ready]}


READY = {
    "conditions": [{"type": "Ready", "status": "True", "reason": "Ready", "message": "1 of 1"}]
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def screen(clock: Clock) -> Screen:
    return Screen(clock)


def lines(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was told since the last look, without the time."""
    return [line[8:] for line in capsys.readouterr().err.splitlines()]


def test_what_does_not_pass_is_told_once(
    screen: Screen, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    screen.report(WORDS, not_ready(DEAD))
    screen.tell_lasting(starting=False)
    assert lines(capsys) == []
    for _ in range(3):
        clock.now += PATIENCE_SECONDS
        screen.report(WORDS, not_ready(f"{DEAD} (tried {clock.now:g})"))
        screen.tell_lasting(starting=False)
    assert lines(capsys) == [f"· Tool words  DependencyNotReady: {DEAD} (tried 5)"]

    screen.report(WORDS, READY)
    screen.report(WORDS, not_ready(DEAD))
    clock.now += PATIENCE_SECONDS
    screen.tell_lasting(starting=False)
    assert lines(capsys) == [
        "✓ Tool words  Ready: 1 of 1",
        f"· Tool words  DependencyNotReady: {DEAD}",
    ]


def test_a_loss_is_told_at_once_and_each_recovery_once(
    screen: Screen, capsys: pytest.CaptureFixture[str]
) -> None:
    killed = not_ready("worker stopped: it was ended by a signal: Killed", "Progressing")
    waits = not_ready("Stack default/default is not ready: …")
    for status in (READY, killed, killed, READY, waits, READY):
        screen.report(MATH, status)
        screen.tell_lasting(starting=False)
    assert lines(capsys) == [
        "✓ Agent math  Ready: 1 of 1",
        "· Agent math  Progressing: worker stopped: it was ended by a signal: Killed",
        "✓ Agent math  Ready: 1 of 1",
    ]


def test_what_stands_in_the_way_now_is_told_when_it_stays(
    screen: Screen, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = "http://127.0.0.1:8/wrong answers 404 Not Found"
    for message in (DEAD, elsewhere, elsewhere):
        screen.report(WORDS, not_ready(message))
        clock.now += PATIENCE_SECONDS
        screen.tell_lasting(starting=False)

    assert lines(capsys) == [
        f"· Tool words  DependencyNotReady: {DEAD}",
        f"· Tool words  DependencyNotReady: {elsewhere}",
    ]


def test_what_several_wait_for_is_one_line_and_a_start_may_take_longer(
    screen: Screen, clock: Clock, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in (MATH, POET):
        screen.report(key, not_ready("Stack default/default is not ready: …"))
    clock.now += PATIENCE_SECONDS
    screen.tell_lasting(starting=True)
    assert lines(capsys) == []
    clock.now += STARTING_SECONDS
    screen.tell_lasting(starting=True)
    assert lines(capsys) == [
        "· Agent math, Agent poet  DependencyNotReady: Stack default/default is not ready: …"
    ]


def test_the_line_to_paste_holds_any_question(
    screen: Screen, capsys: pytest.CaptureFixture[str]
) -> None:
    screen.show_curl("http://127.0.0.1:1", "math", 'What\'s "17" + 25?')
    (line,) = lines(capsys)
    body = json.loads(shlex.split(line.removeprefix("try: "))[-1])
    assert body == {"model": "math", "input": 'What\'s "17" + 25?', "stream": True}
