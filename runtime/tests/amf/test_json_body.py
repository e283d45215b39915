"""What is wrong with a body that the server's own models would stumble over."""

import json
from typing import Any

import pytest

from runtime.amf import json_body
from runtime.amf.json_body import MAX_VALUES, flaw

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
        pytest.param(RESPONSES, {"a": [0, float("nan")]}, "a[1]", id="no number"),
        pytest.param(RESPONSES, {"a": float("-inf")}, "a", id="infinite"),
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
    "body",
    [
        pytest.param(b'{"n": 1e999}', id="an exponent"),
        pytest.param(b'{"n": 1.5E+0400}', id="one with a sign"),
        pytest.param(b'{"n": 0.2e309}', id="just too large"),
        pytest.param(b'{"n": 1' + b"0" * 309 + b".0}", id="digits"),
        pytest.param('{"n": NaN}'.encode("utf-16"), id="in UTF-16"),
        pytest.param('{"n": "\ud800"}'.encode("utf-8", "surrogatepass"), id="half a pair as it is"),
    ],
)
def test_what_cannot_be_kept_is_found_however_it_is_written(body: bytes) -> None:
    refused = flaw(RESPONSES, body)

    assert refused is not None
    assert refused.param == "n"


def test_what_is_no_text_at_all_is_told_where() -> None:
    refused = flaw(RESPONSES, b'{"input": "\xff"}')

    assert refused is not None
    assert refused.message == "The body is no UTF-8 from byte 11 on; send JSON in UTF-8."


@pytest.mark.parametrize("path", [RESPONSES, CONVERSATIONS])
@pytest.mark.parametrize("values", ["[],", "0,", '{"a":0},', '"\\"",'])
def test_more_values_than_are_taken_are_not_even_made(
    monkeypatch: pytest.MonkeyPatch, path: str, values: str
) -> None:
    monkeypatch.delattr(json_body, "json")

    refused = flaw(path, f'{{"items": ["\\ud83d", {values * MAX_VALUES}0]}}'.encode())

    assert refused is not None
    assert str(MAX_VALUES) in refused.message


@pytest.mark.parametrize("path", [RESPONSES, CONVERSATIONS])
def test_only_what_is_suspicious_is_gone_through(
    monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.delattr(json_body, "_unkeepable")

    assert flaw(path, json.dumps({"items": [[{"a": 1.5e3}]] * 1000}).encode()) is None


@pytest.mark.parametrize(
    ("path", "body"),
    [
        pytest.param(RESPONSES, b'{"input": "\\ud83d\\ude00"}', id="a pair is a character"),
        pytest.param(RESPONSES, b'{"n": 9223372036854775807}', id="64 bits"),
        pytest.param(RESPONSES, b'{"n": 1.234567890123456789012}', id="digits of a fraction"),
        pytest.param(RESPONSES, b'{"n": "1234567890123456789012"}', id="digits in a text"),
        pytest.param(RESPONSES, b"\\ud800 is no JSON", id="what is no JSON is for the server"),
        pytest.param(RESPONSES, b"[" * 99_000 + b"\\ud800", id="nor what has no end"),
        pytest.param(RESPONSES, b'{"n": 1e308}', id="the largest exponent"),
        pytest.param(RESPONSES, b'{"input": "NaN, 1e999"}', id="words"),
        pytest.param(
            RESPONSES, b'{"input": "' + b'[,\\\\\\"' * MAX_VALUES + b'"}', id="commas in a text"
        ),
        pytest.param(RESPONSES, b'{"items": 5}', id="elsewhere items are anything"),
        pytest.param(CONVERSATIONS, b'{"items": null}', id="a conversation without items"),
        pytest.param(CONVERSATIONS, b"[]", id="no object"),
        pytest.param(f"{CONVERSATIONS}/conv_1", b'{"items": 5}', id="a change of metadata"),
    ],
)
def test_everything_else_is_read(path: str, body: bytes) -> None:
    assert flaw(path, body) is None
