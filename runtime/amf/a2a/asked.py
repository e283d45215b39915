"""What a client of A2A sends, parsed at the door: understood whole, or refused by name. Pure.

Source:
    A2A protocol specification 1.0, "Send Message", "Message", "Part".
"""

import re
from collections.abc import Iterator
from typing import Any

from a2a.helpers import get_data_parts
from a2a.types import Message, Role, SendMessageConfiguration, SendMessageRequest
from a2a.utils.errors import (
    ContentTypeNotSupportedError,
    InvalidParamsError,
    PushNotificationNotSupportedError,
)

from runtime.amf.asked import Asked
from runtime.amf.decisions import Decision, Decisions
from runtime.amf.items import approval_of
from runtime.amf.reply import model_name
from runtime.contract import messages
from runtime.contract.approval import MOST_REASON
from runtime.contract.runs import RunRecord

CONTEXT = re.compile(r"[-_A-Za-z0-9]{1,128}")
SERVERS = "conv_"  # the server keeps items of these, which only the Responses API reads and writes
VERDICTS = {"approve": True, "deny": False}
TEXTS = frozenset({"*/*", "text", "text/*", "text/plain"})
FIELDS = frozenset({"id", "approve", "reason"})


def asked(request: SendMessageRequest, context: str, *, stream: bool) -> Asked:
    """The request as an agent understands it; it belongs to the conversation `context`.

    It is background work: a client that goes away may come back to its task.

    Raises:
        A2AError: it asks for something that is not done; the message names the field.
    """
    _check(request)
    text = "\n".join(_texts(request.message))
    if not text.strip():
        raise InvalidParamsError("message.parts holds no text; say what the agent is to do.")
    return Asked(
        input=(messages.Message(role=messages.Role.USER, text=text),),
        options=messages.Options(stream=stream),
        conversation=context,
        background=True,
    )


def check_context(context: str) -> None:
    """Refuse a context id that no conversation over A2A can have.

    Raises:
        InvalidParamsError: it is none.
    """
    if context.startswith(SERVERS):
        raise InvalidParamsError(
            f"message.contextId begins with {SERVERS}, as the conversations of /v1/conversations "
            "do; go on with it by /v1/responses, or leave it out to begin a new conversation."
        )
    if not CONTEXT.fullmatch(context):
        raise InvalidParamsError(
            "message.contextId takes 1 to 128 letters, digits, `-` and `_`; leave it out to begin "
            "a new conversation."
        )


def decisions(request: SendMessageRequest, record: RunRecord, *, stream: bool) -> Decisions:
    """What the message decides on the calls of a run that waits for people.

    Shape:
        One part of text, `approve` or `deny`, for every call that waits; or parts of data, each
        `{"id": str, "approve": bool, "reason": str}`, without `id` for every call that waits.

    Raises:
        A2AError: it says something else.
    """
    _check(request)
    made = [
        one
        for number, part in enumerate(request.message.parts)
        for one in _decided(part, f"message.parts[{number}]", record)
    ]
    return Decisions(
        task=record.task.id,
        agent=record.task.agent,
        model=model_name(record),
        each=tuple(made),
        stream=stream,
        background=True,
    )


def _check(request: SendMessageRequest) -> None:
    if request.message.role != Role.ROLE_USER:
        raise InvalidParamsError("message.role has to be ROLE_USER.")
    _check_configuration(request.configuration)


def _check_configuration(wanted: SendMessageConfiguration) -> None:
    if wanted.HasField("task_push_notification_config"):
        raise PushNotificationNotSupportedError(
            "Push notifications are not supported; leave "
            "configuration.taskPushNotificationConfig out and read along, or ask for the task."
        )
    if wanted.history_length < 0:
        raise InvalidParamsError("configuration.historyLength has to be 0 or more.")
    modes = wanted.accepted_output_modes
    if modes and not TEXTS.intersection(mode.partition(";")[0].strip() for mode in modes):
        raise ContentTypeNotSupportedError(
            "Agents answer in text/plain; name it in configuration.acceptedOutputModes."
        )


def _texts(message: Message) -> Iterator[str]:
    for number, part in enumerate(message.parts):
        if not part.HasField("text"):
            raise ContentTypeNotSupportedError(
                f"message.parts[{number}] is no text, and agents read text alone; put it as text."
            )
        yield part.text


def _decided(part: Any, where: str, record: RunRecord) -> list[Decision]:
    told = _told(part, where)
    if not isinstance(approve := told.get("approve"), bool):
        raise InvalidParamsError(f"{where}.data.approve has to be true or false.")
    reason = told.get("reason")
    if reason is not None and not (isinstance(reason, str) and len(reason) <= MOST_REASON):
        raise InvalidParamsError(f"{where}.data.reason is a text of {MOST_REASON} characters.")
    return [
        Decision(number=number, approve=approve, reason=reason, where=where)
        for number in _numbers(told.get("id"), where, record)
    ]


def _told(part: Any, where: str) -> dict[str, Any]:
    if part.HasField("text") and (word := part.text.strip().lower()) in VERDICTS:
        return {"approve": VERDICTS[word]}
    data = get_data_parts([part])
    if data and isinstance(data[0], dict) and not data[0].keys() - FIELDS:
        return data[0]
    raise InvalidParamsError(
        f"This task waits for a person, and {where} decides nothing: the text `approve` or `deny` "
        'does, or data such as {"approve": true}. The status of the task says what is asked.'
    )


def _numbers(approval: object, where: str, record: RunRecord) -> list[int]:
    if approval is None:
        return [number for number, one in enumerate(record.approvals) if one.is_open]
    named = approval_of(approval) if isinstance(approval, str) else None
    if named is None or named[0] != record.task.id:
        raise InvalidParamsError(f"{where}.data.id names no approval that this task asks for.")
    return [named[1]]
