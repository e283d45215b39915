"""What goes into a graph and what comes out, for graphs of any state.

| the input of the graph has | it is given |
|---|---|
| `messages` | the history and the new messages |
| `input` | the text of the new messages |
| one key | the same, under that key |
| no keys: the functional API | the text of the new messages, or the messages if it takes a list |

| the output of the graph has | the answer is |
|---|---|
| `messages` | the text of the last one, if a model, a node or a tool said it |
| `output`, else `answer` | that |
| one key that was not given | that |
| no keys: the functional API | all of it |
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langgraph.graph.state import CompiledStateGraph
from pydantic_core import to_json

from runtime.adapters.port import AgentFailure, BadAgent, Run
from runtime.contract.messages import Message, Role, TokenUsage

KINDS = {Role.USER: HumanMessage, Role.ASSISTANT: AIMessage, Role.SYSTEM: SystemMessage}


@dataclass(frozen=True, slots=True)
class Shape:
    """How a graph takes its input.

    Shape:
        key        the key of the state that is given, or None if the input has no keys.
        messages   whether messages are given, else their text.
    """

    key: str | None
    messages: bool

    def given(self, run: Run, instructions: str) -> Any:
        """The input of the graph for `run`."""
        value = _messages(run, instructions) if self.messages else _text(run.input)
        return value if self.key is None else {self.key: value}


def shape_of(graph: Any, said: str) -> Shape:
    """How `graph` takes its input.

    Raises:
        BadAgent: it wants several things that nobody can tell apart.
    """
    if not isinstance(graph, CompiledStateGraph):
        takes_text = graph.get_input_jsonschema().get("type") == "string"
        return Shape(key=None, messages=not takes_text)
    builder = graph.builder
    keys = list(builder.schemas[builder.input_schema])
    if "messages" in keys:
        return Shape(key="messages", messages=True)
    if "input" in keys or len(keys) == 1:
        return Shape(key="input" if "input" in keys else keys[0], messages=False)
    raise BadAgent(
        f"{said}: the graph's input has the keys {', '.join(keys)}; it needs `messages` or `input`,"
        " or one key alone (StateGraph takes an input_schema)"
    )


def _messages(run: Run, instructions: str) -> list[BaseMessage]:
    first = [SystemMessage(instructions)] if instructions else []
    said = [KINDS[message.role](message.text) for message in (*run.history, *run.input)]
    return [*first, *said]


def _text(messages: Sequence[Message]) -> str:
    return "\n\n".join(message.text for message in messages if message.role is Role.USER)


def answer_of(result: Any, shape: Shape) -> str:
    """The text of the answer in what a graph came to.

    Raises:
        AgentFailure: nobody can tell which of its keys is the answer.
    """
    if not isinstance(result, Mapping):
        return _said(result)
    if "messages" in result:
        return _said(result["messages"])
    for key in ("output", "answer"):
        if key in result:
            return _said(result[key])
    made = [key for key in result if key != shape.key]
    if len(made) == 1:
        return _said(result[made[0]])
    raise AgentFailure(
        f"the graph ended with the keys {', '.join(map(str, result))}; "
        "its answer has to be in `messages`, `output` or `answer`"
    )


def _said(value: Any) -> str:
    match value:
        case None:
            return ""
        case str():
            return value
        case BaseMessage():
            return str(value.text) if isinstance(value, AIMessage | ToolMessage) else ""
        case [*_, BaseMessage() as last]:
            return _said(last)
        case _:
            return to_json(value, fallback=str).decode()


def spent(result: Any, known: Mapping[str, TokenUsage], counted: set[str]) -> Iterator[TokenUsage]:
    """The costs that were not counted so far: of the platform's model, and of the messages' own.

    Shape:
        known     what the platform's model noted itself, by the id of the message.
        counted   ids whose cost was given already; it grows.
    """
    found = dict(known)
    messages = result.get("messages") if isinstance(result, Mapping) else None
    for message in messages if isinstance(messages, list) else ():
        usage = getattr(message, "usage_metadata", None)
        if usage and message.id:
            found.setdefault(message.id, usage_of(usage))
    for key, cost in found.items():
        if key not in counted:
            counted.add(key)
            yield cost


def usage_of(usage: Mapping[str, Any]) -> TokenUsage:
    """LangChain's count of tokens as ours."""
    return TokenUsage(input_tokens=usage["input_tokens"], output_tokens=usage["output_tokens"])
