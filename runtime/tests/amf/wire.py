"""Whether each streamed event is what the types of server and clients ask for, field by field."""

import contextlib
import copy
import json
import typing
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from llama_stack_client.types import ResponseObjectStream
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel, TypeAdapter

from runtime.amf.answer import Answer
from runtime.amf.items import Wire
from runtime.tests.amf.server_types import OpenAIResponseObjectStream

OTHERWISE = {
    "response.mcp_call_arguments.delta": "response.mcp_call.arguments.delta",
    "response.mcp_call_arguments.done": "response.mcp_call.arguments.done",
}
"""What llama-stack 0.7.3 calls two events of OpenAI's; ours have the names of OpenAI."""


def _by_type(union: Any) -> dict[str, type[BaseModel]]:
    """The members of a union of events, by what their field `type` says."""
    found = {}
    for shape in typing.get_args(typing.get_args(union)[0]):
        kind = shape.model_fields["type"].annotation
        while typing.get_origin(kind) is not typing.Literal:
            kind = typing.get_args(kind)[0]
        found[typing.get_args(kind)[0]] = shape
    return found


OPENAI = _by_type(ResponseStreamEvent)
STACK_CLIENT = _by_type(ResponseObjectStream)
STACK: TypeAdapter[Any] = TypeAdapter(OpenAIResponseObjectStream)


def check(frame: Wire) -> None:
    """See that all three know the event.

    Raises:
        KeyError, ValidationError: one of them does not.
    """
    openai = copy.deepcopy(frame)
    if (response := openai.get("response")) and response["error"]:
        # Its list of codes is closed; ours tell why an agent failed.
        response["error"]["code"] = "server_error"
    for item in (openai.get("item"), *(response or {}).get("output", ())):
        if item and item["type"] == "mcp_call" and item["error"] is not None:
            # It declares an object there; the sentence is what llama-stack's types ask for.
            item["error"] = {"type": "mcp_tool_execution_error", "content": item["error"]}
    OPENAI[frame["type"]].model_validate(openai, strict=True)
    if frame["type"] == "error":  # llama-stack has no such event
        return
    theirs = frame | {"type": OTHERWISE.get(frame["type"], frame["type"])}
    STACK.validate_json(json.dumps(theirs), strict=True)
    STACK_CLIENT[theirs["type"]].model_validate(theirs, strict=True)


@contextlib.contextmanager
def taken(patched: pytest.MonkeyPatch) -> Iterator[None]:
    """Check what is taken of answers in this process, at the end of the body."""
    seen: list[Wire] = []
    take = Answer.frames

    def frames(answer: Answer) -> list[Wire]:
        told = take(answer)
        seen.extend(copy.deepcopy(told))
        return told

    with patched.context() as here:
        here.setattr(Answer, "frames", frames)
        yield
    for frame in seen:
        check(frame)


@dataclass(slots=True)
class Tapped:
    """What processes with a tap have streamed, as it went over the line."""

    file: Path
    checked: int = 0

    def check(self) -> list[str]:
        """Check what has come since the last time; gives the types of these events."""
        data = self.file.read_bytes() if self.file.exists() else b""
        whole = data.rpartition(b"\n\n")[0]  # the last one may be on its way to the file
        fresh, self.checked = whole[self.checked :], len(whole)
        kinds = []
        for line in fresh.splitlines():
            if line.startswith(b"data: "):
                frame = json.loads(line.removeprefix(b"data: "))
                check(frame)
                kinds.append(frame["type"])
        return kinds
