"""The conversation so far: what is asked now, what was called for it, and what was said before."""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass

from stand_in.reading import Kind, Number, read
from stand_in.request import Call, Message

_FAILED = re.compile(r"\W*(?:error|exception|traceback|failed|failure)\b", re.IGNORECASE)
_ERROR_KEYS = ("error", "isError", "is_error")


@dataclass(frozen=True, slots=True)
class Done:
    """A call of this turn with its result, the text of the tool message."""

    call: Call
    result: str

    @property
    def failed(self) -> bool:
        """The result tells of an error: it begins with such a word, or is an object with one."""
        value = _loaded(self.result)
        if isinstance(value, dict):
            return any(value.get(key) for key in _ERROR_KEYS)
        return bool(_FAILED.match(self.result))

    @property
    def number(self) -> Number | None:
        """The first number in the result, None if it failed or has none."""
        tokens = () if self.failed else read(self.result)
        return next((token.value for token in tokens if token.kind is Kind.NUMBER), None)

    @property
    def said(self) -> str:
        """The result as one says it: a JSON string without quotes, no full stop at the end."""
        value = _loaded(self.result)
        return (value if isinstance(value, str) else self.result).strip().removesuffix(".")


@dataclass(frozen=True, slots=True)
class Turn:
    """The last thing the user said, all before it, and the calls made for it, in order."""

    instructions: str
    before: tuple[Message, ...]
    prompt: str
    done: tuple[Done, ...]


def turn(messages: Sequence[Message]) -> Turn:
    """The turn that `messages` end with; without a user, the prompt is empty."""
    users = (i for i in range(len(messages) - 1, -1, -1) if messages[i].role == "user")
    at = next(users, None)
    instructions = "\n".join(each.text for each in messages if each.role in ("system", "developer"))
    if at is None:
        return Turn(instructions, tuple(messages), "", ())
    behind = messages[at + 1 :]
    calls = {call.id: call for message in behind for call in message.calls}
    results = {each.call_id: each.text for each in behind if each.role == "tool"}
    done = tuple(Done(call, results[id_]) for id_, call in calls.items() if id_ in results)
    return Turn(instructions, tuple(messages[:at]), messages[at].text, done)


def _loaded(text: str) -> object:
    """The JSON value of `text`, None if it is none."""
    if not text.lstrip().startswith(("{", '"')):
        return None
    try:
        value: object = json.loads(text)
    except ValueError:
        return None
    return value
