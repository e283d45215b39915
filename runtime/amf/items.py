"""The items of an answer in the shapes of the OpenAI Responses API, and the events they make.

A piece of text is a `message`. A tool or another agent that was called is an `mcp_call`: the one
item of the Responses API for a call that the server itself has made, with name, arguments and
output in one place. One that a person has to agree to first is an `mcp_approval_request`. A
`function_call` would ask the client to make the call, and its agent helpers do so at once. When a
call fails, its sentence is the `error`, as the builtin provider of llama-stack has it, whose server
and clients take nothing else there; openai 3.54 declares an object, and gives what there is.

Source:
    OpenAI API reference, "The response object", `output`, and "Streaming events"; names and fields
    as in the Python package openai 3.54 (llama-stack-client 0.7.5 reads the same items).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from runtime.amf.response_id import call_id
from runtime.contract.keys import effect_callee
from runtime.contract.messages import Message, Role

type Wire = dict[str, Any]
type Emit = Callable[..., None]

APPROVAL = re.compile(r"mcpr_([0-9a-f]{32})_([0-9]{1,6})")
LABEL = "tools"  # of a call whose key does not tell whose it is


@dataclass(slots=True)
class TextItem:
    """One message of the agent.

    Shape:
        superseded  a later attempt said something else instead.
    """

    id: str
    index: int
    text: str = ""
    is_open: bool = True
    superseded: bool = False
    status: str = "in_progress"

    def wire(self) -> Wire:
        """The item as it stands."""
        content = [] if self.is_open else [_part(self.text)]
        return {
            "id": self.id,
            "type": "message",
            "role": "assistant",
            "status": self.status,
            "content": content,
        }

    def open(self, emit: Emit) -> None:
        """Announce it."""
        emit("response.output_item.added", output_index=self.index, item=self.wire())
        emit("response.content_part.added", **self._at, part=_part(""))

    def add(self, text: str, emit: Emit) -> None:
        """It goes on with `text`."""
        if text:
            self.text += text
            emit("response.output_text.delta", **self._at, delta=text, logprobs=[])

    def close(self, emit: Emit, status: str = "completed") -> None:
        """Nothing is added any more."""
        self.is_open, self.status = False, status
        emit("response.output_text.done", **self._at, text=self.text, logprobs=[])
        emit("response.content_part.done", **self._at, part=_part(self.text))
        emit("response.output_item.done", output_index=self.index, item=self.wire())

    @property
    def _at(self) -> Wire:
        return {"item_id": self.id, "output_index": self.index, "content_index": 0}


@dataclass(slots=True)
class CallItem:
    """One call of a tool or of another agent that the agent made; `call` is its key."""

    CLOSING_EVENTS: ClassVar = 2

    id: str
    index: int
    call: str
    name: str
    arguments: str
    output: str | None = None
    error: str | None = None
    status: str = "in_progress"
    superseded: bool = field(default=False, init=False)

    def wire(self) -> Wire:
        """The item as it stands."""
        return {
            "id": self.id,
            "type": "mcp_call",
            "server_label": effect_callee(self.call) or LABEL,
            "name": self.name,
            "arguments": self.arguments,
            "output": self.output,
            "error": self.error,
            "status": self.status,
        }

    def open(self, emit: Emit) -> None:
        """Announce it, with its arguments in one piece: the agent has them whole."""
        item = self.wire() | {"arguments": ""}
        emit("response.output_item.added", output_index=self.index, item=item)
        emit("response.mcp_call.in_progress", **self._at)
        emit("response.mcp_call_arguments.delta", **self._at, delta=self.arguments)
        emit("response.mcp_call_arguments.done", **self._at, arguments=self.arguments)

    def succeed(self, output: str, emit: Emit) -> None:
        """It came back with this."""
        self.output, self.status = output, "completed"
        self._close("completed", emit)

    def fail(self, error: str, emit: Emit) -> None:
        """It came back, and did not work out: a sentence says why."""
        self.error, self.status = error, "failed"
        self._close("failed", emit)

    def break_off(self, emit: Emit) -> None:
        """It will never come back, which has no event of its own: it is told as `failed`."""
        self.status = "incomplete"
        self._close("failed", emit)

    def _close(self, outcome: str, emit: Emit) -> None:
        emit(f"response.mcp_call.{outcome}", **self._at)
        emit("response.output_item.done", output_index=self.index, item=self.wire())

    @property
    def is_open(self) -> bool:
        """Whether it has not come back."""
        return self.status == "in_progress"

    @property
    def _at(self) -> Wire:
        return {"item_id": self.id, "output_index": self.index}


@dataclass(slots=True)
class ApprovalItem:
    """A call that the agent makes once a person agrees; `number` is its place in the run record."""

    EVENTS: ClassVar = 2

    task: str
    number: int
    index: int
    call: str
    name: str
    arguments: str
    superseded: bool = field(default=False, init=False)

    def wire(self) -> Wire:
        """The item: it does not change."""
        return {
            "id": f"mcpr_{self.task}_{self.number}",
            "type": "mcp_approval_request",
            "server_label": effect_callee(self.call) or LABEL,
            "name": self.name,
            "arguments": self.arguments,
        }

    def open(self, emit: Emit) -> None:
        """Announce it, whole."""
        emit("response.output_item.added", output_index=self.index, item=self.wire())
        emit("response.output_item.done", output_index=self.index, item=self.wire())


@dataclass(slots=True)
class FunctionItem:
    """A call that the client is to make; `number` is its place among those of the run."""

    task: str
    number: int
    index: int
    name: str
    arguments: str
    superseded: bool = field(default=False, init=False)

    def wire(self) -> Wire:
        """The item: it does not change."""
        return {
            "id": f"fc_{self.task}_{self.number}",
            "type": "function_call",
            "call_id": call_id(self.task, self.number),
            "name": self.name,
            "arguments": self.arguments,
            "status": "completed",
        }

    def open(self, emit: Emit) -> None:
        """Announce it, with its arguments in one piece: the agent has them whole."""
        begun = self.wire() | {"arguments": "", "status": "in_progress"}
        at = {"item_id": begun["id"], "output_index": self.index}
        emit("response.output_item.added", output_index=self.index, item=begun)
        emit("response.function_call_arguments.delta", **at, delta=self.arguments)
        emit(
            "response.function_call_arguments.done", **at, name=self.name, arguments=self.arguments
        )
        emit("response.output_item.done", output_index=self.index, item=self.wire())


def output_item(task: str, number: int, output: str) -> Wire:
    """What the client gave for a call, as an item."""
    return {
        "type": "function_call_output",
        "id": f"fco_{task}_{number}",
        "call_id": call_id(task, number),
        "output": output,
        "status": "completed",
    }


def approval_of(item: str) -> tuple[str, int] | None:
    """The task and the number of the approval that an item asks for, None if it is none of ours."""
    match = APPROVAL.fullmatch(item)
    return (match[1], int(match[2])) if match else None


def message_item(task: str, number: int, message: Message) -> Wire:
    """Something that was said before or to the agent, as an item."""
    return {
        "type": "message",
        "id": item_id(task, number),
        "role": message.role.value,
        "status": "completed",
        "content": content_of(message.role.value, message.text),
    }


def content_of(role: str, text: str) -> list[Wire]:
    """What somebody in this role has said, as the parts of a message."""
    is_answer = role == Role.ASSISTANT.value
    return [_part(text) if is_answer else {"type": "input_text", "text": text}]


def item_id(task: str, number: int) -> str:
    """The id of the item that shows the message `number` of a task."""
    return f"msg_{task}_i{number}"


type Item = TextItem | CallItem | ApprovalItem | FunctionItem


def _part(text: str) -> Wire:
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
