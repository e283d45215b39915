"""Texts as vectors that are near each other when they share words: no meaning, no chance.

Each stem has a direction of its own, made from its digest; a text is the sum of its stems', brought
to length 1. So texts without a common word are about at right angles.

Source:
    OpenAI API reference, "Create embeddings"; the idea is feature hashing.
"""

import base64
import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b

import orjson

from stand_in.request import BadRequest
from stand_in.wire import tokens
from stand_in.words import stems

DIMENSIONS = 64
MOST_DIMENSIONS = 4096


@dataclass(frozen=True, slots=True)
class Wanted:
    """Texts to embed; `packed` vectors are little-endian 32-bit floats in base64."""

    model: str
    texts: tuple[str, ...]
    dimensions: int = DIMENSIONS
    packed: bool = False


def wanted(raw: bytes) -> Wanted:
    """The request whose body is `raw`.

    Raises:
        BadRequest: a field of it is wrong.
    """
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"The body is no JSON: {error}.") from error
    if not isinstance(body, Mapping) or not isinstance(body.get("model"), str):
        raise BadRequest("'model' must be a string.", "model")
    given = body.get("input")
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, Sequence) or not all(isinstance(one, str) for one in texts):
        raise BadRequest("'input' must be a string, or a list of strings.", "input")
    dimensions = body.get("dimensions", DIMENSIONS)
    if not isinstance(dimensions, int) or not 1 <= dimensions <= MOST_DIMENSIONS:
        raise BadRequest(f"'dimensions' must be from 1 to {MOST_DIMENSIONS}.", "dimensions")
    return Wanted(body["model"], tuple(texts), dimensions, body.get("encoding_format") == "base64")


def embedded(asked: Wanted) -> bytes:
    """The answer to a request."""
    used = sum(map(tokens, asked.texts))
    return orjson.dumps(
        {
            "object": "list",
            "model": asked.model,
            "data": [
                {"object": "embedding", "index": place, "embedding": _shown(text, asked)}
                for place, text in enumerate(asked.texts)
            ],
            "usage": {"prompt_tokens": used, "total_tokens": used},
        }
    )


def vector(text: str, dimensions: int) -> list[float]:
    """The direction of a text; one without words has the first axis'."""
    total = [0.0] * dimensions
    for stem in sorted(stems(text)):
        for axis, part in enumerate(_direction(stem, dimensions)):
            total[axis] += part
    length = math.hypot(*total)
    return [part / length for part in total] if length else [1.0, *total[1:]]


def _direction(stem: str, dimensions: int) -> list[float]:
    size = -(-dimensions // 64)
    blocks = (blake2b(f"{block} {stem}".encode(), digest_size=64).digest() for block in range(size))
    return [byte - 127.5 for byte in b"".join(blocks)[:dimensions]]


def _shown(text: str, asked: Wanted) -> object:
    made = vector(text, asked.dimensions)
    if not asked.packed:
        return made
    return base64.b64encode(struct.pack(f"<{len(made)}f", *made)).decode()
