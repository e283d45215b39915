"""The bodies of requests that old clients send.

Fields of every client from 0.1.4 to 0.3.5 are here; where two of them write the same thing in two
ways, both are read. A field that nobody knows is refused.

Source:
    llama-stack-client 0.1.4, 0.2.23, 0.3.5: `types/shared_params/agent_config.py`,
    `types/agents/turn_create_params.py`, `turn_resume_params.py`, `types/tool_def_param.py`.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import orjson
from pydantic import BaseModel, ConfigDict, Field, model_validator

from runtime.amf.items import Wire

TYPES = {
    "int": "integer",
    "float": "number",
    "str": "string",
    "bool": "boolean",
    "list": "array",
    "dict": "object",
}
"""Types of parameters as the clients' Python helpers name them, and as JSON schema does."""
JSON_TYPES = frozenset({*TYPES.values(), "null"})

type Content = str | dict[str, Any] | list[Any]


class Strict(BaseModel):
    """A body of a request; a field that nobody knows is refused, and what is no Unicode."""

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _can_be_kept(cls, given: Any) -> Any:
        """JSON may hold halves of surrogate pairs and numbers of any length; we do not."""
        try:
            orjson.dumps(given)
        except TypeError as error:
            raise ValueError(f"it holds what is no text and no number: {error}") from error
        return given


class ToolgroupWithArgs(Strict):
    """A toolgroup, and what its tools are to be given."""

    name: str
    args: dict[str, Any] = Field(default_factory=dict)


class Strategy(Strict):
    """How the model chooses its words."""

    type: Literal["greedy", "top_p", "top_k"] = "greedy"
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    top_k: int | None = None


class SamplingParams(Strict):
    """How the model answers."""

    strategy: Strategy | None = None
    max_tokens: Annotated[int, Field(ge=0)] | None = None
    repetition_penalty: float | None = None
    stop: list[str] | None = None


class ToolConfig(Strict):
    """How the model is told of tools."""

    tool_choice: str | None = None
    tool_prompt_format: str | None = None
    system_message_behavior: Literal["append", "replace"] | None = None


class ClientTool(BaseModel):
    """A tool that the client runs; `parameters` by name (0.1), as a list (0.2), or a schema."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: str | None = None
    parameters: list[dict[str, Any]] | dict[str, dict[str, Any]] | None = None
    input_schema: dict[str, Any] | None = None

    @property
    def schema_of_arguments(self) -> Wire:
        """The JSON schema of its arguments."""
        if self.input_schema is not None:
            return self.input_schema
        given = self.parameters or []
        by_name = given if isinstance(given, dict) else {p.get("name", ""): p for p in given}
        return {
            "type": "object",
            "properties": {name: _schema(about) for name, about in by_name.items()},
            "required": [name for name, about in by_name.items() if about.get("required", True)],
        }


class AgentConfig(Strict):
    """What an agent is made of; `model` names an Agent or a model of the Stack."""

    model: Annotated[str, Field(min_length=1)]
    instructions: str = ""
    name: str | None = None
    toolgroups: list[str | ToolgroupWithArgs] | None = None
    client_tools: list[ClientTool] | None = None
    sampling_params: SamplingParams | None = None
    input_shields: list[str] | None = None
    output_shields: list[str] | None = None
    tool_choice: str | None = None
    tool_prompt_format: str | None = None
    tool_config: ToolConfig | None = None
    max_infer_iters: Annotated[int, Field(ge=1)] | None = None
    enable_session_persistence: bool | None = None
    response_format: dict[str, Any] | None = None


class CreateAgent(Strict):
    """The body of `POST /agents`."""

    agent_config: AgentConfig


class CreateSession(Strict):
    """The body of `POST /agents/{agent_id}/session`."""

    session_name: str


class LegacyMessage(Strict):
    """Something that was said to an agent, or what a tool of the client gave."""

    role: Literal["user", "system", "tool"]
    content: Content
    context: Content | None = None
    call_id: str | None = None
    tool_name: str | None = None


class Document(Strict):
    """A text that goes with a turn."""

    content: Content
    mime_type: str = "text/plain"


class CreateTurn(Strict):
    """The body of `POST …/turn`."""

    messages: Annotated[list[LegacyMessage], Field(min_length=1)]
    stream: bool | None = None
    documents: list[Document] | None = None
    toolgroups: list[str | ToolgroupWithArgs] | None = None
    tool_config: ToolConfig | None = None
    allow_turn_resume: bool | None = None


class ToolResponse(Strict):
    """What a tool of the client gave."""

    call_id: str
    tool_name: str
    content: Content
    role: Literal["tool"] | None = None
    metadata: dict[str, Any] | None = None


class ResumeTurn(Strict):
    """The body of `POST …/turn/{turn_id}/resume`."""

    tool_responses: Annotated[list[ToolResponse], Field(min_length=1)]
    stream: bool | None = None


def _schema(about: Mapping[str, Any]) -> Wire:
    named = about.get("parameter_type") or about.get("param_type") or ""
    kind = TYPES.get(named, named)
    schema = {"type": kind} if kind in JSON_TYPES else {}
    described = about.get("description")
    return schema | ({"description": described} if described else {})
