"""One person's word, from the command line to the request."""

from typing import Any

import pytest

from controller import cli
from controller.local.decide import NotDecided, Word, decide, word_body

TASK = "0123456789abcdef0123456789abcdef"
RESPONSE: dict[str, Any] = {
    "id": f"resp_{TASK}",
    "model": "math",
    "status": "completed",
    "output": [
        {"type": "message", "id": "msg_1"},
        {"type": "mcp_approval_request", "id": f"mcpr_{TASK}_1"},
        {"type": "mcp_approval_request", "id": f"mcpr_{TASK}_2"},
    ],
}


def said(*arguments: str) -> Word:
    return cli.word(cli.parser().parse_args(arguments))


def test_what_is_said_on_the_command_line_is_a_word() -> None:
    assert said("approve", "mcpr_1") == Word(id="mcpr_1", approve=True, url="http://127.0.0.1:8321")
    more = ("--reason", "too much", "--url", "http://there:80/v1/", "--token", "t")
    assert said("deny", "resp_1", *more) == Word(
        id="resp_1", approve=False, url="http://there:80", reason="too much", token="t"
    )


@pytest.mark.parametrize(
    ("named", "asked"),
    [
        pytest.param(f"mcpr_{TASK}_2", [f"mcpr_{TASK}_2"], id="one"),
        pytest.param(f"mcpr_{TASK}_0", [f"mcpr_{TASK}_0"], id="one that is decided"),
        pytest.param(f"resp_{TASK}", [f"mcpr_{TASK}_1", f"mcpr_{TASK}_2"], id="all"),
    ],
)
def test_a_word_is_on_one_call_or_on_all_that_a_response_asks_for(
    named: str, asked: list[str]
) -> None:
    body = word_body(said("deny", named, "--reason", "too much"), RESPONSE)
    assert (body["model"], body["previous_response_id"]) == ("math", f"resp_{TASK}")
    assert [item["approval_request_id"] for item in body["input"]] == asked
    assert all((one["approve"], one["reason"]) == (False, "too much") for one in body["input"])


def test_a_response_that_asks_for_nothing_is_named_with_its_status() -> None:
    asks_nothing = RESPONSE | {"output": [], "status": "failed"}
    with pytest.raises(NotDecided, match=f"resp_{TASK} asks for no approval: it is failed"):
        word_body(said("approve", f"resp_{TASK}"), asks_nothing)


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("me",), "'me' is no whole id"),
        (("mcpr_1",), "that of an approval is mcpr_, 32 hexadecimal digits, _ and a number"),
        ((f"resp_{TASK}", "--url", "http://127.0.0.1:9"), "http://127.0.0.1:9 does not answer"),
    ],
)
async def test_a_word_that_reaches_nobody_is_an_error(arguments: tuple[str, ...], why: str) -> None:
    with pytest.raises(NotDecided, match=why):
        await decide(said("approve", *arguments), print)
