"""What every process of ours has: a stop signal, readiness, and last words."""

import asyncio
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import override

from runtime import health
from runtime.contract.agent_config import Queue
from runtime.identity.source import proof_source
from runtime.settings import Settings
from runtime.transport.port import Proof, Prove

BAD_CONFIGURATION = 78  # EX_CONFIG of sysexits.h: starting again will not help
TRY_AGAIN = 75  # EX_TEMPFAIL: it may


class CannotStart(Exception):
    """What the user gave cannot run; the message names the field of the spec and the way out."""

    @override
    def __str__(self) -> str:
        return " ".join(super().__str__().split())


@dataclass(slots=True)
class Readiness:
    """Why this process is not ready, asked part by part; the first that objects speaks."""

    starting: str | None = "starting"
    parts: list[health.WhyNot] = field(default_factory=list)

    def why_not(self) -> str | None:
        """One sentence, or None when it is ready."""
        if self.starting is not None:
            return self.starting
        return next((reason for part in self.parts if (reason := part())), None)


def unless(condition: Callable[[], bool], sentence: str) -> health.WhyNot:
    """Objects with `sentence` while `condition` does not hold."""
    return lambda: None if condition() else sentence


def stop_signal() -> asyncio.Event:
    """Set once somebody asks this process to stop."""
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    return stopping


def prover(queue: Queue) -> Prove:
    """Shows the token, or the SVID, as it is at that moment."""
    source = proof_source(queue)

    def prove() -> Proof:
        token = source.read()
        return Proof(token.token, token.expires)

    return prove


def last_words(settings: Settings, sentence: str) -> None:
    """Leave the sentence where the operator finds it."""
    try:
        settings.termination_log.write_text(sentence)
    except OSError:
        return  # it has been logged, and there is nobody else to tell
