"""What a tool's worker does its calls with."""

from collections.abc import Awaitable, Callable
from typing import Any, Final, Protocol

from runtime.contract.catalogue import FunctionSpec

MAX_RESULT_BYTES: Final = 4 * 1024 * 1024
"""As JSON: a million tokens or so, more than models read, and a twentieth of what all results of a
Stack may fill by default (`SHARES` of `effects` in `controller/desired/streams.py`)."""

type Say = Callable[[tuple[FunctionSpec, ...], str | None], Awaitable[None]]
"""Tells the catalogue what can be called, and what of the wanted cannot and why."""


class Executor(Protocol):
    """The functions of one Tool."""

    @property
    def functions(self) -> tuple[FunctionSpec, ...]:
        """What can be called."""
        ...

    def why_not(self) -> str | None:
        """Why nothing can be called right now, in one sentence."""
        ...

    async def call(self, function: str, arguments: dict[str, Any], key: str) -> Any:
        """Run one function; gives what it returned, as JSON has it.

        Shape:
            key  names the call; the tool gets to know it, and the same one if the call is repeated.

        Raises:
            EffectUnknown: it was begun, and nobody can say how it ended.
            ResultTooLarge: it was carried out, but returned too much.
            ToolFailure: it did not work out.
        """
        ...
