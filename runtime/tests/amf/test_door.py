"""What is turned away before it is read, and what stands beside the body."""

import threading
from typing import Any

import pytest
from starlette.datastructures import Headers
from starlette.types import Message, Receive, Scope, Send

from runtime.amf import door
from runtime.amf.door import LARGE_BODY_BYTES, MAX_BODY_BYTES, Door, refusal, resumption
from runtime.amf.errors import BadRequest
from runtime.amf.malformed import malformed

JSON = {"content-type": "application/json", "content-length": "2"}
CONVERSATION = "/v1/conversations/conv_1/items"


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        pytest.param("POST", "/v1/responses", JSON, None, id="json"),
        pytest.param(
            "POST",
            "/v1/responses",
            JSON | {"content-type": "Application/JSON; charset=utf-8"},
            None,
            id="with its charset",
        ),
        pytest.param(
            "POST",
            "/v1/responses",
            JSON | {"content-type": "application/x-www-form-urlencoded"},
            None,
            id="a form, where the server reads one",
        ),
        pytest.param(
            "POST",
            "/v1/chat/completions",
            JSON | {"content-type": "application/x-www-form-urlencoded"},
            415,
            id="a form, where it does not",
        ),
        pytest.param("POST", CONVERSATION, {"content-length": "2"}, 415, id="no type"),
        pytest.param(
            "POST", CONVERSATION, {"transfer-encoding": "chunked"}, 415, id="no type, in chunks"
        ),
        pytest.param(
            "POST", CONVERSATION, {"content-type": "text/xml", "content-length": "2"}, 415, id="xml"
        ),
        pytest.param("POST", "/v1/responses/resp_1/cancel", {}, None, id="no body"),
        pytest.param("GET", "/v1/responses/resp_1", {}, None, id="a question"),
        pytest.param(
            "POST",
            "/v1/responses",
            JSON | {"content-length": str(MAX_BODY_BYTES)},
            None,
            id="the largest body",
        ),
        pytest.param(
            "POST",
            "/v1/responses",
            JSON | {"content-length": str(MAX_BODY_BYTES + 1)},
            413,
            id="one byte more",
        ),
    ],
)
def test_which_bodies_are_read(
    method: str, path: str, headers: dict[str, str], status: int | None
) -> None:
    refused = refusal(method, path, Headers(headers))

    assert (None if refused is None else refused.status_code) == status


@pytest.mark.parametrize(
    ("size", "is_apart"),
    [
        pytest.param(LARGE_BODY_BYTES, False, id="a small body"),
        pytest.param(LARGE_BODY_BYTES + 1, True, id="a large one"),
    ],
)
async def test_a_large_body_is_looked_through_beside_the_event_loop(
    monkeypatch: pytest.MonkeyPatch, size: int, is_apart: bool
) -> None:
    threads: list[threading.Thread] = []
    heard: list[Message] = []
    monkeypatch.setattr(door, "flaw", lambda *_: threads.append(threading.current_thread()))

    async def receive() -> Message:
        return {"type": "http.request", "body": b"a" * size}

    async def send(message: Message) -> None:
        raise AssertionError(message)

    async def app(_scope: Scope, receive: Receive, _send: Send) -> None:
        heard.append(await receive())

    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % size)]
    scope = {"type": "http", "method": "POST", "path": "/v1/responses", "headers": headers}
    await Door(app)(scope, receive, send)

    assert [one is not threading.main_thread() for one in threads] == [is_apart]
    assert len(heard[0]["body"]) == size


@pytest.mark.parametrize(
    ("query", "after"),
    [
        pytest.param({}, None, id="no stream"),
        pytest.param({"stream": "false"}, None, id="none either"),
        pytest.param({"stream": "true"}, -1, id="all of it"),
        pytest.param({"stream": "true", "starting_after": "0"}, 0, id="after the first"),
        pytest.param(
            {"stream": "1", "starting_after": "17", "include_obfuscation": "false"}, 17, id="later"
        ),
    ],
)
def test_where_a_stream_goes_on(query: dict[str, str], after: int | None) -> None:
    assert resumption(query) == after


@pytest.mark.parametrize(
    ("query", "param"),
    [
        pytest.param({"stream": "maybe"}, "stream", id="no boolean"),
        pytest.param({"stream": "true", "starting_after": "-1"}, "starting_after", id="below 0"),
        pytest.param({"stream": "true", "starting_after": "1.5"}, "starting_after", id="half"),
        pytest.param({"stream": "true", "starting_after": "9" * 16}, "starting_after", id="huge"),
        pytest.param({"starting_after": "3"}, "starting_after", id="without a stream"),
        pytest.param(
            {"stream": "true", "include_obfuscation": "true"},
            "include_obfuscation",
            id="obfuscated",
        ),
        pytest.param({"verbose": "1"}, "verbose", id="something else"),
    ],
)
def test_a_query_that_is_not_understood_is_refused_by_its_name(
    query: dict[str, str], param: str
) -> None:
    with pytest.raises(BadRequest) as refused:
        resumption(query)

    assert refused.value.param == param


ITEM = {"role": "user", "content": 5}
TEXT = "Input should be a valid string"


@pytest.mark.parametrize(
    ("errors", "body", "param", "said"),
    [
        pytest.param(
            [{"type": "missing", "loc": ("body", "model"), "msg": "Field required"}],
            {"input": "?"},
            "model",
            "model is missing.",
            id="a field that is missing",
        ),
        pytest.param(
            [
                {"type": "string_type", "loc": ("body", "input", "str"), "msg": TEXT},
                {
                    "type": "string_type",
                    "loc": ("body", "input", "list[union[A,B]]", 0, "A", "content", "str"),
                    "msg": TEXT,
                },
            ],
            {"input": [ITEM]},
            "input[0].content",
            "input[0].content has to be a text.",
            id="deep in one of several alternatives",
        ),
        pytest.param(
            [{"type": "int_parsing", "loc": ("query", "limit"), "msg": "no integer"}],
            None,
            "limit",
            "limit is not as it has to be: no integer.",
            id="in the query",
        ),
        pytest.param(
            [{"type": "json_invalid", "loc": ("body", 3), "msg": "JSON decode error"}],
            None,
            None,
            "The body is no JSON",
            id="no JSON at all",
        ),
        pytest.param(
            [
                {
                    "type": "json_invalid",
                    "loc": ("body", 15),
                    "msg": "JSON decode error",
                    "ctx": {"error": "Expecting value"},
                }
            ],
            '{"a": 1,\n "b": }',
            None,
            "The body is no JSON from line 2, column 7 on (Expecting value); send an object.",
            id="where it stops being JSON",
        ),
        pytest.param(
            [{"type": "missing", "loc": ("body",), "msg": "Field required"}],
            None,
            None,
            "The body is empty; send an object of JSON.",
            id="no body",
        ),
        pytest.param(
            [
                {"type": "string_type", "loc": ("body", "input", "str"), "msg": TEXT},
                {"type": "list_type", "loc": ("body", "input", "list[A]"), "msg": "a list"},
            ],
            {"input": 5},
            "input",
            "input has to be a text or a list.",
            id="all that it may be",
        ),
        pytest.param(
            [
                {
                    "type": "literal_error",
                    "loc": ("body", "input", "list[A]", 0, "A", "role", f"literal['{role}']"),
                    "msg": f"Input should be '{role}'",
                    "ctx": {"expected": f"'{role}'"},
                }
                for role in ("system", "user", "assistant")
            ],
            {"input": [{"role": "usr"}]},
            "input[0].role",
            "input[0].role has to be 'system', 'user' or 'assistant'.",
            id="all values that there are",
        ),
        pytest.param(
            [{"type": "model_attributes_type", "loc": ("body",), "msg": "a dictionary"}],
            [],
            None,
            "The body has to be an object of JSON: fields in braces.",
            id="no object",
        ),
    ],
)
def test_a_field_that_is_wrong_is_named(
    errors: list[dict[str, Any]], body: Any, param: str | None, said: str
) -> None:
    refused = malformed(errors, body)

    assert refused.param == param
    assert said in refused.message
