"""Scenarios of what an agent says."""

import asyncio
import contextlib
import json
from collections.abc import Sequence
from typing import Any

from runtime.adapters.port import Answer, Run, Step, Text, Used, WrongFormat
from runtime.contract.messages import Message, Role
from runtime.contract.output_format import OutputFormat
from runtime.kit.scenario import Need, Scenario
from runtime.kit.trial import Trial, Unmet, number, question, quoted, tool, word

AT_ONCE = 4  # runs
FEWEST_PIECES = 2  # of a text that streams
MODES = (False, True)
NUMBER = OutputFormat(
    name="number",
    json_schema={
        "type": "object",
        "properties": {"number": {"type": "integer"}},
        "required": ["number"],
        "additionalProperties": False,
    },
    strict=True,
)


async def answer(trial: Trial) -> None:
    """A word of the question comes back."""
    said = word()
    answered = await trial.answer(question(f"Say the word {said}."))
    if said not in answered:
        raise trial.undone(f"the answer to 'Say the word {said}.' is {quoted(answered)}")


async def order(trial: Trial) -> None:
    """Only what belongs there comes before the answer, and nothing behind it."""

    async def add(arguments: dict[str, Any]) -> str:
        return str(arguments["a"] + arguments["b"])

    for stream in MODES:
        steps = await trial.steps(question("What is 417 + 25?", tool(add), stream=stream))
        kinds = [type(step).__name__ for step in steps]
        if kinds.count(Answer.__name__) != 1 or not isinstance(steps[-1], Answer):
            raise Unmet(f"the steps are {', '.join(kinds) or 'none'}")
        if not stream and Text.__name__ in kinds:
            raise Unmet("pieces of text came in a run that does not stream")


async def stream(trial: Trial) -> None:
    """The first piece is there while the model still writes; together they are the answer."""
    words = " ".join(word() for _ in range(8))
    pieces: list[str] = []
    early, whole = False, ""
    async for step in trial.adapter.run(question(f"Say these words: {words}", stream=True)):
        if isinstance(step, Text):
            early = early or (not pieces and trial.proxy.open > 0)
            pieces.append(step.text)
        elif isinstance(step, Answer):
            whole = step.text
    if not any(call.streams for call in trial.proxy.calls):
        raise trial.undone("the agent asks its model for whole answers")
    if len(pieces) < FEWEST_PIECES:
        raise trial.undone(f"the text came in {len(pieces)} pieces")
    if not early:
        raise trial.undone("the first piece came when the model had finished")
    _check_whole("".join(pieces), whole, trial)


def _check_whole(written: str, whole: str, trial: Trial) -> None:
    # An agent of several turns may think aloud before it answers.
    fits = written.strip().endswith(whole.strip()) if trial.own else written == whole
    if not fits:
        raise Unmet(f"the pieces make {quoted(written)}, and the answer is {quoted(whole)}")


async def usage(trial: Trial) -> None:
    """As many costs as calls of the model, none of them nothing."""
    for streaming in MODES:
        trial.proxy.calls.clear()
        steps = await trial.steps(question(f"Say the word {word()}.", stream=streaming))
        costs = [step.usage for step in steps if isinstance(step, Used)]
        calls = trial.proxy.calls
        if any(call.hides_usage for call in calls):
            raise trial.undone("streaming, it does not ask for stream_options.include_usage")
        if len(costs) != len(calls):
            raise Unmet(f"{len(costs)} costs of {len(calls)} model calls, streaming: {streaming}")
        if not all(cost.input_tokens and cost.output_tokens for cost in costs):
            raise Unmet(f"a model call that cost nothing, streaming: {streaming}")


async def conversation(trial: Trial) -> None:
    """A name that was said in an earlier turn is known."""
    name = word().capitalize()
    history = (
        Message(role=Role.USER, text=f"My name is {name}."),
        Message(role=Role.ASSISTANT, text=f"Hello {name}."),
    )
    said = await trial.answer(question("What is my name?", history=history))
    if not trial.proxy.heard(f"My name is {name}."):
        raise trial.undone("the model did not hear what was said before")
    if not trial.own and name not in said:
        raise Unmet(f"asked for the name {name}, the agent answers {quoted(said)}")


async def instructions(trial: Trial) -> None:
    """The model is told, and does as it is told."""
    first = word().capitalize()
    wanted = f"Begin every answer with {first}"
    said = await trial.answer(question("Say hello.", instructions=wanted))
    if not trial.proxy.heard(wanted):
        raise trial.undone("the model did not hear the client's instructions")
    if not trial.own and not said.startswith(first):
        raise Unmet(f"told to begin with {first}, the agent answers {quoted(said)}")


async def structured(trial: Trial) -> None:
    """A number of the question is where the client's schema wants it, and nothing else is said."""
    for stream in MODES:
        wanted = number()
        try:
            said = await trial.answer(
                question(f"Say the number {wanted}.", stream=stream, output=NUMBER)
            )
        except WrongFormat as error:
            raise trial.undone(str(error)) from error
        if _document(said) != {"number": wanted}:
            raise trial.undone(f"asked for the number {wanted}, the agent answers {quoted(said)}")


def _document(said: str) -> object:
    with contextlib.suppress(ValueError):
        return json.loads(said)
    return None


async def concurrent(trial: Trial) -> None:
    """Each run says its own word, and none says another's."""
    words = [word() for _ in range(AT_ONCE)]
    runs = [
        question(_asked(trial, said), tool(_giving(said)), stream=place % 2 == 0)
        for place, said in enumerate(words)
    ]
    said = await asyncio.gather(*(trial.steps(run) for run in runs))
    for run, steps, own in zip(runs, said, words, strict=True):
        _check_apart(run, steps, own, [other for other in words if other != own])
        if not trial.own and own not in _all(steps):
            raise Unmet(f"the run that is about {own} does not say so: {quoted(_all(steps))}")


def _asked(trial: Trial, said: str) -> str:
    asked = f"Say the word {said}."
    return f"What is {number()} + {number()}?" if trial.takes_tools else asked


def _giving(said: str) -> Any:
    async def add(_arguments: dict[str, Any]) -> str:
        await asyncio.sleep(0.05)  # long enough for the others to be under way
        return said

    return add


def _check_apart(run: Run, steps: Sequence[Step], own: str, others: Sequence[str]) -> None:
    asked = run.input[0].text
    for other in others:
        if other in _all(steps):
            raise Unmet(f"the run that asks {quoted(asked)} says {other}, which is another's")
    if not any(isinstance(step, Answer) for step in steps):
        raise Unmet(f"the run about {own} has no answer")


def _all(steps: Sequence[Step]) -> str:
    """Everything that a run says."""
    return " ".join(step.text for step in steps if isinstance(step, Text | Answer))


SAYING = (
    Scenario(
        name="answer",
        expects="a question gets an answer that is made from it",
        check=answer,
    ),
    Scenario(
        name="order of steps",
        expects="text and costs, then exactly one answer; no text where nobody reads along",
        check=order,
    ),
    Scenario(
        name="stream",
        expects="the text comes in pieces as the model writes it, and they make up the answer",
        check=stream,
        fault="slow-50",
    ),
    Scenario(
        name="usage",
        expects="the tokens of each call of the model are told, with and without a stream",
        check=usage,
        needs=frozenset({Need.MODEL}),
    ),
    Scenario(
        name="conversation",
        expects="what was said in earlier turns is heard",
        check=conversation,
        needs=frozenset({Need.MODEL}),
    ),
    Scenario(
        name="instructions of the client",
        expects="the client's own instructions are heard beside the agent's",
        check=instructions,
        needs=frozenset({Need.MODEL}),
    ),
    Scenario(
        name="structured output",
        expects="the answer is one JSON document that fits the client's schema",
        check=structured,
        needs=frozenset({Need.MODEL}),
    ),
    Scenario(
        name="concurrent runs",
        expects=f"{AT_ONCE} runs at the same time have each its own tools and its own answer",
        check=concurrent,
    ),
)
