"""What a model's name makes go wrong."""

import re
from dataclasses import dataclass

_SLOW = re.compile(r"slow-(\d{1,7})")
_ERROR = re.compile(r"error-([45]\d\d)")


@dataclass(frozen=True, slots=True)
class Slow:
    """The answer, and each piece of a stream, comes this much later."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP error in place of an answer."""

    status: int


@dataclass(frozen=True, slots=True)
class Garbage:
    """Status 200 with a body that is no JSON."""


@dataclass(frozen=True, slots=True)
class Empty:
    """An answer without a word."""


@dataclass(frozen=True, slots=True)
class Hang:
    """No answer, until the caller gives up."""


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection closes in the middle of the answer."""


type Fault = Slow | Refusal | Garbage | Empty | Hang | Cut | None

_NAMED: dict[str, Fault] = {"garbage": Garbage(), "empty": Empty(), "hang": Hang(), "cut": Cut()}


def fault(model: str) -> Fault:
    """The fault that `model` names, a provider's prefix (`vllm/hang`) aside; None for any other."""
    name = model.rpartition("/")[2]
    if slow := _SLOW.fullmatch(name):
        return Slow(int(slow[1]) / 1000)
    if error := _ERROR.fullmatch(name):
        return Refusal(int(error[1]))
    return _NAMED.get(name)
