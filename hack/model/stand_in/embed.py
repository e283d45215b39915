"""Vectors of texts: those that share words are near each other, and the same text is the same.

Each word has a place and a sign of its own, made from its letters; a vector is the sum of its
words, of length one. Nothing is known of meaning.

Source:
    OpenAI API reference, "Create embeddings". Weinberger et al., "Feature Hashing for Large Scale
    Multitask Learning", 2009.
"""

import base64
import math
import re
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from stand_in.request import BadRequest
from stand_in.wire import tokens

DIMENSION = 256
LARGEST = 16000
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True)
class Texts:
    """What to make vectors of; with `packed` they are base64 of little-endian float32."""

    model: str
    texts: tuple[str, ...]
    dimension: int = DIMENSION
    packed: bool = False


def parse(raw: bytes) -> Texts:
    """The request in `raw`.

    Raises:
        BadRequest: the body is no JSON object, or a field has the wrong shape.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is no JSON: {error}.") from error
    if not isinstance(body, dict):
        raise BadRequest("The body is no JSON object.")
    model, given = body.get("model"), body.get("input")
    if not isinstance(model, str) or not model:
        raise BadRequest("model has to be a string.", "model")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not texts or not all(isinstance(t, str) for t in texts):
        raise BadRequest("input has to be a string, or a list of strings.", "input")
    dimension = body.get("dimensions", DIMENSION)
    if type(dimension) is not int or not 1 <= dimension <= LARGEST:
        raise BadRequest(f"dimensions has to be a number from 1 to {LARGEST}.", "dimensions")
    form = body.get("encoding_format", "float")
    if form not in ("float", "base64"):
        raise BadRequest("encoding_format has to be float or base64.", "encoding_format")
    return Texts(model, tuple(texts), dimension, form == "base64")


def vector(text: str, dimension: int = DIMENSION) -> list[float]:
    """The vector of `text`; that of no words points to the first place."""
    sums = [0.0] * dimension
    for word in _WORD.findall(text.lower()):
        number = int.from_bytes(blake2b(word.encode(), digest_size=8).digest())
        sums[(number >> 1) % dimension] += 1.0 if number & 1 else -1.0
    length = math.sqrt(sum(number * number for number in sums))
    if length == 0:
        return [1.0] + [0.0] * (dimension - 1)
    return [number / length for number in sums]


def answer(asked: Texts) -> bytes:
    """The body of the response."""
    data = [
        {
            "object": "embedding",
            "index": i,
            "embedding": _shown(vector(text, asked.dimension), asked),
        }
        for i, text in enumerate(asked.texts)
    ]
    used = sum(map(tokens, asked.texts))
    usage = {"prompt_tokens": used, "total_tokens": used}
    return orjson.dumps({"object": "list", "data": data, "model": asked.model, "usage": usage})


def _shown(numbers: Sequence[float], asked: Texts) -> list[float] | str:
    if not asked.packed:
        return list(numbers)
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()
