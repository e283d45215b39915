"""A function that an agent may call, as every framework's adapter sees it."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from runtime.contract.catalogue import FunctionSpec
from runtime.contract.messages import Outcome, Task
from runtime.contract.value import ObjectName
from runtime.tools.numbering import Numbering

INPUT = {
    "type": "object",
    "properties": {
        "input": {
            "type": "string",
            "description": "What it shall do or answer, with all that it has to know for that.",
        }
    },
    "required": ["input"],
    "additionalProperties": False,
}
"""JSON schema of what another agent is asked with."""


class ToolFailure(Exception):
    """The tool could not do it; the message is a sentence for the model, which may go on."""


@dataclass(frozen=True, slots=True)
class ToolFunction:
    """A function the agent may call in one run: one of a Tool, or another Agent.

    Shape:
        tool   whose function it is, the Tool or the Agent.
        spec   its name, unique within the agent, its description and its arguments' schema.
        call   takes the arguments object and gives the result as text for the model, or raises
               `ToolFailure`. It announces, authorises, queues and records the call; adapters
               announce nothing themselves.
    """

    spec: FunctionSpec
    tool: ObjectName
    call: Callable[[dict[str, Any]], Awaitable[str]]

    @property
    def name(self) -> str:
        """The name the model sees."""
        return self.spec.name


@dataclass(frozen=True, slots=True)
class Called:
    """The agent asks for a tool: `call` is its key, `arguments` the JSON object as text."""

    call: str
    tool: str
    arguments: str


@dataclass(frozen=True, slots=True)
class AgentAsked:
    """The agent asks another agent: `call` is the key of the call."""

    call: str
    agent: str
    input: str


@dataclass(frozen=True, slots=True)
class Returned:
    """The tool or the other agent answered: `output` is what the model gets to read."""

    call: str
    tool: str
    output: str
    outcome: Outcome


type Announced = Called | AgentAsked | Returned
type Announce = Callable[[Announced], Awaitable[None]]


class Lending(Protocol):
    """The place that a run has in its worker, while it does nothing there but wait."""

    def lent(self, task: Task) -> AbstractAsyncContextManager[None]:
        """While the body runs, the run of `task` waits, and the worker takes other work for it."""
        ...


class Agreement(Protocol):
    """What people say of the calls of one attempt."""

    async def agreed(self, call: str, function: str, arguments: str, *, seconds: int) -> None:
        """Come back if somebody has agreed to the call with this key; if nobody was asked, never.

        Units:
            `seconds`: how long the call waits for a person.

        Raises:
            ToolFailure: somebody refused, or nobody agreed in time; a sentence for the model.
        """
        ...


class Toolbox(Protocol):
    """What an agent may call."""

    def bind(
        self,
        task: Task,
        announce: Announce,
        numbering: Numbering | None = None,
        agreement: Agreement | None = None,
    ) -> tuple[ToolFunction, ...]:
        """The functions of one attempt at one task.

        Without `numbering` it begins at the start, without `agreement` nobody was asked yet.
        """
        ...
