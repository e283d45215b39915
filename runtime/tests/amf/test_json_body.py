"""What is wrong with a body that the server's own models would stumble over."""

import json
from typing import Any

import pytest

from runtime.amf.json_body import flaw

RESPONSES, CONVERSATIONS = "/v1/responses", "/v1/conversations"
ITEMS = f"{CONVERSATIONS}/conv_1/items"


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        pytest.param(RESPONSES, {"input": "\ud800"}, "input", id="half a pair"),
        pytest.param(RESPONSES, {"input": "a\udfff"}, "input", id="the other half"),
        pytest.param(
            RESPONSES,
            {"input": [{"content": "fine"}, {"content": "\ud83d"}]},
            "input[1].content",
            id="deep inside",
        ),
        pytest.param(RESPONSES, "\ud800", "", id="nothing else"),
        pytest.param(RESPONSES, {"metadata": {"\ud800": "a"}}, "metadata.…", id="a name"),
        pytest.param(RESPONSES, {"n": 2**63}, "n", id="65 bits"),
        pytest.param(RESPONSES, {"n": [-(2**70)]}, "n[0]", id="below zero"),
        pytest.param(CONVERSATIONS, {"items": 5}, "items", id="items is a number"),
        pytest.param(CONVERSATIONS, {"items": "a"}, "items", id="items is a word"),
        pytest.param(ITEMS, {"items": None}, "items", id="no items to add"),
    ],
)
def test_what_cannot_be_kept_or_gone_through_is_named(path: str, body: Any, param: str) -> None:
    refused = flaw(path, json.dumps(body).encode())

    assert refused is not None
    assert refused.param == param
    assert refused.message.encode()


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(RESPONSES, b'{"input": "\\ud83d\\ude00"}', id="a pair is a character"),
        pytest.param(RESPONSES, b'{"n": 9223372036854775807}', id="64 bits"),
        pytest.param(RESPONSES, b'{"n": 1.234567890123456789012}', id="digits of a fraction"),
        pytest.param(RESPONSES, b'{"n": "1234567890123456789012"}', id="digits in a text"),
        pytest.param(RESPONSES, b"\\ud800 is no JSON", id="what is no JSON is for the server"),
        pytest.param(RESPONSES, b"[" * 100_000 + b"\\ud800", id="nor what has no end"),
        pytest.param(RESPONSES, b'{"items": 5}', id="elsewhere items are anything"),
        pytest.param(CONVERSATIONS, b'{"items": null}', id="a conversation without items"),
        pytest.param(CONVERSATIONS, b"[]", id="no object"),
        pytest.param(f"{CONVERSATIONS}/conv_1", b'{"items": 5}', id="a change of metadata"),
    ],
)
def test_everything_else_is_read(path: str, body: bytes) -> None:
    assert flaw(path, body) is None
