"""What old clients ask for: understood whole, or refused by the name of a field. Pure."""

from collections.abc import Callable, Collection, Mapping, Sequence

from runtime.amf.asked import Asked
from runtime.amf.errors import BadRequest
from runtime.amf.functions import functions
from runtime.amf.legacy.bodies import (
    AgentConfig,
    CreateTurn,
    LegacyMessage,
    SamplingParams,
    Strategy,
    ToolConfig,
    ToolgroupWithArgs,
)
from runtime.amf.legacy.rag import NAMES as RAG_NAMES
from runtime.amf.legacy.rag import RAG
from runtime.amf.legacy.text import text_of
from runtime.contract.client_calls import ClientFunction
from runtime.contract.messages import Message, Options, Role
from runtime.contract.output_format import OutputFormat
from runtime.json_schema import BadSchema, ForeignSchema

MAX_INFER_ITERS = 10
LEAST_TOKENS = 16  # of the Responses API


def check_config(config: AgentConfig, tools: Collection[str] | None) -> None:
    """Refuse what an agent of this config could never do.

    Shape:
        tools  the toolgroups of the Agent of the Stack that its `model` names, which has tools and
               iterations of its own; None for a model.

    Raises:
        BadRequest: `param` names the field.
    """
    for name, fine, way_out in (*NEVER, *(NOT_AGENTS if tools is not None else ())):
        if not fine(config):
            raise BadRequest(
                f"agent_config.{name} is not supported with this value. {way_out}",
                param=f"agent_config.{name}",
            )
    check_toolgroups(config.toolgroups, tools or (), "agent_config.toolgroups")
    check_tool_config(config.tool_config, "agent_config.tool_config")
    functions_of(config)
    wanted_form(config)


def check_turn(body: CreateTurn, tools: Collection[str] | None) -> None:
    """Refuse a turn that says nothing, or asks for what is not done; `tools` as in `check_config`.

    Raises:
        BadRequest: `param` names the field.
    """
    check_toolgroups(body.toolgroups, tools or (), "toolgroups")
    check_tool_config(body.tool_config, "tool_config")
    of_tools = any(message.role == "tool" for message in body.messages)
    if not of_tools and not any(text for _, text in said(body)):
        raise BadRequest(
            "There is nothing in messages; say something to the agent.", param="messages"
        )


def check_tool_config(config: ToolConfig | None, field: str) -> None:
    """Refuse what tells a model of tools in another way than it is told of them.

    Raises:
        BadRequest: `param` names the field.
    """
    for name, fine in TOOL_CONFIG.items():
        if getattr(config, name, None) not in fine:
            where = f"{field}.{name}"
            raise BadRequest(
                f"{where} is not supported with this value; leave it out.", param=where
            )


def check_toolgroups(
    groups: Sequence[str | ToolgroupWithArgs] | None, tools: Collection[str], field: str
) -> None:
    """Refuse toolgroups but these `tools` and the one that finds what is in vector databases.

    Raises:
        BadRequest: `param` names the field.
    """
    others = [one for one in groups or () if not is_rag(one) and one not in tools]
    if others:
        has = ", ".join(sorted(tools)) or "no other"
        raise BadRequest(
            f"{field} may name {RAG} with the args vector_db_ids, and {has}: Tools of the Stack "
            "are called by the Agents that name them in spec.tools, and by those alone.",
            param=field,
        )


def options(config: AgentConfig, *, stream: bool) -> Options:
    """What every turn of an agent of this config asks an Agent of the Stack for.

    Raises:
        BadRequest: `param` names a field that cannot be used.
    """
    sampling = config.sampling_params or SamplingParams()
    return Options(
        # Clients of 0.1 cannot make more than one call at a time.
        functions=functions_of(config),
        parallel_calls=not config.client_tools,
        stream=stream,
        instructions=config.instructions or None,
        temperature=temperature(sampling),
        max_output_tokens=sampling.max_tokens or None,
        output=wanted_form(config),
    )


def functions_of(config: AgentConfig) -> tuple[ClientFunction, ...]:
    """The tools of the client.

    Raises:
        BadRequest: one cannot be called; `param` names it.
    """
    told = [
        {
            "type": "function",
            "name": tool.name,
            "description": tool.description,
            "parameters": tool.schema_of_arguments,
        }
        for tool in config.client_tools or ()
    ]
    return functions(
        (f"agent_config.client_tools[{place}]", tool) for place, tool in enumerate(told)
    )


def temperature(sampling: SamplingParams) -> float | None:
    """How free the model is in choosing words; the greedy one is not free at all."""
    if sampling.strategy is None:
        return None
    return 0.0 if sampling.strategy.type == "greedy" else sampling.strategy.temperature


def wanted_form(config: AgentConfig) -> OutputFormat | None:
    """The form of the answer; None for text.

    Raises:
        BadRequest: it is no form that there is.
    """
    asked = config.response_format
    if asked is None:
        return None
    field = "agent_config.response_format"
    if asked.get("type") != "json_schema":
        raise BadRequest(f"{field}.type must be json_schema.", param=f"{field}.type")
    schema = asked.get("json_schema")
    try:
        ForeignSchema(schema if isinstance(schema, dict) else {"type": schema})
    except BadSchema as error:
        raise BadRequest(
            f"{field}.json_schema cannot be used: {error}.", param=f"{field}.json_schema"
        ) from error
    return OutputFormat(name="answer", json_schema=schema)


def asked_of_agent(
    config: AgentConfig, turn: CreateTurn, *, conversation: str, context: str = ""
) -> Asked:
    """A turn, as an Agent of the Stack understands it.

    Shape:
        context  what was found for it elsewhere.

    Raises:
        BadRequest: `param` names what an Agent cannot read.
    """
    for number, message in enumerate(turn.messages):
        if message.role == "tool":
            raise BadRequest(
                f"messages[{number}] tells what a tool of the client gave; resume the turn that "
                "waits for it with tool_responses.",
                param=f"messages[{number}].role",
            )
    return Asked(
        input=tuple(Message(role=Role(role), text=text) for role, text in said(turn, context)),
        options=options(config, stream=bool(turn.stream)),
        conversation=conversation,
        store=False,
    )


def said(turn: CreateTurn, context: str = "") -> Sequence[tuple[str, str]]:
    """The texts of a turn with their roles: its documents, what was found, its messages.

    Raises:
        BadRequest: `param` names what is no text.
    """
    documents = [
        ("user", text_of(document.content, f"documents[{number}].content"))
        for number, document in enumerate(turn.documents or ())
    ]
    messages = [
        (message.role, text)
        for number, message in enumerate(turn.messages)
        if message.role != "tool"
        for text in _texts(message, f"messages[{number}]")
    ]
    found = [("user", context)] if context else []
    return [*documents, *found, *messages]


def _texts(message: LegacyMessage, where: str) -> list[str]:
    texts = [text_of(message.content, f"{where}.content")]
    if message.context is not None:
        texts.insert(0, text_of(message.context, f"{where}.context"))
    return texts


type Fine = Callable[[AgentConfig], bool]


def _no_penalty(config: AgentConfig) -> bool:
    sampling = config.sampling_params
    return sampling is None or sampling.repetition_penalty in {None, 0, 1}


def _no_stop(config: AgentConfig) -> bool:
    return not (config.sampling_params and config.sampling_params.stop)


def _strategy(config: AgentConfig) -> Strategy:
    sampling = config.sampling_params
    return (sampling and sampling.strategy) or Strategy()


def is_rag(group: str | ToolgroupWithArgs) -> bool:
    """Whether a toolgroup is the one that finds what is in vector databases."""
    if isinstance(group, str):
        return group in RAG_NAMES
    return group.name in RAG_NAMES and group.args.keys() <= {"vector_db_ids"}


def _enough_tokens(config: AgentConfig) -> bool:
    limit = (config.sampling_params or SamplingParams()).max_tokens
    return not limit or limit >= LEAST_TOKENS


TOOL_CONFIG: Mapping[str, frozenset[str | None]] = {
    "tool_choice": frozenset({None, "auto"}),
    "tool_prompt_format": frozenset({None, "json"}),
    "system_message_behavior": frozenset({None, "append"}),
}
"""Fields of a `ToolConfig`, with the values that ask for nothing special."""

NEVER: tuple[tuple[str, Fine, str], ...] = (
    ("input_shields", lambda config: not config.input_shields, "This server has no shields."),
    ("output_shields", lambda config: not config.output_shields, "This server has no shields."),
    ("sampling_params.repetition_penalty", _no_penalty, "Leave it out."),
    ("sampling_params.stop", _no_stop, "Leave it out."),
    ("sampling_params.max_tokens", _enough_tokens, f"Take {LEAST_TOKENS} or more, or 0 for any."),
    (
        "sampling_params.strategy.top_k",
        lambda config: _strategy(config).type != "top_k",
        "Take the strategy greedy or top_p.",
    ),
    (
        "tool_prompt_format",
        lambda config: config.tool_prompt_format in TOOL_CONFIG["tool_prompt_format"],
        "Leave it out.",
    ),
    (
        "tool_choice",
        lambda config: config.tool_choice in TOOL_CONFIG["tool_choice"],
        "The model chooses by itself; leave it out, or say auto.",
    ),
)
"""What is done for nobody: the field, whether it asks for nothing special, and the way out."""

NOT_AGENTS: tuple[tuple[str, Fine, str], ...] = (
    (
        "sampling_params.strategy.top_p",
        lambda config: _strategy(config).top_p in {None, 1},
        "Agents take a temperature.",
    ),
    (
        "max_infer_iters",
        lambda config: config.max_infer_iters in {None, MAX_INFER_ITERS},
        "How often an Agent may ask its model is spec.source.declarative.maxIterations.",
    ),
)
"""What is not done for Agents, in the same shape."""
