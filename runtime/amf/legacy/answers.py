"""What the legacy agents API answers, for the document of the server.

The answers themselves are made where they come from; tests hold them against these.

Source:
    llama-stack-client 0.1.4, 0.2.23 and 0.3.5: `types/agents`, `types/tool_group.py`,
    `types/tool.py`, `types/tool_runtime`, `types/query_result.py`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from runtime.amf.legacy.bodies import AgentConfig, LegacyMessage

type Time = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


class AgentMade(BaseModel):
    """An agent is kept under this id."""

    agent_id: str


class Agent(AgentMade):
    """An agent, as its client made it."""

    agent_config: AgentConfig
    created_at: Time


class Page(BaseModel):
    """What all pages have; `url` is that of the list."""

    has_more: bool
    url: str


class AgentPage(Page):
    """Agents, the oldest first."""

    data: list[Agent]


class SessionMade(BaseModel):
    """A session is kept under this id."""

    session_id: str


class Session(SessionMade):
    """A session of an agent, without its turns."""

    session_name: str
    started_at: Time


class SessionPage(Page):
    """Sessions, the oldest first."""

    data: list[Session]


class ToolCall(BaseModel):
    """A call of a tool; `arguments_json` is what `arguments` were read from."""

    call_id: str
    tool_name: str
    arguments: dict[str, Any]
    arguments_json: str


class CompletionMessage(BaseModel):
    """What a model said, and which tools it called."""

    role: Literal["assistant"]
    content: str
    stop_reason: Literal["end_of_turn", "end_of_message", "out_of_tokens"]
    tool_calls: list[ToolCall]


class ToolAnswer(BaseModel):
    """What a tool gave."""

    call_id: str
    tool_name: str
    content: str
    metadata: dict[str, Any] | None


class Step(BaseModel):
    """What all steps have."""

    step_id: str
    turn_id: str
    started_at: Time
    completed_at: Time


class InferenceStep(Step):
    """A model said something."""

    step_type: Literal["inference"]
    model_response: CompletionMessage


class ToolExecutionStep(Step):
    """Tools were executed."""

    step_type: Literal["tool_execution"]
    tool_calls: list[ToolCall]
    tool_responses: list[ToolAnswer]


class TextPart(BaseModel):
    """A piece of text."""

    type: Literal["text"]
    text: str


class MemoryRetrievalStep(Step):
    """Vector databases were searched; their names are joined by commas."""

    step_type: Literal["memory_retrieval"]
    vector_db_ids: str
    inserted_context: list[TextPart] | str


type AnyStep = Annotated[
    InferenceStep | ToolExecutionStep | MemoryRetrievalStep, Field(discriminator="step_type")
]


class StepTold(BaseModel):
    """A step of a turn."""

    step: AnyStep


class Turn(BaseModel):
    """A turn; one that has not come to its end has no `completed_at`."""

    turn_id: str
    session_id: str
    input_messages: list[LegacyMessage]
    steps: list[AnyStep]
    output_message: CompletionMessage
    output_attachments: list[Any]
    started_at: Time
    completed_at: Time | None


class SessionWithTurns(Session):
    """A session with its turns, the oldest first."""

    turns: list[Turn]


class Toolgroup(BaseModel):
    """A Tool of the Stack, or the search in vector databases."""

    identifier: str
    provider_id: str
    provider_resource_id: str
    type: Literal["tool_group"]
    args: None
    mcp_endpoint: None


class ToolgroupList(BaseModel):
    """Every toolgroup."""

    data: list[Toolgroup]


class Parameter(BaseModel):
    """A parameter of a tool."""

    name: str
    description: str
    parameter_type: str
    required: bool
    default: Any


class ToolTold(BaseModel):
    """A function of a toolgroup."""

    identifier: str
    name: str
    description: str
    parameters: list[Parameter]
    input_schema: dict[str, Any]
    output_schema: None
    provider_id: str
    provider_resource_id: str
    toolgroup_id: str
    tool_host: Literal["distribution"]
    type: Literal["tool"]
    metadata: dict[str, Any]


class LegacyToolList(BaseModel):
    """The functions of one toolgroup, or of all."""

    data: list[ToolTold]


class VectorDb(BaseModel):
    """A vector database; its vectors are made by `embedding_model`."""

    identifier: str
    provider_id: str
    provider_resource_id: str
    type: Literal["vector_db"]
    embedding_model: str
    embedding_dimension: int
    vector_db_name: str | None


class VectorDbList(BaseModel):
    """Every vector database."""

    data: list[VectorDb]


class FoundMetadata(BaseModel):
    """What was found: the documents, their pieces, and how near each is; in one order."""

    document_ids: list[str]
    chunks: list[str]
    scores: list[float]


class QueryResult(BaseModel):
    """What was found, in words for a model; no `content` if nothing was."""

    content: list[TextPart] | None
    metadata: FoundMetadata


class Nothing(BaseModel):
    """It is done."""


def answers(kind: type[BaseModel]) -> dict[int | str, dict[str, Any]]:
    """What a route says of its answer in the document of the server."""
    return {200: {"model": kind, "description": kind.__doc__}}
