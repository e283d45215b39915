"""How far a run has come, kept for frameworks that have no checkpoints of their own.

Two ways lead on. Where the state of a run is what was said in it (AG2, Llama Stack), that is kept,
and the next attempt goes on behind it. Where it is hidden in objects of the framework (BeeAI,
CrewAI), the next attempt begins at the start and is given what it had before (`recorded`): the
answers of models, and the results of a user's own tools; calls of the platform's find their
records. Either way no model is asked twice for what it has answered.
"""

import hashlib
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from pydantic_core import to_json

from runtime.adapters.port import Run
from runtime.contract.agent_config import AgentConfig
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import TokenUsage
from runtime.contract.value import Versioned
from runtime.state.checkpoints import BadCheckpoint
from runtime.tools.numbering import Numbered

log = logging.getLogger(__name__)

type Json = Any

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ImportError, RecursionError)


class Progress(Versioned):
    """What is kept of a run.

    Shape:
        made_for  digest of what the agent is made of.
        calls     of tools that are behind `said`, which count as made.
        spent     what the calls of models that are behind it cost.
        said      JSON, whatever the adapter goes on from.
    """

    made_for: str
    calls: tuple[Numbered, ...] = ()
    spent: TokenUsage = TokenUsage()
    said: Json


def code_of(config: AgentConfig) -> tuple[str, str | None] | None:
    """What names a user's own code: entrypoint and revision; None if there is none."""
    module = config.module
    return None if module is None else (module.entrypoint, module.revision)


def made_of(config: AgentConfig, specs: Iterable[FunctionSpec], *others: Json) -> str:
    """A digest of what decides how a run goes on: instructions, code, model, tools, and `others`.

    No address or key is asked for; `others` has to hold none either, for they may change.
    """
    declared = config.declarative
    parts = [
        config.framework,
        declared.instructions if declared else None,
        code_of(config),
        config.model.id,
        sorted(spec.encode() for spec in specs),
        others,
    ]
    return hashlib.sha256(to_json(parts)).hexdigest()


@dataclass(slots=True)
class Checkpointer:
    """Saves how far one attempt has come, and finds how far the last one was.

    Shape:
        made_for  digest of what the agent is made of: its instructions, code, model and tools.
        spent     what models have cost so far, in all attempts; the adapter counts.
    """

    run: Run
    made_for: str
    spent: TokenUsage = field(default_factory=TokenUsage)
    _is_over: bool = False

    async def found[T](self, read: Callable[[Json], T]) -> T | None:
        """What `read` makes of what was said, whose calls and costs count; None to begin anew.

        Beginning anew is safe where going on is not possible: calls of tools find their records.

        Raises:
            TransportError: the queue is away.
        """
        if self.run.checkpoint is None or self.run.attempt == 1:  # then nothing can be there
            return None
        try:
            data = await self.run.checkpoint.load()
            if data is None:
                return None
            progress = _decoded(data, self.made_for)
            said = read(progress.said)
        except (BadCheckpoint, *UNREADABLE) as error:
            told = {"task": self.run.task, "error": " ".join(str(error).split())}
            log.warning("a checkpoint cannot be used; the run begins anew", extra=told)
            return None
        self.run.numbering.restore(progress.calls)
        self.spent = progress.spent
        return said

    async def save(
        self, write: Callable[[], Json], calls: Iterable[Numbered] | None = None
    ) -> None:
        """Keep what `write` gives; what cannot be written ends the keeping and not the run.

        Shape:
            calls  of tools that are behind it: all that were made, unless they are named here.
        """
        if self.run.checkpoint is None or self._is_over:
            return
        # Of now, as `write` is: what begins while the save waits is not behind it.
        behind = self.run.numbering.taken(lambda _: True) if calls is None else calls
        taken, spent = tuple(behind), self.spent
        try:
            await self.run.checkpoint.save(
                lambda: Progress(
                    made_for=self.made_for, calls=taken, spent=spent, said=write()
                ).encode()
            )
        except UNREADABLE as error:
            self._is_over = True
            told = {"task": self.run.task, "error": str(error)}
            log.warning("the run cannot be kept; a crash would begin anew", extra=told)


def _decoded(data: bytes, made_for: str) -> Progress:
    progress = Progress.decode(data)
    if progress.made_for != made_for:
        raise BadCheckpoint("it is of an agent with other instructions, code, model or tools")
    return progress
