"""Ids of items in the server's conversations: its own, whatever a client wants.

The server takes an item's id from whoever adds it, and writes over whatever has that id, whosever
it is and in whichever conversation.
"""

import contextlib
import secrets
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

from runtime.amf.items import Wire

_IS_OURS: ContextVar[bool] = ContextVar("is_ours", default=False)


@contextlib.contextmanager
def kept() -> Iterator[None]:
    """What is added in the body is ours: its ids are made from a run's and cannot be another's."""
    token = _IS_OURS.set(True)
    try:
        yield
    finally:
        _IS_OURS.reset(token)


def item_ids(keep: Callable[[Any, Wire], str]) -> Callable[[Any, Wire], str]:
    """How an item gets its id, in place of the server's `keep`.

    Shape:
        Takes the item twice, as the server's value and as a dictionary that will be stored.
    """

    def item_id(item: Any, told: Wire) -> str:
        if _IS_OURS.get():
            return keep(item, told)
        kind = "msg" if told["type"] == "message" else "item"
        made = f"{kind}_{secrets.token_hex(24)}"
        told["id"] = made
        return made

    return item_id
