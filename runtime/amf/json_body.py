"""What is wrong with a body before the server's own models look at it. Pure.

JSON may hold halves of surrogate pairs, which no text can have, and numbers of any length, and
Python reads NaN besides: none of it can be kept, and where it shows depends on who stumbles. The
models of conversations go through `items` whatever it is.

Python makes and checks values while nobody else is served. So they are bounded before they are
made, and gone through only if the bytes hold something suspicious.

Source:
    RFC 8259, sections 6 and 8: numbers beyond what others read, texts that are no Unicode; section
    9: a parser may limit what it takes.
"""

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

from runtime.amf.errors import BadRequest
from runtime.amf.malformed import Step, named

type Place = tuple[Place, Step] | None
"""A step, after those that lead to it; None for the body itself."""

MAX_VALUES: Final = 100_000
"""Of one body; a long conversation has some thousands."""
LARGEST: Final = 2**63 - 1
TEXT: Final = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+"', re.DOTALL)
HALVES: Final = (rb"\ud", rb"\uD")
NO_NUMBERS: Final = (b"NaN", b"Infinity")
ALIKE: Final = bytes.maketrans(b"123456789E", b"000000000e")
LARGE: Final = (b"0" * 19, b"0e000", b"0e+000")  # by `ALIKE`
CONVERSATIONS: Final = re.compile(r"/v1/conversations(?:/[^/]+/items)?")


def flaw(path: str, body: bytes) -> BadRequest | None:
    """Why a body for this path is refused, None if nothing is to be seen from here."""
    if _has_too_many(body):
        return BadRequest(
            f"The body has more than {MAX_VALUES} values; an empty list or object counts as two. "
            "Send less at a time."
        )
    has_items = CONVERSATIONS.fullmatch(path) is not None
    is_suspect = _is_suspect(body)
    if not (has_items or is_suspect):
        return None
    try:
        found = json.loads(body)
    except UnicodeDecodeError as error:
        return BadRequest(f"The body is no UTF-8 from byte {error.start} on; send JSON in UTF-8.")
    except (ValueError, RecursionError):
        return None  # the server says so
    if has_items and (refused := _items(path, found)):
        return refused
    for place, what in _unkeepable(found) if is_suspect else ():
        field = named(_steps(place))
        return BadRequest(f"{field or 'The body'} {what}, which cannot be kept.", param=field)
    return None


def _has_too_many(body: bytes) -> bool:
    """Texts are left out only if it matters: they have commas of their own."""
    return _values(body) > MAX_VALUES and _values(TEXT.sub(b"", body)) > MAX_VALUES


def _values(body: bytes) -> int:
    """How many values are in it at most: each follows a comma, or is the first of something."""
    return 1 + sum(body.count(sign) for sign in (b",", b"[", b"{"))


def _is_suspect(body: bytes) -> bool:
    """Whether something may be in it that cannot be kept.

    Halves of surrogate pairs may also stand as they are, and everything in UTF-16: Python reads it.
    """
    if any(sign in body for sign in (*HALVES, *NO_NUMBERS, b"\0")):
        return True
    alike = body.translate(ALIKE)
    return any(sign in alike for sign in LARGE) or not _is_unicode(body)


def _is_unicode(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _items(path: str, found: Any) -> BadRequest | None:
    """Only a new conversation may do without."""
    items = found.get("items", []) if isinstance(found, dict) else []
    if isinstance(items, list) or (items is None and not path.endswith("/items")):
        return None
    return BadRequest("items has to be a list.", param="items")


def _unkeepable(found: Any) -> Iterator[tuple[Place, str]]:
    """Where something stands that cannot be kept, and what it is."""
    waiting: list[tuple[Place, Any]] = [(None, found)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((place, name), one) for name, one in value.items()]
            waiting += [((place, "…"), name) for name in value if not _is_text(name)]
        elif isinstance(value, list):
            waiting += [((place, number), one) for number, one in enumerate(value)]
        elif what := _flaw_of(value):
            yield place, what


def _flaw_of(value: Any) -> str | None:
    if isinstance(value, str) and not _is_text(value):
        return "holds half of a surrogate pair"
    if isinstance(value, int) and abs(value) > LARGEST:
        return "is a number of more than 64 bits"
    if isinstance(value, float) and not math.isfinite(value):
        return "is not a number, or one beyond all that are kept"
    return None


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def _steps(place: Place) -> tuple[Step, ...]:
    steps: list[Step] = []
    while place is not None:
        place, step = place
        steps.append(step)
    return tuple(reversed(steps))
