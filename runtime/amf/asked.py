"""What a client asks of an agent, parsed at the door: understood whole, or refused by name.

Source:
    OpenAI API reference, "Create a model response"; fields as in llama-stack-api 0.7.3 and ogx-api
    1.5.0, `CreateResponseRequest`.
"""

from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from runtime.amf.errors import BadRequest, TooLarge
from runtime.amf.functions import functions_in_chat, functions_in_responses
from runtime.amf.wanted import wanted_in_chat, wanted_in_responses
from runtime.contract.messages import Message, Options, Role

ROLES = {
    "user": Role.USER,
    "assistant": Role.ASSISTANT,
    "system": Role.SYSTEM,
    "developer": Role.SYSTEM,
}
TEXTS = frozenset({"input_text", "output_text", "text"})
# A client may hand back all that an agent said: its answer tells what came of its tools.
LEFT_OUT = frozenset({"mcp_call", "mcp_list_tools", "mcp_approval_request"})
CALL, OUTPUT = "function_call", "function_call_output"
MOST_PAIRS = 16
LONGEST_NAME = 64
LONGEST_VALUE = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """What any request to an agent says of its answer.

    Shape:
        previous      id of the response whose conversation this goes on with.
        conversation  id of the server's conversation it belongs to.
    """

    options: Options = field(default_factory=Options)
    previous: str | None = None
    conversation: str | None = None
    background: bool = False
    store: bool = True
    metadata: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked(Terms):
    """A request that says something to an agent; `previous` and `conversation` exclude each other.

    Shape:
        input  what is new, oldest first; never empty.
    """

    input: tuple[Message, ...]

    @property
    def size(self) -> int:
        """How many bytes the client sent: texts, functions, the form that the answer is to have."""
        texts = [*(message.text for message in self.input), self.options.instructions or ""]
        output, functions = self.options.output, self.options.functions
        values = [*([] if output is None else [output]), *functions]
        return sum(len(text.encode()) for text in texts) + sum(len(one.encode()) for one in values)

    def check_size(self, limit: int) -> None:
        """Refuse what is over `limit`, in bytes.

        Raises:
            TooLarge: it is.
        """
        if self.size > limit:
            raise TooLarge(
                f"The input has {self.size} bytes; this agent takes {limit} "
                "(spec.execution.maxInputBytes). Put large texts where a tool can read them.",
                param="input",
            )


def asked(request: Any) -> Asked:
    """The request of the Responses API, as an agent understands it.

    Raises:
        BadRequest: it asks for something that is not done; `param` names it.
    """
    refuse_unusual(request)
    _refuse_one_by_one(request)
    check_metadata(request.metadata or {})
    if request.previous_response_id and request.conversation:
        raise BadRequest(
            "previous_response_id and conversation exclude each other; name one of them.",
            param="conversation",
        )
    check_background(request)
    if request.previous_response_id or request.conversation:
        _refuse_outputs_beside(request.input)
    return Asked(
        input=messages(request.input),
        options=options(request),
        previous=request.previous_response_id,
        conversation=request.conversation,
        background=bool(request.background),
        store=request.store is not False,
        metadata=request.metadata or {},
    )


def check_background(request: Any) -> None:
    """Refuse a response that nobody waits for and nobody could retrieve.

    Raises:
        BadRequest: `param` names the field.
    """
    if request.background and request.store is False:
        raise BadRequest("A background response has to be stored; leave store out.", param="store")


def options(request: Any) -> Options:
    """What a request of the Responses API asks for beside its input.

    Raises:
        BadRequest: it cannot be done; `param` names it.
    """
    return Options(
        stream=bool(request.stream),
        instructions=request.instructions,
        temperature=request.temperature,
        max_output_tokens=request.max_output_tokens,
        output=wanted_in_responses(request.text),
        functions=functions_in_responses(request.tools),
        parallel_calls=request.parallel_tool_calls is not False,
    )


def options_in_chat(request: Any) -> Options:
    """What a request of the Chat Completions API asks for beside its messages; raises the same."""
    return Options(
        stream=bool(request.stream),
        temperature=request.temperature,
        max_output_tokens=request.max_completion_tokens or request.max_tokens,
        output=wanted_in_chat(request.response_format),
        functions=functions_in_chat(request.tools),
        parallel_calls=request.parallel_tool_calls is not False,
    )


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Refuse what is too much to be kept with a response.

    Raises:
        BadRequest: it is.

    Source:
        OpenAI API reference, "Create a model response", `metadata`.
    """
    if len(metadata) > MOST_PAIRS:
        raise BadRequest(
            f"metadata takes {MOST_PAIRS} pairs at most; this has {len(metadata)}.",
            param="metadata",
        )
    for name, value in metadata.items():
        if len(name) > LONGEST_NAME or len(value) > LONGEST_VALUE:
            raise BadRequest(
                f"A pair of metadata takes {LONGEST_NAME} characters as its name and "
                f"{LONGEST_VALUE} as its value; {name[:LONGEST_NAME]} is longer.",
                param="metadata",
            )


def refuse_unusual(request: Any) -> None:
    """Refuse a request of the Responses API that asks for what is not done.

    Raises:
        BadRequest: `param` names it.
    """
    _refuse(request, RESPONSES)


def refuse_unusual_in_chat(request: Any) -> None:
    """The same for a request of the Chat Completions API."""
    _refuse(request, CHAT)


def asked_in_chat(request: Any) -> Asked:
    """The request of the Chat Completions API, as an agent understands it.

    Raises:
        BadRequest: it asks for something that is not done; `param` names it.
    """
    refuse_unusual_in_chat(request)
    _refuse_one_by_one(request)
    return Asked(
        input=chat_messages(request.messages), options=options_in_chat(request), store=False
    )


def chat_messages(said: Iterable[Any]) -> tuple[Message, ...]:
    """The `messages` of a chat; what functions of the client gave in earlier turns is left out.

    Raises:
        BadRequest: one is none that an agent can read, or a call has no output.
    """
    told = list(enumerate(said))
    given = {one.tool_call_id for _, one in told if one.role == "tool"}
    for place, one in told:
        for call in getattr(one, "tool_calls", None) or ():
            _check_given(call.id or "", given, f"messages[{place}].tool_calls")
    read = tuple(
        _message(one, f"messages[{place}]")
        for place, one in told
        if one.role != "tool" and not (getattr(one, "tool_calls", None) and not one.content)
    )
    if not any(message.text for message in read):
        raise BadRequest(
            "There is nothing in messages; say something to the agent.", param="messages"
        )
    return read


def messages(said: Any) -> tuple[Message, ...]:
    """The `input` of a request: one text, or a list of items.

    Raises:
        BadRequest: it is empty, or an item is none that an agent can read.
    """
    if isinstance(said, str):
        read: tuple[Message, ...] = (Message(role=Role.USER, text=said),)
    else:
        read = _items(said)
    if not any(message.text for message in read):
        raise BadRequest("There is nothing in input; say something to the agent.", param="input")
    return read


def _items(said: Sequence[Any]) -> tuple[Message, ...]:
    given = {item.call_id for item in said if getattr(item, "type", "") == OUTPUT}
    for number, item in enumerate(said):
        if getattr(item, "type", "") == CALL:
            _check_given(item.call_id, given, f"input[{number}]")
    return tuple(
        _message(item, f"input[{number}]")
        for number, item in enumerate(said)
        if getattr(item, "type", "message") not in LEFT_OUT | {CALL, OUTPUT}
    )


def _refuse_one_by_one(request: Any) -> None:
    if request.parallel_tool_calls is False and not request.tools:
        raise BadRequest(
            "An agent calls its own tools as its model wants it; parallel_tool_calls is about "
            "functions in tools. Leave it out.",
            param="parallel_tool_calls",
        )


def _check_given(call: str, given: Container[str], where: str) -> None:
    if call not in given:
        raise BadRequest(
            f"No tool output found for function call {call}; give its output, or leave {where} out "
            "and say something new.",
            param=where,
        )


def _refuse_outputs_beside(said: Any) -> None:
    for number, item in enumerate(() if isinstance(said, str) else said):
        if getattr(item, "type", "") == OUTPUT:
            raise BadRequest(
                f"A request gives outputs of functions or says something, not both; leave "
                f"input[{number}] out, or the message behind it.",
                param=f"input[{number}]",
            )


def _message(item: Any, where: str) -> Message:
    kind = getattr(item, "type", "message")
    role = ROLES.get(getattr(item, "role", ""))
    if kind != "message" or role is None:
        what = kind if kind != "message" else f"role {getattr(item, 'role', None)!r}"
        raise BadRequest(
            f"An agent reads messages of users and assistants; {where} is {what}. "
            "Agents call their own tools and tell what came of it.",
            param=where,
        )
    return Message(role=role, text=text_of(item.content, where))


def text_of(content: Any, where: str) -> str:
    """What a message or an output says; `where` it stands.

    Raises:
        BadRequest: a part of it is no text.
    """
    if isinstance(content, str):
        return content
    return "".join(_part(part, f"{where}.content[{n}]") for n, part in enumerate(content or ()))


def _part(part: Any, where: str) -> str:
    if part.type not in TEXTS:
        raise BadRequest(f"An agent reads text; {where} is {part.type}.", param=where)
    text: str = part.text
    return text


type Allowed = Callable[[Any], bool]


def _one_of(*values: object) -> Allowed:
    return lambda value: value in values


def _empty(value: Any) -> bool:
    return not value


def _no_effort(value: Any) -> bool:
    return value.effort is None and value.summary is None


def _usage_at_most(value: Any) -> bool:
    return set(value) <= {"include_usage"}


def _not_obfuscated(value: Any) -> bool:
    return not value.include_obfuscation


# Every field beside those that are understood, with the values that ask for nothing special.
RESPONSES: Mapping[str, Allowed] = {
    "prompt": _empty,
    "prompt_cache_key": _empty,
    "top_p": _one_of(1),
    "frequency_penalty": _one_of(0),
    "presence_penalty": _one_of(0),
    "tool_choice": _one_of("auto"),
    "include": _empty,
    "max_infer_iters": _one_of(10),
    "guardrails": _empty,
    "max_tool_calls": _empty,
    "reasoning": _no_effort,
    "safety_identifier": _empty,
    "service_tier": _one_of("auto", "default"),
    "truncation": _one_of("auto"),
    "top_logprobs": _one_of(0),
    "stream_options": _not_obfuscated,
    # Those that only OGX knows.
    "context_management": _empty,
    "memory": _empty,
    "skills": _empty,
}
CHAT: Mapping[str, Allowed] = {
    "frequency_penalty": _one_of(0),
    "presence_penalty": _one_of(0),
    "function_call": _empty,
    "functions": _empty,
    "logit_bias": _empty,
    "logprobs": _empty,
    "n": _one_of(1),
    "seed": _empty,
    "stop": _empty,
    "stream_options": _usage_at_most,
    "tool_choice": _one_of("auto"),
    "top_logprobs": _one_of(0),
    "top_p": _one_of(1),
    "user": _empty,
    "safety_identifier": _empty,
    "service_tier": _one_of("auto", "default"),
    "reasoning_effort": _empty,
    "prompt_cache_key": _empty,
}
BOTH = {"instructions": "instructions", "temperature": "temperature", "functions": "tools"}
RESPONSES_FIELDS = BOTH | {"max_output_tokens": "max_output_tokens", "output": "text"}
"""What of `Options` belongs to a whole run, however many responses it has, by their fields."""
CHAT_FIELDS = BOTH | {"max_output_tokens": "max_tokens", "output": "response_format"}
WAYS_OUT = {
    "functions": "It is what tools was before; name them there.",
}


def _refuse(request: Any, allowed: Mapping[str, Allowed]) -> None:
    """Refuse the first field that asks for what is not done: nothing is passed over in silence."""
    for name in _unusual(request, allowed):
        way_out = WAYS_OUT.get(name, "Leave it out.")
        what = f"support {name} with this value" if name in allowed else f"know the field {name}"
        raise BadRequest(f"Agents do not {what}. {way_out}", param=name)


def _unusual(request: Any, allowed: Mapping[str, Allowed]) -> Iterable[str]:
    # What a client does not say has its default, which asks for nothing special.
    for name in sorted(allowed.keys() & request.model_fields_set):
        if (value := getattr(request, name)) is not None and not allowed[name](value):
            yield name
    for name, value in (request.model_extra or {}).items():
        if value is not None:
            yield name
