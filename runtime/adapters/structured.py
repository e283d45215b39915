"""Answers in the form that the client of a run wants: checked here, for all frameworks.

An adapter hands `Options.output` to the model of an agent from instructions, each of whose turns
may be its last. Which call of a user's own agent makes its answer nobody can tell, so that it is
told the form in words, as its client's instructions.
"""

import contextlib
import json
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import replace
from typing import NoReturn, cast

from runtime.adapters.port import Adapter, Answer, Run, Step, Text, Used, WrongFormat
from runtime.contract.agent_config import Framework
from runtime.contract.messages import Message, Role
from runtime.contract.output_format import OutputFormat
from runtime.json_schema import BadSchema, ForeignSchema

LONGEST = 120  # characters of an answer that is quoted
HEARD: Mapping[Framework, str] = {
    Framework.LANGGRAPH: "a graph gets them as the first of its `messages`, and one without "
    "`messages` not at all",
    Framework.CREWAI: "a crew gets them in its last task, or where its texts say {instructions}, a "
    "Flow as `instructions` of its state, if that has such a field",
    Framework.AG2: "an Agent gets them behind its own prompt",
    Framework.LLAMA_STACK: "an Agent gets them as a system message, an AsyncAgent behind "
    "its own instructions",
    Framework.BEEAI: "an agent gets them as a system message in its memory",
}
"""What users' own agents hear of their client's instructions."""
FENCED = re.compile(r"```(?:json)?\n(.*)\n```", re.DOTALL)  # as models like to write JSON
ANY_OBJECT = {"type": "object"}


class Structured:
    """An `Adapter` whose answers have the form that is asked for."""

    def __init__(self, adapter: Adapter, *, framework: Framework, is_own: bool) -> None:
        """Let `adapter` answer, which gives the form to its model unless it is a user's own."""
        self._adapter = adapter
        self._framework = framework
        self._hands_over = not is_own

    def run(self, run: Run) -> AsyncIterator[Step]:
        """Run the agent; an answer without the form is asked for once more.

        Of an answer that has to have a form nothing is told before it has it.

        Raises:
            AgentFailure: or a subclass, when the run cannot succeed.
        """
        output = run.options.output
        return self._adapter.run(run) if output is None else self._formed(run, output)

    async def _formed(self, run: Run, output: OutputFormat) -> AsyncGenerator[Step]:
        form = Form(output)
        asked, fault, said = self._told(run, output, form.wish), "", None
        for _ in range(2):
            said = None
            answering = cast("AsyncGenerator[Step]", self._adapter.run(asked))
            async with contextlib.aclosing(answering) as steps:
                async for step in steps:
                    if isinstance(step, Used):
                        yield step
                    elif isinstance(step, Answer):
                        said = unfenced(step.text)
            if said is None:
                return
            found = form.fault(said)
            if found is None:
                if run.options.stream:
                    yield Text(said)
                yield Answer(said)
                return
            fault, asked = found, _corrected(asked, said, f"{found}. {form.wish}")
            run.numbering.begin_again()
        raise WrongFormat(self._unmet(fault, said or ""))

    def _unmet(self, fault: str, said: str) -> str:
        """That the answer has not the form, and what its user can do about it."""
        what = (
            "the answer does not have the form that was asked for, nor did it when it was asked "
            f"for once more: {fault}; it is {quoted(said)}"
        )
        if self._hands_over:
            return f"{what}; ask a model that keeps to JSON schemas"
        return (
            f"{what}; your own agent is told the form among its client's instructions "
            f"({HEARD[self._framework]}), the second time in its input; let its model have these, "
            "or let it answer so by itself"
        )

    def _told(self, run: Run, output: OutputFormat, wish: str) -> Run:
        """The run as the adapter within gets it."""
        if self._hands_over and output.json_schema is not None:
            return run
        # Of any object models have to be told in words, too: OpenAI's refuse to write it else.
        told = (run.options.instructions, wish)
        instructions = "\n\n".join(text for text in told if text)
        kept = output if self._hands_over else None
        options = run.options.model_copy(update={"instructions": instructions, "output": kept})
        return replace(run, options=options)


class Form:
    """What an answer has to be."""

    def __init__(self, output: OutputFormat) -> None:
        """The form of the answers of one run.

        Raises:
            WrongFormat: its schema cannot be used.
        """
        self._output = output
        schema = ANY_OBJECT if output.json_schema is None else output.json_schema
        try:
            self._schema = ForeignSchema(schema)
        except BadSchema as error:
            raise _unusable(error) from error

    @property
    def wish(self) -> str:
        """The form in words, as a sentence for a model."""
        if self._output.json_schema is None:
            return "Answer with one JSON object and nothing else."
        schema = json.dumps(self._output.json_schema, ensure_ascii=False)
        return f"Answer with one JSON document and nothing else. Its JSON schema is: {schema}"

    def fault(self, text: str) -> str | None:
        """What is wrong with an answer, None if nothing is.

        Raises:
            WrongFormat: that cannot be told.
        """
        try:
            value = json.loads(text, parse_constant=_no_number)
        except (ValueError, RecursionError) as error:
            return f"it is no JSON: {error}"
        try:
            return self._schema.fault(value)
        except BadSchema as error:
            raise _unusable(error) from error


def unfenced(text: str) -> str:
    """A text without the fence of Markdown that may be around all of it."""
    fenced = FENCED.fullmatch(text.strip())
    return fenced[1] if fenced else text


def quoted(text: str) -> str:
    """An answer on one line, or its beginning."""
    line = " ".join(text.split())
    return json.dumps(line if len(line) <= LONGEST else f"{line[:LONGEST]}…", ensure_ascii=False)


def _corrected(run: Run, said: str, wanted: str) -> Run:
    """The run that asks again. It keeps nothing: a crash goes back to the answer before."""
    message = f"Your answer does not have the form that was asked for: {wanted}"
    turns = (Message(role=Role.ASSISTANT, text=said), Message(role=Role.USER, text=message))
    return replace(run, input=(*run.input, *turns), checkpoint=None)


def _no_number(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")


def _unusable(error: BadSchema) -> WrongFormat:
    return WrongFormat(f"the schema of the answer that was asked for cannot be used: {error}")
