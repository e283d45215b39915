"""What the worker of a tool knows of the call that it is in: its end, and in whose name it is."""

import math
from contextvars import ContextVar
from typing import Protocol

from runtime.contract.txn_token import HEADER

CALL_DEADLINE: ContextVar[float] = ContextVar("k8gentai_call_deadline", default=math.inf)
"""Seconds since the epoch; set by the worker for each call."""


class TokenSource(Protocol):
    """Where the transaction token of a call comes from."""

    async def jwt(self) -> str:
        """One that was not given out before, since who gets it may take it only once.

        Raises:
            ToolFailure: there is none any more.
        """
        ...


CALL_TOKEN: ContextVar[TokenSource | None] = ContextVar("k8gentai_call_token", default=None)
"""Set by the worker for each call; None where the Stack is open."""


async def token_headers() -> dict[str, str]:
    """What a request that the call makes has to carry.

    Raises:
        ToolFailure: the call may not go on.

    Source:
        draft-ietf-oauth-transaction-tokens-10, section 12.1.
    """
    source = CALL_TOKEN.get()
    return {} if source is None else {HEADER: await source.jwt()}
