"""What the token of a request says of its user, handed on beside the server.

The server itself is told the name alone: by its default policy it would share what users have whose
claims agree.
"""

import contextlib
from collections.abc import Iterator, Mapping
from contextvars import ContextVar

type Claims = Mapping[str, tuple[str, ...]]

_CLAIMS: ContextVar[Claims | None] = ContextVar("claims_of_the_user", default=None)


@contextlib.contextmanager
def claiming(claims: Claims) -> Iterator[None]:
    """Let what is asked in the body be asked by a user of whom this is said."""
    before = _CLAIMS.set(claims)
    try:
        yield
    finally:
        _CLAIMS.reset(before)


def claims_of_user() -> Claims:
    """What is said of whoever asks."""
    return _CLAIMS.get() or {}
