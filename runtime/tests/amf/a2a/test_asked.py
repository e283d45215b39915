"""What a client of A2A may send, and by which name everything else is refused."""

from typing import Any

import pytest
from a2a.helpers import new_data_part, new_raw_part, new_text_part
from a2a.types import (
    Message,
    Part,
    Role,
    SendMessageConfiguration,
    SendMessageRequest,
    TaskPushNotificationConfig,
)
from a2a.utils.errors import (
    A2AError,
    ContentTypeNotSupportedError,
    InvalidParamsError,
    PushNotificationNotSupportedError,
)

from runtime.amf.a2a.asked import asked, check_context, decisions
from runtime.amf.decisions import Decision
from runtime.contract.approval import Verdict
from runtime.tests.amf.events import TASK
from runtime.tests.amf.records import CONTEXT, parked_record

HELLO = new_text_part("Hello")
WHERE = "message.parts[0]"
PUSH = TaskPushNotificationConfig(url="http://somewhere")


def request(*parts: Part, role: Role = Role.ROLE_USER, **wanted: Any) -> SendMessageRequest:
    message = Message(message_id="m1", role=role, parts=parts)
    return SendMessageRequest(message=message, configuration=SendMessageConfiguration(**wanted))


@pytest.mark.parametrize("modes", [[], ["text/plain"], ["image/png", "text/*"], ["*/*"]])
def test_texts_are_the_input_of_a_run_in_its_context(modes: list[str]) -> None:
    parts = (HELLO, new_text_part("there"))

    found = asked(request(*parts, accepted_output_modes=modes), CONTEXT, stream=True)

    assert [one.text for one in found.input] == ["Hello\nthere"]
    assert (found.conversation, found.options.stream) == (CONTEXT, True)
    assert (found.background, found.store) == (True, True)


@pytest.mark.parametrize(
    ("sent", "error", "field"),
    [
        pytest.param(
            request(HELLO, new_raw_part(b"png")),
            ContentTypeNotSupportedError,
            "message.parts[1]",
            id="a file",
        ),
        pytest.param(
            request(new_data_part({"a": 1})), ContentTypeNotSupportedError, WHERE, id="data"
        ),
        pytest.param(
            request(new_text_part(" ")), InvalidParamsError, "message.parts", id="no word"
        ),
        pytest.param(
            request(HELLO, role=Role.ROLE_AGENT), InvalidParamsError, "message.role", id="an agent"
        ),
        pytest.param(
            request(HELLO, task_push_notification_config=PUSH),
            PushNotificationNotSupportedError,
            "configuration.taskPushNotificationConfig",
            id="push notifications",
        ),
        pytest.param(
            request(HELLO, accepted_output_modes=["image/png"]),
            ContentTypeNotSupportedError,
            "configuration.acceptedOutputModes",
            id="pictures wanted",
        ),
        pytest.param(
            request(HELLO, history_length=-1),
            InvalidParamsError,
            "configuration.historyLength",
            id="less than no history",
        ),
    ],
)
def test_what_is_not_done_is_refused_by_its_name(
    sent: SendMessageRequest, error: type[A2AError], field: str
) -> None:
    with pytest.raises(error) as refused:
        asked(sent, CONTEXT, stream=False)

    assert field in refused.value.message


@pytest.mark.parametrize("context", ["", "a b", "x" * 129, "heads.*", "conv_0123"])
def test_a_context_that_no_conversation_can_have_is_refused(context: str) -> None:
    with pytest.raises(InvalidParamsError, match=r"message\.contextId"):
        check_context(context)


@pytest.mark.parametrize(
    ("part", "wanted"),
    [
        pytest.param(new_text_part("approve"), {1: (True, None), 2: (True, None)}, id="a word"),
        pytest.param(new_text_part(" Deny "), {1: (False, None), 2: (False, None)}, id="loudly"),
        pytest.param(
            new_data_part({"approve": False, "reason": "no"}),
            {1: (False, "no"), 2: (False, "no")},
            id="data for all that waits",
        ),
        pytest.param(
            new_data_part({"approve": True, "id": f"mcpr_{TASK}_2"}),
            {2: (True, None)},
            id="data for one",
        ),
    ],
)
def test_a_message_on_a_task_that_waits_decides(
    part: Part, wanted: dict[int, tuple[bool, str | None]]
) -> None:
    run = parked_record(Verdict.APPROVED, None, None)

    made = decisions(request(part), run, stream=True)

    assert made.each == tuple(
        Decision(number=number, approve=approve, reason=reason, where=WHERE)
        for number, (approve, reason) in wanted.items()
    )
    assert (made.task, made.model, made.stream, made.background) == (TASK, "math", True, True)


@pytest.mark.parametrize(
    ("part", "field"),
    [
        pytest.param(new_text_part("perhaps"), WHERE, id="neither word"),
        pytest.param(new_data_part(["approve"]), WHERE, id="no object"),
        pytest.param(new_data_part({"approve": True, "all": True}), WHERE, id="an unknown field"),
        pytest.param(new_data_part({"approve": "yes"}), f"{WHERE}.data.approve", id="no bool"),
        pytest.param(
            new_data_part({"approve": True, "reason": "x" * 2001}),
            f"{WHERE}.data.reason",
            id="many words",
        ),
        pytest.param(
            new_data_part({"approve": True, "id": f"mcpr_{'f' * 32}_1"}),
            f"{WHERE}.data.id",
            id="of another task",
        ),
        pytest.param(
            new_data_part({"approve": True, "id": 1}), f"{WHERE}.data.id", id="a number as id"
        ),
    ],
)
def test_a_message_that_decides_nothing_is_refused_by_its_name(part: Part, field: str) -> None:
    with pytest.raises(InvalidParamsError) as refused:
        decisions(request(part), parked_record(None), stream=False)

    assert field in refused.value.message
