"""What can be run: a Crew, an Agent or a Flow, and how each takes a run and gives its answer.

| is | it is given |
|---|---|
| a Crew | inputs: `input`, the text of the new messages; `history`, what was said before; and \
`instructions`, the client's own. Who has one other placeholder alone gets the text there. |
| an Agent | the history and the new messages |
| a Flow | the same inputs for its state, `history` as a list of messages |

What no placeholder of a crew names is added to its tasks: the text to the first, the instructions
to the last, and the history to each, the way CrewAI adds that of a chat.
"""

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from crewai import Agent, Crew, Flow
from crewai.events import LLMStreamChunkEvent
from pydantic import BaseModel
from pydantic_core import to_json

from runtime.adapters.crewai_copies import copied_agent, copied_crew, copied_flow
from runtime.adapters.port import AgentFailure, BadAgent, Run
from runtime.contract.messages import Message, Role

PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_\-]*)}")  # as CrewAI fills them
INPUT, HISTORY, INSTRUCTIONS = "input", "history", "instructions"


class Runnable(Protocol):
    """What runs a task of ours, as often as wanted and at the same time."""

    async def run(self, run: Run) -> Any:
        """What it came to."""
        ...

    def is_answer(self, event: LLMStreamChunkEvent) -> bool:
        """Whether a piece of text belongs to the answer."""
        ...


def runnable_of(found: object, said: str) -> Runnable | None:
    """How `found` is run; None if it is nothing that can be.

    Raises:
        BadAgent: it is, but cannot take a run.
    """
    match found:
        case Crew():
            return CrewRunnable(found, said)
        case Agent():
            return AgentRunnable(found)
        case Flow():
            return FlowRunnable(found, said)
        case _:
            return None


class CrewRunnable:
    """A Crew whose last task gives the answer."""

    def __init__(self, crew: Crew, said: str) -> None:
        asking = [task.description for task in crew.tasks if task.human_input]
        if asking:
            raise BadAgent(
                f'{said}: the task "{asking[0]}" has human_input, and nobody can answer it yet'
            )
        self._crew = crew
        named = self._named = _placeholders(crew)
        self._key = INPUT
        others = sorted(named - {INPUT, HISTORY, INSTRUCTIONS})
        if INPUT not in named and len(others) == 1:
            self._key = others.pop()
        elif others and not crew.before_kickoff_callbacks:  # these may fill them
            raise BadAgent(
                f"{said}: nobody fills the placeholders {_listed(others)} of the crew's tasks and "
                "agents; use {input}, {history} and {instructions}, or one other for {input}"
            )

    async def run(self, run: Run) -> Any:
        """Run a copy of the crew: a `CrewOutput`."""
        crew = copied_crew(self._crew)
        inputs = {
            self._key: _text(run.input),
            HISTORY: _transcript(run.history),
            INSTRUCTIONS: run.options.instructions or "",
        }
        if self._key not in self._named:
            crew.tasks[0].description += f"\n\n{{{self._key}}}"
        if run.options.instructions and INSTRUCTIONS not in self._named:
            crew.tasks[-1].description += f"\n\n{{{INSTRUCTIONS}}}"
        if run.history and HISTORY not in self._named:
            inputs["crew_chat_messages"] = json.dumps(_messages(run.history))
        return await crew.akickoff(inputs=inputs)

    def is_answer(self, event: LLMStreamChunkEvent) -> bool:
        """The answer is what the last task comes to; what the others write is for the crew."""
        return str(event.task_id) == str(self._crew.tasks[-1].id)


class AgentRunnable:
    """An Agent that answers on its own."""

    def __init__(self, agent: Agent) -> None:
        self._agent = agent

    async def run(self, run: Run) -> Any:
        """Run a copy of the agent: a `LiteAgentOutput`."""
        said = (*run.history, *run.input)
        if run.options.instructions:
            said = (Message(role=Role.SYSTEM, text=run.options.instructions), *said)
        return await copied_agent(self._agent).akickoff(_messages(said))

    def is_answer(self, event: LLMStreamChunkEvent) -> bool:
        """All that it writes."""
        del event
        return True


class FlowRunnable:
    """A Flow whose last method gives the answer."""

    def __init__(self, flow: Flow[Any], said: str) -> None:
        self._flow = flow
        self._key = INPUT
        self._fields: set[str] | None = None  # a dictionary takes all
        if isinstance(flow.state, BaseModel):
            self._fields = set(type(flow.state).model_fields) - {"id"}
            others = sorted(self._fields - {INPUT, HISTORY, INSTRUCTIONS})
            if INPUT not in self._fields and len(others) == 1:
                self._key = others.pop()
            elif INPUT not in self._fields:
                raise BadAgent(
                    f"{said}: the flow's state has the fields {_listed(others) or 'none'}; it needs"
                    " `input`, or one field alone"
                )

    async def run(self, run: Run) -> Any:
        """Run a copy of the flow: whatever its last method returned."""
        inputs = {
            self._key: _text(run.input),
            HISTORY: _messages(run.history),
            INSTRUCTIONS: run.options.instructions or "",
        }
        if self._fields is not None:
            inputs = {name: value for name, value in inputs.items() if name in self._fields}
        return await copied_flow(self._flow).akickoff(inputs=inputs)

    def is_answer(self, event: LLMStreamChunkEvent) -> bool:
        """All that anybody writes: nobody knows which of it the last method takes."""
        del event
        return True


def _placeholders(crew: Crew) -> set[str]:
    """What the tasks and agents of a crew want filled; its own `fetch_inputs` trips over JSON."""
    texts = [text for task in crew.tasks for text in (task.description, task.expected_output)]
    texts += [text for one in crew.agents for text in (one.role, one.goal, one.backstory)]
    return {name for text in texts for name in PLACEHOLDER.findall(text)}


def text_of(result: Any) -> str:
    """The answer in what a crew, an agent or a flow came to.

    Raises:
        AgentFailure: it waits for a person.
    """
    match result:
        case None:
            return ""
        case str():
            return result
        case BaseException():  # a flow returns what asks for feedback
            raise AgentFailure(f"the flow stopped, and nobody can answer it yet: {result}")
        case BaseModel() if isinstance(raw := getattr(result, "raw", None), str):
            return raw
        case _:
            return to_json(result, fallback=str).decode()


def _text(messages: Sequence[Message]) -> str:
    return "\n\n".join(message.text for message in messages if message.role is Role.USER)


def _messages(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"role": message.role.value, "content": message.text} for message in messages]


def _transcript(messages: Iterable[Message]) -> str:
    return "\n".join(f"{message.role.value}: {message.text}" for message in messages)


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)
