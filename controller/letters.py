"""Dead letters in words: a line each, or one with everything that is known of it. Pure.

What a letter holds was written by clients, agents and tools, so nothing of it reaches a terminal
that is not plain text.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Self

from controller.model import Stored
from runtime.contract.dead_letter import DeadLetter, times
from runtime.contract.messages import Call, Task
from runtime.contract.subjects import StackSubjects, Stream

WHY_CHARACTERS: Final = 100
HIDDEN: Final = {"grant"}
"""Of a message: good at the token service alone, yet it speaks for a user."""
KIND: Final = {Stream.TASKS: "task", Stream.CALLS: "call"}
HEADINGS: Final = ("ID", "WHEN", "FOR", "DELIVERED", "WHY")
MARGIN: Final = 11


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter as it stands in DEAD.

    Shape:
        id     its place there.
        owner  the Agent or Tool, `<namespace>/<name>`.
    """

    id: int
    when: datetime
    owner: str
    letter: DeadLetter

    @classmethod
    def of(cls, stored: Stored, subjects: StackSubjects) -> Self:
        """The letter in a message of DEAD.

        Raises:
            ValueError: it is none, or of a version that is not known here.
        """
        return cls(
            id=stored.sequence,
            when=stored.time.astimezone(UTC),
            owner=str(subjects.dead_owner(stored.subject)),
            letter=DeadLetter.read(stored.headers, stored.data),
        )


def listed(letters: Sequence[Letter]) -> list[str]:
    """A line for each letter below one with headings; the columns stand below each other."""
    rows = [HEADINGS, *(_row(letter) for letter in letters)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def shown(letter: Letter) -> list[str]:
    """Everything of one letter, its message decoded."""
    dead = letter.letter
    lines = [
        ("for", f"{letter.owner}, {KIND[dead.stream]} {dead.work or 'that could not be read'}"),
        ("when", f"{letter.when:%Y-%m-%dT%H:%M:%SZ}"),
        ("why", dead.reason),
        *([("error", dead.error)] if dead.error not in {None, dead.reason} else []),
        ("delivered", times(dead.deliveries)),
        ("was", f"message {dead.sequence} of {dead.stream}, {dead.subject or 'subject unknown'}"),
        *_message(dead),
    ]
    return [line for name, text in lines for line in _lines(name, str(text))]


def _row(letter: Letter) -> tuple[str, ...]:
    dead = letter.letter
    why = " ".join(plain(dead.reason).split())
    return (
        str(letter.id),
        f"{letter.when:%Y-%m-%dT%H:%M:%SZ}",
        letter.owner,
        str(dead.deliveries),
        why if len(why) <= WHY_CHARACTERS else f"{why[: WHY_CHARACTERS - 1]}…",
    )


def _message(dead: DeadLetter) -> list[tuple[str, str]]:
    """What the message says, as far as it can be read."""
    if not dead.data:
        return [("message", "was dropped by the queue before anybody could tell it")]
    try:
        message = (Task if dead.stream is Stream.TASKS else Call).decode(dead.data)
    except ValueError:
        raw = dead.data.decode(errors="backslashreplace")
        return [("message", f"{len(dead.data)} bytes, no {KIND[dead.stream]}:\n{raw}")]
    asked = message.model_dump_json(by_alias=True, exclude_none=True, exclude=HIDDEN, indent=2)
    return [*_input(message), ("message", asked)]


def _input(message: Task | Call) -> list[tuple[str, str]]:
    match message:
        case Task():
            said = [(one.role.value, one.text) for one in message.input]
            return [("input", f"{role}: {text}") for role, text in said]
        case Call():
            return [("input", f"{message.function}, called by {message.caller}")]


def _lines(name: str, text: str) -> list[str]:
    """`text` line by line behind its name; those after the first stand below it."""
    first, *others = plain(text).split("\n")
    margins = [name, *("" for _ in others)]
    return [
        f"{margin:<{MARGIN}}{line}".rstrip()
        for margin, line in zip(margins, (first, *others), strict=True)
    ]


def plain(text: str) -> str:
    """`text` with everything escaped that a terminal would obey instead of showing it."""
    return "".join(one if one.isprintable() or one == "\n" else _escaped(one) for one in text)


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()
