"""The model's whole mind: one request in, one answer out. No clock, no chance, no memory."""

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from stand_in.fill import MISSING, fill_answer, fitting
from stand_in.manner import form, styled, without_form
from stand_in.plan import Plan, Ref, Step, batches, plan
from stand_in.reading import read
from stand_in.recall import recall
from stand_in.request import BadRequest, Request, Tool
from stand_in.schema import Schema, is_text, is_whole, kind, properties, required
from stand_in.stock import Clause
from stand_in.turn import Done, Turn, turn
from stand_in.words import stems

ECHOED_WORDS = 200
# Where a tool must be called and none is asked for, one with such a name takes the answer.
_CLOSING = stems("final answer respond response reply finish done")


@dataclass(frozen=True, slots=True)
class Say:
    """An answer in words."""

    text: str


@dataclass(frozen=True, slots=True)
class Wish:
    """A tool, and the arguments to call it with as a JSON document."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Ask:
    """Tools to call before there is an answer, all of them at once."""

    wishes: tuple[Wish, ...]


type Answer = Say | Ask


@dataclass(slots=True)
class _Progress:
    """How far a plan is: results by step, what to call next, what can never be called."""

    made: dict[int, Done] = field(default_factory=dict)
    wishes: list[Wish] = field(default_factory=list)
    barred: list[int] = field(default_factory=list)


def decide(request: Request) -> Answer:
    """The next message of the assistant.

    First the calls that the prompt asks for and that are not made yet (`plan`); then an answer
    from their results; without a fitting tool, from the conversation (`recall`); else the prompt
    is repeated, so that every answer shows what it was made from. What the system prompt says
    about the form is followed (`manner`), a `response_format` is filled (`fill`).

    Raises:
        BadRequest: a schema of the request refers to what it does not hold.
    """
    now = turn(request.messages)
    told = form(f"{now.instructions}\n{now.prompt}")
    now = replace(now, prompt=without_form(now.prompt))
    try:
        wanted = plan(now.prompt, request.tools)
        progress = _progress(wanted.steps, now.done, parallel=request.parallel)
        if progress.wishes:
            return Ask(tuple(progress.wishes))
        text = _text(now, wanted, progress)
        if request.must_call:
            return Ask((_closing(request.tools, now, text),))
    except LookupError as error:
        raise BadRequest(f"'tools': {error.args[0]}.", "tools") from error
    schema = told if request.schema is None else request.schema
    if schema is not None:
        return Say(_structured(schema, now, text))
    return Say(styled(text, now.instructions))


def _progress(steps: Sequence[Step], done: Sequence[Done], *, parallel: bool) -> _Progress:
    """Replay the plan with the results: a prompt's steps are always the same, in the same order."""
    at, results = _Progress(), deque(done)
    for batch in batches(steps, parallel=parallel):
        for i in batch:
            arguments = _resolved(steps[i], at.made)
            if arguments is None:
                at.barred.append(i)
            elif results:
                at.made[i] = results.popleft()
            else:
                at.wishes.append(Wish(steps[i].tool.name, json.dumps(arguments)))
        if at.wishes:
            break
    return at


def _resolved(step: Step, made: Mapping[int, Done]) -> dict[str, object] | None:
    """The arguments with the results they speak of; None if one is not there or does not fit."""
    declared = properties(step.tool.schema, step.tool.schema)
    arguments: dict[str, object] = {}
    for name, given in step.arguments.items():
        parts = given if isinstance(given, list) else [given]
        values = [_value(part, declared.get(name, {}), made) for part in parts]
        if MISSING in values:
            return None
        arguments[name] = values if isinstance(given, list) else values[0]
    return arguments


def _value(given: object, schema: Schema, made: Mapping[int, Done]) -> object:
    if not isinstance(given, Ref):
        return given
    done = made.get(given.step)
    if done is None or done.failed:
        return MISSING
    if not given.numeric:
        return done.said
    if done.number is None:
        return MISSING
    return fitting(done.number, whole=is_whole(schema))


def _text(now: Turn, wanted: Plan, progress: _Progress) -> str:
    if now.done:
        return _told(now.done, wanted.steps, progress)
    recalled = recall(now.prompt, now.before, now.instructions)
    if recalled is not None:
        return recalled
    if wanted.tool and not wanted.steps:
        return _lacking(wanted.tool, wanted.missing)
    return _echo(now.prompt)


def _told(done: Sequence[Done], steps: Sequence[Step], progress: _Progress) -> str:
    """The results that no later step has used, then what failed and what it kept from being."""
    used = {need for i in progress.made for need in steps[i].needs}
    results = [at for i, at in sorted(progress.made.items()) if i not in used]
    results += done[len(progress.made) :]  # more than the prompt asks for
    shown = [each.said for each in results if not each.failed]
    said = [f"The answer is {shown[0]}."] if len(shown) == 1 else []
    if len(shown) > 1:
        said = [f"The answers are {', '.join(shown[:-1])} and {shown[-1]}."]
    said += [f"The tool {each.call.name} failed: {each.said}." for each in done if each.failed]
    said += [f"So I did not call {steps[i].tool.name}." for i in progress.barred]
    return " ".join(said)


def _lacking(tool: Tool, missing: Sequence[str]) -> str:
    declared = properties(tool.schema, tool.schema)
    needed = [f"{name} ({kind(declared[name]) or 'any value'})" for name in missing]
    return f"To call {tool.name} I need {' and '.join(needed)}."


def _echo(prompt: str) -> str:
    words = prompt.split()
    if not words:
        return "You said nothing."
    if len(words) <= ECHOED_WORDS:
        return f"You said: {prompt.strip()}"
    return f"You said: {' '.join(words[:ECHOED_WORDS])} … ({len(words)} words)"


def _structured(schema: Schema, now: Turn, text: str) -> str:
    """JSON for `schema` from the results of this turn, else from the prompt."""
    if not schema:
        return json.dumps({"answer": text})
    try:
        return json.dumps(fill_answer(schema, text, _whole(_known(now))))
    except LookupError as error:
        raise BadRequest(f"'response_format': {error.args[0]}.", "response_format") from error


def _known(now: Turn) -> str:
    """What an answer is made of."""
    return " ".join(each.said for each in now.done if not each.failed) or now.prompt


def _closing(tools: Sequence[Tool], now: Turn, text: str) -> Wish:
    """A call where one is forced: the answer to a tool that takes one, else the prompt's values."""
    called = {each.call.name for each in now.done}
    free = [tool for tool in tools if tool.name not in called] or tools[:1]
    tool = min(free, key=lambda tool: (not _closes(tool), not _takes_text(tool)))
    if _takes_text(tool) and tool.name not in called:
        (name,) = required(tool.schema, tool.schema)
        return Wish(tool.name, json.dumps({name: styled(text, now.instructions)}))
    schema = {**tool.schema, "type": "object"}
    if _closes(tool):
        return Wish(tool.name, json.dumps(fill_answer(schema, text, _whole(_known(now)))))
    return Wish(tool.name, json.dumps(fill_answer(schema, now.prompt, _whole(now.prompt))))


def _closes(tool: Tool) -> bool:
    return bool(stems(tool.name) & _CLOSING)


def _whole(text: str) -> Clause:
    return Clause(read(text), text)


def _takes_text(tool: Tool) -> bool:
    names = required(tool.schema, tool.schema)
    return len(names) == 1 and is_text(properties(tool.schema, tool.schema)[names[0]])
