"""What is wrong with a body before the server's own models look at it. Pure.

JSON may hold halves of surrogate pairs, which no text can have, and numbers of any length: neither
can be kept, and where it shows depends on who stumbles. The models of conversations go through
`items` whatever it is.

Source:
    RFC 8259, sections 6 and 8.2: numbers beyond what others read, and strings that are no Unicode.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from runtime.amf.errors import BadRequest
from runtime.amf.malformed import Step, named

LARGEST: Final = 2**63 - 1
SUSPECT: Final = re.compile(rb"\\u[dD][89a-fA-F]|[0-9]{19}")
CONVERSATIONS: Final = re.compile(r"/v1/conversations(?:/[^/]+/items)?")


def flaw(path: str, body: bytes) -> BadRequest | None:
    """Why a body for this path is refused, None if nothing is to be seen from here."""
    has_items = CONVERSATIONS.fullmatch(path) is not None
    if not (has_items or SUSPECT.search(body)):
        return None
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return None  # the server says so
    if has_items and (refused := _items(path, found)):
        return refused
    for place, what in _unkeepable(found):
        field = named(place)
        return BadRequest(f"{field or 'The body'} {what}, which cannot be kept.", param=field)
    return None


def _items(path: str, found: Any) -> BadRequest | None:
    """Only a new conversation may do without."""
    items = found.get("items", []) if isinstance(found, dict) else []
    if isinstance(items, list) or (items is None and not path.endswith("/items")):
        return None
    return BadRequest("items has to be a list.", param="items")


def _unkeepable(found: Any) -> Iterator[tuple[tuple[Step, ...], str]]:
    """Where something stands that cannot be kept, and what it is."""
    waiting: list[tuple[tuple[Step, ...], Any]] = [((), found)]
    while waiting:
        place, value = waiting.pop()
        if isinstance(value, dict):
            waiting += [((*place, name), one) for name, one in value.items()]
            waiting += [((*place, "…"), name) for name in value if not _is_text(name)]
        elif isinstance(value, list):
            waiting += [((*place, number), one) for number, one in enumerate(value)]
        elif isinstance(value, str) and not _is_text(value):
            yield place, "holds half of a surrogate pair"
        elif isinstance(value, int) and abs(value) > LARGEST:
            yield place, "is a number of more than 64 bits"


def _is_text(value: str) -> bool:
    return not any("\ud800" <= character <= "\udfff" for character in value)
