"""The key of the call that a tool is in, for tools that must not have an effect twice."""

from contextvars import ContextVar

CALL_KEY: ContextVar[str] = ContextVar("k8gentai_call_key")
"""Set by whoever runs the tool; it goes along into threads and tasks."""


def call_key() -> str:
    """The same text whenever the same call is repeated, and for no other call.

    Raises:
        LookupError: this code does not run within a call.
    """
    return CALL_KEY.get()
