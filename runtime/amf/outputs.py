"""What a client gives for calls of its functions: parsed at the door, then applied. Pure.

The id of a call names its run, so a client that keeps everything itself and sends all of it again
goes on with the same run as one that names the response before.

Source:
    OpenAI API reference, "Function calling", and "Create a model response", the input item
    `function_call_output`; "Create chat completion", messages of the role `tool`.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from runtime.amf.asked import (
    CHAT_FIELDS,
    OUTPUT,
    RESPONSES_FIELDS,
    ROLES,
    Terms,
    check_background,
    check_metadata,
    options,
    options_in_chat,
    refuse_unusual,
    refuse_unusual_in_chat,
    text_of,
)
from runtime.amf.errors import BadRequest, Conflict, NotFound, TooLarge
from runtime.amf.response_id import ResponseId, call_id, call_of
from runtime.contract.catalogue import AgentEntry
from runtime.contract.handover import Handover
from runtime.contract.messages import Options, ResponseOptions, Role
from runtime.contract.runs import RunRecord


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One output: of the call `number` of the run; `where` it stands in the request."""

    number: int
    text: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Outputs(Terms):
    """A request that gives outputs of functions to one run.

    Shape:
        fields  how the client calls what is in `options`; they say again how the run is to be, see
                `check_settled`.
    """

    task: str
    each: tuple[Output, ...]
    fields: Mapping[str, str]

    @property
    def where(self) -> str:
        """The field that the newest output stands in."""
        return self.each[-1].where


def gives_outputs(items: Any) -> bool:
    """Whether the `input` of a request of the Responses API ends in outputs of functions."""
    return not isinstance(items, str) and bool(_newest(items, _is_output))


def outputs(request: Any) -> Outputs:
    """What a request of the Responses API gives.

    Raises:
        BadRequest: it gives nothing that was asked for, or asks for what is not done.
    """
    refuse_unusual(request)
    check_metadata(request.metadata or {})
    check_background(request)
    told = [
        (f"input[{place}]", item.call_id, item.output)
        for place, item in _newest(request.input, _is_output)
    ]
    task, each = each_of(told, "call_id")
    return Outputs(
        task=task,
        each=each,
        options=options(request),
        fields=RESPONSES_FIELDS,
        previous=request.previous_response_id,
        conversation=request.conversation,
        background=bool(request.background),
        store=request.store is not False,
        metadata=request.metadata or {},
    )


def gives_outputs_in_chat(messages: Iterable[Any]) -> bool:
    """Whether the messages of a chat end in outputs of functions."""
    return bool(_newest(messages, _is_tools))


def outputs_in_chat(request: Any) -> Outputs:
    """What a request of the Chat Completions API gives.

    Raises:
        BadRequest: see `outputs`.
    """
    refuse_unusual_in_chat(request)
    told = [
        (f"messages[{place}]", message.tool_call_id, message.content)
        for place, message in _newest(request.messages, _is_tools)
    ]
    task, each = each_of(told, "tool_call_id")
    return Outputs(
        task=task, each=each, options=options_in_chat(request), fields=CHAT_FIELDS, store=False
    )


def _newest(items: Iterable[Any], is_output: Callable[[Any], bool]) -> list[tuple[int, Any]]:
    """The outputs behind whatever was said last to the agent, with their places."""
    found: list[tuple[int, Any]] = []
    for place, item in enumerate(items):
        if is_output(item):
            found.append((place, item))
        elif ROLES.get(getattr(item, "role", ""), Role.ASSISTANT) is not Role.ASSISTANT:
            found.clear()
    return found


def _is_output(item: Any) -> bool:
    return getattr(item, "type", None) == OUTPUT


def _is_tools(message: Any) -> bool:
    return getattr(message, "role", None) == "tool"


def each_of(told: Sequence[tuple[str, str, Any]], name: str) -> tuple[str, tuple[Output, ...]]:
    """The run that outputs are for, and each of them, in the order of their calls.

    Shape:
        told  where each stands, the id of its call, and what it says.
        name  of the field with the id.

    Raises:
        BadRequest: they are for no run, or for two, or there are two for one call.
    """
    found: dict[int, Output] = {}
    newest = call_of(told[-1][1])
    for where, call, said in told:
        named = call_of(call)
        if named is None or newest is None or named[0] != newest[0]:
            raise _unknown(call, f"{where}.{name}")
        output = Output(number=named[1], text=text_of(said, where), where=where)
        other = found.setdefault(output.number, output)
        if other.text != output.text:
            raise BadRequest(
                f"{where} and {other.where} are different outputs of {call}; give one.",
                param=f"{where}.{name}",
            )
    if newest is None:
        raise AssertionError("the newest of the outputs was looked at as well")
    return newest[0], tuple(found[number] for number in sorted(found))


def given(
    record: RunRecord | None, made: Outputs, agent: AgentEntry, *, user: str, now: float
) -> tuple[RunRecord, int]:
    """The record once its client has given the outputs, and the number of the response that begins.

    Every output is taken, or none. Who gives the same again gets the same response.

    Units:
        `now` in seconds since the epoch.

    Raises:
        NotFound: there is no such run of this user.
        BadRequest: it never asked for that, or asked for more.
        TooLarge: they are over the limit of the agent.
        Conflict: it has got other outputs, or waits no longer.
    """
    if record is None or record.task.user != user:
        raise NotFound(
            f"There is no function call {call_id(made.task, made.each[-1].number)} that waits for "
            "an output.",
            param=made.where,
        )
    if record.task.agent != agent.agent:
        raise BadRequest(
            f"The function call is none of {agent.model}; name its model.", param="model"
        )
    place = _place(record, made)
    handover = record.handovers[place]
    _check_named(record, made, place)
    check_settled(record.task.options, made)
    texts = _texts(record, made, handover)
    if not handover.is_open:
        if texts != [call.output for call in handover.calls]:
            raise Conflict(
                "Other outputs were given for these function calls; retrieve the response "
                f"{ResponseId(made.task, place + 1)} to see how it went on.",
                param=made.where,
            )
        return record, place + 1
    _check_waits(record, handover, made, now)
    _check_size(texts, made, agent)
    handover = handover.giving(texts, now, _response(record, made, place))
    return _with(record, handover, made), place + 1


def _place(record: RunRecord, made: Outputs) -> int:
    """The newest handover that the outputs are for; those before have to be as they were given."""
    places = {
        handover.first + number: place
        for place, handover in enumerate(record.handovers)
        for number in range(len(handover.calls))
    }
    for one in made.each:
        if one.number not in places:
            raise _unknown(call_id(made.task, one.number), one.where)
    newest = max(places[one.number] for one in made.each)
    for one in made.each:
        handover = record.handovers[places[one.number]]
        if places[one.number] < newest and handover.calls[one.number - handover.first].output != (
            one.text
        ):
            raise Conflict(
                f"Another output was given for the function call {call_id(made.task, one.number)} "
                "before; leave it out.",
                param=one.where,
            )
    return newest


def _texts(record: RunRecord, made: Outputs, handover: Handover) -> list[str]:
    by_number = {one.number: one.text for one in made.each}
    numbers = range(handover.first, handover.first + len(handover.calls))
    for number in numbers:
        if number not in by_number:
            call = call_id(record.task.id, number)
            raise BadRequest(
                f"No tool output found for function call {call}; give the outputs of all calls "
                "that were made together.",
                param=made.where.partition("[")[0],
            )
    return [by_number[number] for number in numbers]


def _check_named(record: RunRecord, made: Outputs, place: int) -> None:
    asked = ResponseId(record.task.id, place)
    if made.previous is not None and made.previous != str(asked):
        raise BadRequest(
            f"These function calls are those of {asked}; name it, or none.",
            param="previous_response_id",
        )
    if made.conversation is not None and made.conversation != record.task.conversation:
        raise BadRequest(
            "These function calls were not made in this conversation; leave it out.",
            param="conversation",
        )


def check_settled(options: Options, made: Outputs) -> None:
    """Refuse what would make another run of it; who says the same again is welcome.

    Raises:
        BadRequest: `param` names the field.
    """
    for name, param in made.fields.items():
        said = getattr(made.options, name)
        if said not in (None, ()) and said != getattr(options, name):
            raise BadRequest(
                f"A request that gives outputs goes on with its run as it is; say the same "
                f"{param} as before, or leave it out.",
                param=param,
            )


def _check_waits(record: RunRecord, handover: Handover, made: Outputs, now: float) -> None:
    if record.state.is_end or record.cancel_requested:
        ended = record.message or "it was cancelled"
        raise Conflict(f"The run does not wait for outputs any more: {ended}.", param=made.where)
    if now >= handover.expires:
        raise Conflict(
            f"The outputs of {handover.functions} were not given in time, within "
            f"{round(handover.expires - handover.asked)} s.",
            param=made.where,
        )


def _check_size(texts: Iterable[str], made: Outputs, agent: AgentEntry) -> None:
    size = sum(len(text.encode()) for text in texts)
    if size > agent.max_input_bytes:
        raise TooLarge(
            f"The outputs have {size} bytes; this agent takes {agent.max_input_bytes} "
            "(spec.execution.maxInputBytes). Give what matters of them.",
            param=made.where,
        )


def _response(record: RunRecord, made: Outputs, place: int) -> ResponseOptions:
    return ResponseOptions(
        background=made.background,
        store=made.store,
        metadata=made.metadata,
        previous=ResponseId(record.task.id, place).bare,
    )


def _with(record: RunRecord, handover: Handover, made: Outputs) -> RunRecord:
    stream = record.task.options.stream or made.options.stream
    wished = record.task.options.model_copy(update={"stream": stream})
    task = record.task.model_copy(update={"options": wished})
    handovers = (*record.handovers[:-1], handover)
    return record.model_copy(update={"task": task, "handovers": handovers})


def _unknown(call: str, where: str) -> BadRequest:
    return BadRequest(f"No function call found with the id {call}.", param=where)
