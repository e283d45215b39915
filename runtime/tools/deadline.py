"""Until when the call that a tool is in has to end, for tools that wait on the way."""

import math
from contextvars import ContextVar

CALL_DEADLINE: ContextVar[float] = ContextVar("k8gentai_call_deadline", default=math.inf)
"""Seconds since the epoch; set by the worker for each call."""
