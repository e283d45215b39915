"""Scenarios of how a run ends when it cannot end well."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from runtime.adapters.port import AgentFailure, EmptyAnswer, ModelBusy, ModelFailure
from runtime.kit.scenario import Scenario
from runtime.kit.trial import SOON_SECONDS, Trial, Unmet, ending, question, told, word

MODES = (False, True)
DEADLINE_SECONDS = 1.0
UNDER_WAY_SECONDS = 0.5  # from the first word to a model until somebody loses patience


async def cancel(trial: Trial) -> None:
    """A run whose model says nothing."""
    for stream in MODES:
        async with _under_way(trial, stream=stream) as running:
            await _cancelled(trial, running)


async def cancel_amid_text(trial: Trial) -> None:
    """A run whose model is in the middle of its answer."""
    async with _under_way(trial, stream=True) as running:
        if not trial.proxy.calls[-1].streams:
            raise trial.undone("the agent asks its model for whole answers")
        await _cancelled(trial, running)


async def _cancelled(trial: Trial, running: asyncio.Task[Any]) -> None:
    await asyncio.sleep(UNDER_WAY_SECONDS)
    running.cancel()
    await _ended(running, SOON_SECONDS)
    if not running.cancelled():
        raise Unmet(f"the run ended otherwise: {ending(running)}")
    await trial.model_left()


@contextlib.asynccontextmanager
async def _under_way(trial: Trial, *, stream: bool) -> AsyncIterator[asyncio.Task[Any]]:
    """A run whose model has been asked for more words than it can say in a second."""
    words = " ".join(word() for _ in range(20))
    running = asyncio.create_task(trial.steps(question(f"Say these words: {words}", stream=stream)))
    try:
        await trial.begun(running)
        yield running
    finally:
        running.cancel()


async def timeout(trial: Trial) -> None:
    """A run whose model says nothing, under a deadline like that of a worker."""
    for stream in MODES:
        running = asyncio.create_task(_limited(trial, stream=stream))
        await _ended(running, DEADLINE_SECONDS + SOON_SECONDS)
        if running.cancelled() or not isinstance(running.exception(), TimeoutError):
            raise Unmet(f"the run ended otherwise: {ending(running)}")
        await trial.model_left()


async def _limited(trial: Trial, *, stream: bool) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        await trial.steps(question(f"Say the word {word()}.", stream=stream))


async def _ended(running: asyncio.Task[Any], seconds: float) -> None:
    """Wait for the end, and for no longer than that.

    Raises:
        Unmet: it does not come.
    """
    await asyncio.wait({running}, timeout=seconds)
    if not running.done():
        running.cancel()
        raise Unmet(f"the run was still under way {seconds:g} s later")


async def empty(trial: Trial) -> None:
    """The model says nothing at all."""
    await _fails(trial, EmptyAnswer)


async def busy(trial: Trial) -> None:
    """The model asks to be tried later."""
    await _fails(trial, ModelBusy)


async def broken(trial: Trial) -> None:
    """The model is no use, now or later."""
    await _fails(trial, ModelFailure)


async def _fails(trial: Trial, kind: type[AgentFailure]) -> None:
    for stream in MODES:
        failure = await trial.failure(question(f"Say the word {word()}.", stream=stream))
        # A subclass is another statement: whether it is worth another attempt depends on it.
        if type(failure) is not kind:
            raise trial.undone(told(failure))


ENDING = (
    Scenario(
        name="cancel",
        expects="a run that is cancelled ends within 1 s, and its call of the model with it",
        check=cancel,
        fault="hang",
    ),
    Scenario(
        name="cancel amid text",
        expects="the same while the model writes its answer",
        check=cancel_amid_text,
        fault="slow-300",
    ),
    Scenario(
        name="timeout",
        expects="a run ends at its deadline, and its call of the model with it",
        check=timeout,
        fault="hang",
    ),
    Scenario(
        name="empty model answer",
        expects="an answer without a word is told as EmptyAnswer",
        check=empty,
        fault="empty",
    ),
    Scenario(
        name="model answers 429",
        expects="a model without capacity is told as ModelBusy, which is worth another attempt",
        check=busy,
        fault="error-429",
    ),
    Scenario(
        name="model answers 500",
        expects="a model that fails is told as ModelFailure",
        check=broken,
        fault="error-500",
    ),
    Scenario(
        name="model answers garbage",
        expects="what is no answer of a model is told as ModelFailure",
        check=broken,
        fault="garbage",
    ),
)
