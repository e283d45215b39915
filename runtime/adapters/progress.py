"""How far a run has come, kept for frameworks that have no checkpoints of their own.

Two ways lead on. Where the state of a run is what was said in it (AG2, Llama Stack), that is kept,
and the next attempt goes on behind it. Where it is hidden in objects of the framework (BeeAI,
CrewAI), the next attempt begins at the start and is given the answers of models that it had before;
its calls of tools find their records. Either way no model is asked twice for what it has answered.
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
from runtime.contract.messages import TokenUsage, Versioned
from runtime.state.checkpoints import BadCheckpoint
from runtime.tools.numbering import Numbered

log = logging.getLogger(__name__)

type Json = Any

UNREADABLE = (ValueError, TypeError, LookupError, AttributeError, ImportError)


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
class Keeper:
    """Keeps how far one attempt has come, and finds how far the last one was.

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

    async def save(self, write: Callable[[], Json], *, again: bool = False) -> None:
        """Keep what `write` gives; what cannot be written ends the keeping and not the run.

        Shape:
            again  the next attempt makes all calls again, so that none of them counts as made.
        """
        if self.run.checkpoint is None or self._is_over:
            return
        try:
            calls = () if again else tuple(self.run.numbering.taken(lambda _: True))
            progress = Progress(made_for=self.made_for, calls=calls, spent=self.spent, said=write())
            data = progress.encode()
        except UNREADABLE as error:
            self._is_over = True
            told = {"task": self.run.task, "error": str(error)}
            log.warning("the run cannot be kept; a crash would begin anew", extra=told)
            return
        await self.run.checkpoint.save(data)


def _decoded(data: bytes, made_for: str) -> Progress:
    progress = Progress.decode(data)
    if progress.made_for != made_for:
        raise BadCheckpoint("it is of an agent with other instructions, code, model or tools")
    return progress


def question(*parts: Json) -> str:
    """What names a question to a model: a digest of all that it is asked with."""
    return hashlib.sha256(to_json(parts, fallback=str)).hexdigest()


class Recorded:
    """The answers of models in one run, by what they were asked.

    Equal questions are told apart by their number, so that each answer is given once an attempt.
    """

    def __init__(self, keeper: Keeper, answers: dict[str, list[Json]]) -> None:
        self._keeper = keeper
        self._answers = answers
        self._asked: dict[str, int] = {}
        self._is_new = False

    @classmethod
    async def of(cls, keeper: Keeper) -> "Recorded":
        """The answers of the attempts before; their costs count in `keeper`.

        Raises:
            TransportError: the queue is away.
        """
        return cls(keeper, await keeper.found(_answers) or {})

    async def answer(self, question: str) -> Json | None:
        """The answer that an equal question had before, None if a model has to be asked.

        What was answered since the last save is kept before that: something follows from it.
        """
        number = self._asked.get(question, 0)
        self._asked[question] = number + 1
        if number < len(answers := self._answers.get(question, [])):
            return answers[number]
        if self._is_new:
            await self._save()
        return None

    async def take(self, question: str, answer: Json, *, is_last: bool) -> None:
        """A model has answered; one that may be the last answer of the run is kept when need be."""
        self._answers.setdefault(question, []).append(answer)
        self._is_new = True
        if not is_last:
            await self._save()

    def drop(self, question: str) -> None:
        """The last answer to a question was of no use: it is asked again."""
        self._asked[question] = max(0, self._asked.get(question, 0) - 1)
        if answers := self._answers.get(question):
            answers.pop()

    async def _save(self) -> None:
        self._is_new = False
        await self._keeper.save(lambda: self._answers, again=True)


def _answers(said: Json) -> dict[str, list[Json]]:
    if not all(isinstance(answers, list) for answers in said.values()):
        raise BadCheckpoint("it is damaged: it holds no answers")
    return dict(said)
