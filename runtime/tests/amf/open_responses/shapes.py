"""The objects of the Open Responses specification, restated field by field.

What is required there has no default here; what may be null says so; what is nowhere in the
specification is passed over, as any client may.

Source:
    openresponses.org, "Specification" and the OpenAPI document of version 2026-04-24:
    `ResponseResource`, `ItemField`, the streaming events of `POST /responses`.
"""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

type ItemStatus = Literal["in_progress", "completed", "incomplete"]
type Choice = Literal["none", "auto", "required"]


class Shape(BaseModel):
    """An object of the specification; values are not made to fit."""

    model_config = ConfigDict(strict=True)


class UrlCitation(Shape):
    type: Literal["url_citation"]
    url: str
    start_index: int
    end_index: int
    title: str


class TopLogProb(Shape):
    token: str
    logprob: float
    bytes: list[int]


class LogProb(TopLogProb):
    top_logprobs: list[TopLogProb]


class OutputText(Shape):
    type: Literal["output_text"]
    text: str
    annotations: list[UrlCitation]
    logprobs: list[LogProb] = Field(default_factory=list)


class OtherText(Shape):
    type: Literal["input_text", "text", "summary_text", "reasoning_text"]
    text: str


class Refusal(Shape):
    type: Literal["refusal"]
    refusal: str


class InputImage(Shape):
    type: Literal["input_image"]
    image_url: str | None
    detail: Literal["low", "high", "auto"]


class InputFile(Shape):
    type: Literal["input_file"]
    filename: str = ""
    file_url: str = ""


type Part = Annotated[
    OutputText | OtherText | Refusal | InputImage | InputFile, Field(discriminator="type")
]


class Message(Shape):
    type: Literal["message"]
    id: str
    status: ItemStatus
    role: Literal["user", "assistant", "system", "developer"]
    content: list[Part]
    phase: Literal["commentary", "final_answer"] = "final_answer"


class FunctionCall(Shape):
    type: Literal["function_call"]
    id: str
    call_id: str
    name: str
    arguments: str
    status: ItemStatus


class FunctionCallOutput(Shape):
    type: Literal["function_call_output"]
    id: str
    call_id: str
    output: str | list[Part]
    status: ItemStatus


class Reasoning(Shape):
    type: Literal["reasoning"]
    id: str
    summary: list[Part]
    content: list[Part] = Field(default_factory=list)
    encrypted_content: str = ""


class Compaction(Shape):
    type: Literal["compaction"]
    id: str
    encrypted_content: str
    created_by: str = ""


type Item = Annotated[
    Message | FunctionCall | FunctionCallOutput | Reasoning | Compaction,
    Field(discriminator="type"),
]


class IncompleteDetails(Shape):
    reason: str


class ResponseError(Shape):
    code: str
    message: str


class FunctionTool(Shape):
    type: Literal["function"]
    name: str
    description: str | None
    parameters: dict[str, Any] | None
    strict: bool | None


class NamedFunction(Shape):
    type: Literal["function"]
    name: str = ""


class AllowedTools(Shape):
    type: Literal["allowed_tools"]
    tools: list[NamedFunction]
    mode: Choice


class PlainFormat(Shape):
    type: Literal["text", "json_object"]


class SchemaFormat(Shape):
    """The document has `schema` as null alone, which no answer of OpenAI's is: it is not read."""

    type: Literal["json_schema"]
    name: str
    description: str | None
    strict: bool


class TextConfig(Shape):
    format: Annotated[PlainFormat | SchemaFormat, Field(discriminator="type")]
    verbosity: Literal["low", "medium", "high"] = "medium"


class ReasoningConfig(Shape):
    effort: Literal["none", "low", "medium", "high", "xhigh"] | None
    summary: Literal["concise", "detailed", "auto"] | None


class InputTokens(Shape):
    cached_tokens: int


class OutputTokens(Shape):
    reasoning_tokens: int


class Usage(Shape):
    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: InputTokens
    output_tokens_details: OutputTokens


class Response(Shape):
    """`ResponseResource`."""

    id: str
    object: Literal["response"]
    created_at: int
    completed_at: int | None
    status: str
    incomplete_details: IncompleteDetails | None
    model: str
    previous_response_id: str | None
    instructions: str | None
    output: list[Item]
    error: ResponseError | None
    tools: list[FunctionTool]
    tool_choice: NamedFunction | AllowedTools | Choice
    truncation: Literal["auto", "disabled"]
    parallel_tool_calls: bool
    text: TextConfig
    top_p: float
    presence_penalty: float
    frequency_penalty: float
    top_logprobs: int
    temperature: float
    reasoning: ReasoningConfig | None
    usage: Usage | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    store: bool
    background: bool
    service_tier: str
    metadata: dict[str, str]
    safety_identifier: str | None
    prompt_cache_key: str | None


class Numbered(Shape):
    """What every streaming event has."""

    sequence_number: int


class ResponseEvent(Numbered):
    """The response has come to another state."""

    type: Literal[
        "response.created",
        "response.queued",
        "response.in_progress",
        "response.completed",
        "response.failed",
        "response.incomplete",
    ]
    response: Response


class ItemEvent(Numbered):
    type: Literal["response.output_item.added", "response.output_item.done"]
    output_index: int
    item: Item | None


class Placed(Numbered):
    """Something about one item."""

    item_id: str
    output_index: int


class PartEvent(Placed):
    type: Literal["response.content_part.added", "response.content_part.done"]
    content_index: int
    part: Part


class TextDelta(Placed):
    type: Literal["response.output_text.delta"]
    content_index: int
    delta: str
    logprobs: list[LogProb] = Field(default_factory=list)
    obfuscation: str = ""


class TextDone(Placed):
    type: Literal["response.output_text.done"]
    content_index: int
    text: str
    logprobs: list[LogProb] = Field(default_factory=list)


class AnnotationAdded(Placed):
    type: Literal["response.output_text.annotation.added"]
    content_index: int
    annotation_index: int
    annotation: UrlCitation | None


class RefusalDelta(Placed):
    type: Literal["response.refusal.delta"]
    content_index: int
    delta: str


class RefusalDone(Placed):
    type: Literal["response.refusal.done"]
    content_index: int
    refusal: str


class ArgumentsDelta(Placed):
    type: Literal["response.function_call_arguments.delta"]
    delta: str
    obfuscation: str = ""


class ArgumentsDone(Placed):
    type: Literal["response.function_call_arguments.done"]
    arguments: str


class ReasoningDelta(Placed):
    type: Literal["response.reasoning.delta"]
    content_index: int
    delta: str
    obfuscation: str = ""


class ReasoningDone(Placed):
    type: Literal["response.reasoning.done"]
    content_index: int
    text: str


class SummaryPart(Placed):
    type: Literal["response.reasoning_summary_part.added", "response.reasoning_summary_part.done"]
    summary_index: int
    part: Part


class SummaryDelta(Placed):
    type: Literal["response.reasoning_summary_text.delta"]
    summary_index: int
    delta: str
    obfuscation: str = ""


class SummaryDone(Placed):
    type: Literal["response.reasoning_summary_text.done"]
    summary_index: int
    text: str


class ErrorPayload(Shape):
    type: str
    code: str | None
    message: str
    param: str | None
    headers: dict[str, str] = Field(default_factory=dict)


class ErrorEvent(Numbered):
    type: Literal["error"]
    error: ErrorPayload


class Refused(Shape):
    """The body of an answer with an HTTP status of 400 and above."""

    error: ErrorPayload


type StreamingEvent = Annotated[
    ResponseEvent
    | ItemEvent
    | PartEvent
    | TextDelta
    | TextDone
    | AnnotationAdded
    | RefusalDelta
    | RefusalDone
    | ArgumentsDelta
    | ArgumentsDone
    | ReasoningDelta
    | ReasoningDone
    | SummaryPart
    | SummaryDelta
    | SummaryDone
    | ErrorEvent,
    Field(discriminator="type"),
]
STREAMING_EVENT: TypeAdapter[StreamingEvent] = TypeAdapter(StreamingEvent)
