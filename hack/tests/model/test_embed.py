import base64
import json
import math
import struct

import pytest
from stand_in.embed import DIMENSION, answer, parse, vector
from stand_in.request import BadRequest


def likeness(one: str, other: str) -> float:
    return sum(a * b for a, b in zip(vector(one), vector(other), strict=True))


def test_the_same_text_has_the_same_vector_of_length_one() -> None:
    first = vector("The quick brown fox")

    assert first == vector("The quick brown fox")
    assert len(first) == DIMENSION
    assert math.hypot(*first) == pytest.approx(1)


def test_texts_that_share_words_are_nearer() -> None:
    question = "Which planet is the largest?"

    near = likeness(question, "Jupiter is the largest planet.")
    far = likeness(question, "Bread needs flour, water and salt.")

    assert near > 0.5 > far


@pytest.mark.parametrize("text", ["", "  ", "?!"])
def test_no_words_have_a_vector_too(text: str) -> None:
    assert math.hypot(*vector(text)) == 1


def test_vectors_are_packed_when_that_is_asked_for() -> None:
    body = {"model": "m", "input": ["a", "b"], "dimensions": 8, "encoding_format": "base64"}

    said = json.loads(answer(parse(json.dumps(body).encode())))

    assert [one["index"] for one in said["data"]] == [0, 1]
    unpacked = struct.unpack("<8f", base64.b64decode(said["data"][1]["embedding"]))
    assert list(unpacked) == pytest.approx(vector("b", 8))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"no json", None),
        (b"[]", None),
        (b'{"input": "a"}', "model"),
        (b'{"model": "m"}', "input"),
        (b'{"model": "m", "input": []}', "input"),
        (b'{"model": "m", "input": [1, 2]}', "input"),
        (b'{"model": "m", "input": "a", "dimensions": 0}', "dimensions"),
        (b'{"model": "m", "input": "a", "dimensions": true}', "dimensions"),
        (b'{"model": "m", "input": "a", "encoding_format": "hex"}', "encoding_format"),
    ],
)
def test_a_field_of_the_wrong_shape_is_named(body: bytes, param: str | None) -> None:
    with pytest.raises(BadRequest) as refused:
        parse(body)

    assert refused.value.param == param
