"""Vectors of texts: near each other when they share words."""

import base64
import json
import math
import struct
from typing import Any

import pytest
from stand_in.embed import DIMENSIONS, embedded, vector, wanted
from stand_in.request import BadRequest


def body(**fields: Any) -> bytes:
    return json.dumps({"model": "stand-in", "input": "a laptop"} | fields).encode()


def near(first: str, second: str, dimensions: int = DIMENSIONS) -> float:
    return math.sumprod(vector(first, dimensions), vector(second, dimensions))


@pytest.mark.parametrize("dimensions", [64, 100, 768])
def test_texts_that_share_words_are_near_each_other(dimensions: int) -> None:
    question = "Who replaces a stolen laptop?"
    fitting = near(question, "Laptops are replaced when stolen.", dimensions)
    other = near(question, "Everybody has thirty days of holidays.", dimensions)
    assert fitting > 0.9
    assert other < 0.5


@pytest.mark.parametrize("text", ["", "the", "a laptop"])
def test_a_vector_has_length_one_and_is_always_the_same(text: str) -> None:
    assert math.hypot(*vector(text, 64)) == pytest.approx(1)
    assert vector(text, 64) == vector(text, 64)


def test_every_text_has_its_vector_in_order() -> None:
    told = json.loads(embedded(wanted(body(input=["one", "two"], dimensions=8))))
    assert [one["index"] for one in told["data"]] == [0, 1]
    assert told["data"][1]["embedding"] == vector("two", 8)
    assert told["usage"]["total_tokens"] > 0


def test_vectors_may_be_packed() -> None:
    told = json.loads(embedded(wanted(body(dimensions=8, encoding_format="base64"))))
    packed = base64.b64decode(told["data"][0]["embedding"])
    assert struct.unpack("<8f", packed) == pytest.approx(vector("a laptop", 8))


@pytest.mark.parametrize(
    ("raw", "param"),
    [
        (b"no json", None),
        (b"[]", "model"),
        (body(model=3), "model"),
        (body(input=[1, 2]), "input"),
        (body(input=None), "input"),
        (body(dimensions=0), "dimensions"),
        (body(dimensions="many"), "dimensions"),
    ],
)
def test_what_cannot_be_read_is_refused_by_its_field(raw: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        wanted(raw)
    assert refused.value.param == param
