"""The server's list of models, as whoever asks is to see it."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from runtime.amf.sdk import Api

_IS_SERVER: ContextVar[bool] = ContextVar("the server itself asks", default=False)


def as_server() -> None:
    """Let this task see all models, as the server itself."""
    _IS_SERVER.set(True)


def hide(server: Any, provider: str, is_hidden: Callable[[str], bool]) -> None:
    """Let models of one provider not be there for some, in every API that looks into the list.

    Shape:
        is_hidden  whether the model of this name is not there for whoever asks.

    Source:
        llama-stack 0.7.3 and ogx 1.5.0, `core/routing_tables/common.py`: what all routes look up.
    """
    table = server.stack.impls[Api.inference].routing_table
    find, get_all = table.get_object_by_identifier, table.get_all_with_type

    def is_shown(one: Any) -> bool:
        is_ours = one.type == "model" and one.provider_id == provider
        return _IS_SERVER.get() or not is_ours or not is_hidden(one.provider_resource_id)

    async def found(kind: str, identifier: str) -> Any:
        one = await find(kind, identifier)
        return one if one is None or is_shown(one) else None

    async def listed(kind: str) -> Any:
        return [one for one in await get_all(kind) if is_shown(one)]

    table.get_object_by_identifier, table.get_all_with_type = found, listed


def call_by_bare_names(server: Any, provider: str) -> None:
    """Let the models of one provider be named without it, in every API that looks into the list."""
    table = server.stack.impls[Api.inference].routing_table
    find = table.get_object_by_identifier

    async def found(kind: str, identifier: str) -> Any:
        one = await find(kind, identifier)
        if one is None and kind == "model" and "/" not in identifier:
            return await find(kind, f"{provider}/{identifier}")
        return one

    table.get_object_by_identifier = found
