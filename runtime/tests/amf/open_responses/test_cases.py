"""The cases of the Open Responses compliance suite, against a real server and a real queue.

Each is asked whole and as a stream, though the suite streams a few of them alone. Functions of the
client are in a file of their own.

Source:
    openresponses.org, "Compliance": the names of the cases are its ids. What a case leaves to a
    model's wit is told here by a worker that says again all that it was given.
"""

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from runtime.contract.messages import Role
from runtime.tests.amf.clients import agent, http_client
from runtime.tests.amf.events import completed, failed, said, started
from runtime.tests.amf.open_responses.shapes import Message, OutputText, Refused, Response
from runtime.tests.amf.open_responses.streams import final_response, read
from runtime.tests.amf.plays import Play
from runtime.tests.amf.server import Server

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="session")]

PIXEL = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwAD"
    "hgGAWjR9awAAAABJRU5ErkJggg=="
)
IMAGE = {"type": "input_image", "image_url": PIXEL}
FILE = {"type": "input_file", "filename": "a.txt", "file_data": "data:text/plain;base64,SGVsbG8="}


async def retell(play: Play) -> None:
    """Say all that was said so far, by whom; `fail` fails."""
    if play.said == "fail":
        await play.perform([started(), said("I "), failed("It cannot be done.")])
        return
    told = [f"{one.role}: {one.text}" for one in (*play.task.history, *play.task.input)]
    pieces = [said(f"{line}\n") for line in told] if play.task.options.stream else []
    await play.perform([started(), *pieces, completed("".join(f"{line}\n" for line in told), 7, 3)])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def model(server: Server) -> AsyncIterator[str]:
    async with agent(server, retell) as (name, _):
        yield name


def message(role: str, content: Any) -> dict[str, Any]:
    return {"type": "message", "role": role, "content": content}


async def asked(server: Server, **body: Any) -> httpx.Response:
    async with http_client(server) as client:
        return await client.post("/responses", json=body)


async def response_to(server: Server, *, stream: bool, **body: Any) -> Response:
    """The response to a request, read strictly."""
    answer = await asked(server, stream=stream, **body)
    assert answer.status_code == 200, answer.text
    kind, _, _ = answer.headers["content-type"].partition(";")
    assert kind == ("text/event-stream" if stream else "application/json")
    return (
        final_response(read(answer.text)) if stream else Response.model_validate_json(answer.text)
    )


def text(response: Response) -> str:
    """What a completed response says."""
    assert response.status == "completed"
    assert response.completed_at is not None
    (item,) = response.output
    assert isinstance(item, Message)
    assert (item.role, item.status) == ("assistant", "completed")
    (part,) = item.content
    assert isinstance(part, OutputText)
    return part.text


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("given", "told"),
    [
        pytest.param("Say hello.", ["user: Say hello."], id="a string is a user's message"),
        pytest.param(
            [message("user", "Say hello in exactly 3 words.")],
            ["user: Say hello in exactly 3 words."],
            id="basic-response",
        ),
        pytest.param(
            [message("user", "Count from 1 to 5.")],
            ["user: Count from 1 to 5."],
            id="streaming-response",
        ),
        pytest.param(
            [message("system", "You are a pirate."), message("user", "Say hello.")],
            ["system: You are a pirate.", "user: Say hello."],
            id="system-prompt",
        ),
        pytest.param(
            [
                message("developer", [{"type": "input_text", "text": "Be brief."}]),
                message("user", "Say hello."),
            ],
            ["system: Be brief.", "user: Say hello."],
            id="developer messages",
        ),
        pytest.param(
            [
                message("user", "My name is Alice."),
                message("assistant", [{"type": "output_text", "text": "Hello Alice!"}]),
                message("user", "What is my name?"),
            ],
            ["user: My name is Alice.", "assistant: Hello Alice!", "user: What is my name?"],
            id="multi-turn",
        ),
    ],
)
async def test_what_is_said_is_answered(
    server: Server, model: str, given: Any, told: list[str], *, stream: bool
) -> None:
    response = await response_to(server, stream=stream, model=model, input=given)

    assert text(response).splitlines() == told
    assert response.model == model
    assert response.usage is not None
    assert response.usage.total_tokens == 10


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_previous_response_id(server: Server, model: str, *, stream: bool) -> None:
    first = await response_to(server, stream=stream, model=model, input="The word is papaya.")
    second = await response_to(
        server,
        stream=stream,
        model=model,
        previous_response_id=first.id,
        input="Which word?",
    )

    assert second.previous_response_id == first.id
    assert text(second).splitlines() == [
        f"{Role.USER}: The word is papaya.",
        f"{Role.ASSISTANT}: user: The word is papaya.",
        "",
        f"{Role.USER}: Which word?",
    ]


async def test_what_a_request_sets_is_in_its_response(server: Server, model: str) -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
    form = {"type": "json_schema", "name": "answer", "description": None, "strict": True}
    response = await response_to(
        server,
        stream=True,
        model=model,
        input="?",
        instructions="Be brief.",
        temperature=0.5,
        max_output_tokens=100,
        metadata={"order": "17"},
        store=False,
        text={"format": form | {"schema": schema}},
    )

    assert response.instructions == "Be brief."
    assert response.temperature == 0.5
    assert response.max_output_tokens == 100
    assert response.metadata == {"order": "17"}
    assert response.store is False
    assert response.text.format.type == "json_schema"


async def test_a_background_response_is_queued_and_found_again(server: Server, model: str) -> None:
    answer = await asked(server, model=model, input="Hello", background=True, stream=True)
    events = read(answer.text)
    async with http_client(server) as client:
        found = await client.get(f"/responses/{final_response(events).id}")

    assert events[0].type == "response.created"
    assert text(Response.model_validate_json(found.text)) == "user: Hello\n"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_a_response_that_fails_says_why(server: Server, model: str, *, stream: bool) -> None:
    response = await response_to(server, stream=stream, model=model, input="fail")

    assert response.status == "failed"
    assert response.error is not None
    assert response.error.message == "It cannot be done."


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        pytest.param({"model": "nobody"}, 404, "model_not_found", "model", id="no such model"),
        pytest.param(
            {"input": [message("king", "?")]}, 400, "invalid_value", "input[0].role", id="no role"
        ),
        pytest.param(
            {"previous_response_id": "resp_1"},
            404,
            "not_found",
            "previous_response_id",
            id="no such response",
        ),
        pytest.param(
            {"input": [message("user", [{"type": "input_text", "text": "What is it?"}, IMAGE])]},
            400,
            "invalid_value",
            "input[0].content[1]",
            id="image-input",
        ),
        pytest.param(
            {"input": [message("user", [{"type": "input_text", "text": "Read it."}, FILE])]},
            400,
            "invalid_value",
            "input[0].content[1]",
            id="file-input",
        ),
        pytest.param(
            {"tools": [{"type": "file_search", "vector_store_ids": ["vs_1"]}]},
            400,
            "invalid_value",
            "tools",
            id="file-search",
        ),
        pytest.param(
            {"tools": [{"type": "web_search", "external_web_access": False}]},
            400,
            "invalid_value",
            "tools",
            id="offline-web-search",
        ),
    ],
)
async def test_what_an_agent_does_not_do_is_refused_by_its_name(
    server: Server, model: str, body: dict[str, Any], status: int, code: str, param: str
) -> None:
    """Agents read text alone, and search by Tools of the Stack: docs/api.md says so."""
    answer = await asked(server, **{"model": model, "input": "?"} | body)

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/json"
    refused = Refused.model_validate_json(answer.text).error
    assert (refused.type, refused.code) == ("invalid_request_error", code)
    assert refused.param is not None
    assert refused.param.partition("[")[0] == param.partition("[")[0]
    assert refused.param.startswith(param)
