"""What a later attempt repeats of an earlier one, so that nobody is told twice.

A worker may be lost in the middle of an answer that a client is reading already. The next attempt
then says everything again, or goes on from a checkpoint; which of the two shows only in what it
says. So its text is held back for as long as it could still be a repetition.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeGuard

from runtime.amf.items import CallItem, Item, TextItem


@dataclass(frozen=True, slots=True)
class Repeats:
    """All of it was said before, so far; at its end: in `item`."""

    item: TextItem | None = None


@dataclass(frozen=True, slots=True)
class GoesOn:
    """It repeats an open message to its end and goes on with `text`."""

    item: TextItem
    text: str


@dataclass(frozen=True, slots=True)
class Differs:
    """It is something else: `text` from the start of what was held back."""

    text: str


type Reading = Repeats | GoesOn | Differs


class Replay:
    """One attempt beside what earlier ones said in `items`, from `cursor` on."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items
        self._cursor = 0
        self._held = ""

    def read(self, text: str) -> Reading:
        """What another piece of text turns out to be."""
        self._held += text
        if any(item.text.startswith(self._held) for item in self._texts()):
            return Repeats()
        last = self._items[-1]
        if isinstance(last, TextItem) and last.is_open and self._held.startswith(last.text):
            return GoesOn(last, self._held[len(last.text) :])
        return Differs(self._held)

    def finish(self) -> Reading:
        """What the text held back was, now that nothing is added to it."""
        held, self._held = self._held, ""
        if not held:
            return Repeats()
        for index in range(self._cursor, len(self._items)):
            item = self._items[index]
            if _is_shown_text(item) and item.text == held:
                self._cursor = index + 1
                return Repeats(item)
        return Differs(held)

    def rest_of(self, text: str) -> str:
        """What `text` adds to what is held back, nothing if it is not about that."""
        return text[len(self._held) :] if self._held and text.startswith(self._held) else ""

    def passes(self, call: CallItem) -> None:
        """The attempt has come to a call that was shown before."""
        self._cursor = max(self._cursor, call.index + 1)

    @property
    def is_over(self) -> bool:
        """Whether nothing is left that could be repeated."""
        return self._cursor >= len(self._items)

    def _texts(self) -> list[TextItem]:
        return [item for item in self._items[self._cursor :] if _is_shown_text(item)]


def _is_shown_text(item: Item) -> TypeGuard[TextItem]:
    return isinstance(item, TextItem) and not item.superseded
