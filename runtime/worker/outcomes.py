"""How handling one delivery may turn out, and what the queue may be told."""

from dataclasses import dataclass
from typing import Protocol

from runtime.transport.port import Delivery


@dataclass(frozen=True, slots=True)
class Done:
    """The work has its end, written where it belongs."""


@dataclass(frozen=True, slots=True)
class Malformed:
    """The message is no work at all; nobody will ever understand it."""

    reason: str


@dataclass(frozen=True, slots=True)
class GivenUp:
    """The work was started too often without coming to an end; its end is written."""

    reason: str


@dataclass(frozen=True, slots=True)
class Again:
    """It did not work out this time; `attempt` counts the started ones."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Later:
    """Its turn has not come, or what it needs is away: no attempt counts, only `deliveries` do."""

    deliveries: int


@dataclass(frozen=True, slots=True)
class HandedBack:
    """This worker stops; another one may take the work at once."""


@dataclass(frozen=True, slots=True)
class Lost:
    """The delivery is not ours any more, or the queue is out of reach: leave it alone."""


type Outcome = Done | Malformed | GivenUp | Again | Later | HandedBack | Lost


class Handler(Protocol):
    """What a worker does with its deliveries: tasks of an Agent or calls of a Tool."""

    async def handle(self, delivery: Delivery) -> Outcome:
        """Do the work; cancelled when the worker has to stop before it ends."""
        ...


@dataclass(frozen=True, slots=True)
class Ack:
    """Done."""


@dataclass(frozen=True, slots=True)
class Nak:
    """Again, after a delay."""

    delay_seconds: float = 0


@dataclass(frozen=True, slots=True)
class Term:
    """Never again."""

    reason: str


@dataclass(frozen=True, slots=True)
class Leave:
    """Say nothing; the queue decides by its ack wait."""


type Verdict = Ack | Nak | Term | Leave
