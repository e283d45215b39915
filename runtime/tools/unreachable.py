"""Why no connection came about, in words."""

import socket

import httpx


def no_connection(error: BaseException) -> str:
    """Half a sentence: without a capital and a full stop, like `nobody listens there`."""
    if isinstance(error, httpx.ConnectTimeout):
        return "no connection came about in time; see whether a network policy forbids it"
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, socket.gaierror):
            return "its name cannot be resolved"
        if isinstance(cause, ConnectionRefusedError):
            return "nobody listens there"
        cause = cause.__cause__ or cause.__context__
    return first_line(error)


def first_line(error: BaseException) -> str:
    """What an error says of itself, or else its name."""
    return str(error).partition("\n")[0] or type(error).__name__
