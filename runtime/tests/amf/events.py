"""Events of one task as tables write them."""

import itertools
from collections.abc import Callable, Iterable
from typing import Any

from runtime.contract.keys import effect_key
from runtime.contract.messages import (
    ApprovalNeeded,
    Cancelled,
    Completed,
    Event,
    Failed,
    FailureReason,
    Outcome,
    OutputNeeded,
    Started,
    TextDelta,
    TokenUsage,
    ToolCalled,
    ToolReturned,
    UsageReported,
)
from runtime.contract.value import ObjectName

TASK = "0123456789abcdef0123456789abcdef"
ADD = ObjectName(namespace="team", name="add")
MATH = ObjectName(namespace="team", name="math")

type Make = Callable[..., Event]


def call_key(step: int, index: int = 0) -> str:
    return effect_key(ADD, MATH, TASK, step, index)


def started(worker: str = "w1") -> tuple[Make, dict[str, Any]]:
    return Started, {"worker": worker}


def said(text: str) -> tuple[Make, dict[str, Any]]:
    return TextDelta, {"text": text}


def called(step: int, arguments: str = "{}", index: int = 0) -> tuple[Make, dict[str, Any]]:
    key = call_key(step, index)
    return ToolCalled, {"call": key, "tool": "plus", "arguments": arguments}


def returned(
    step: int, output: str = "5", outcome: Outcome = Outcome.SUCCEEDED, index: int = 0
) -> tuple[Make, dict[str, Any]]:
    key = call_key(step, index)
    return ToolReturned, {"call": key, "tool": "plus", "output": output, "outcome": outcome}


def needed(
    number: int, arguments: str = "{}", left: int = 0, expires: float = 2e9
) -> tuple[Make, dict[str, Any]]:
    """A call with the key of step `number` needs a person."""
    fields = {"call": call_key(number), "tool": "plus", "arguments": arguments}
    return ApprovalNeeded, fields | {"number": number, "left": left, "expires": expires}


def handed(
    number: int, arguments: str = "{}", *, left: int = 0, handover: int = 0, tokens: int = 0
) -> tuple[Make, dict[str, Any]]:
    """Call `number` of the run is the client's to make; models took `tokens` up to here."""
    fields = {"key": f"k{number}", "function": "plus", "arguments": arguments, "left": left}
    usage = TokenUsage(input_tokens=tokens)
    return OutputNeeded, fields | {"number": number, "handover": handover, "used": usage}


def used(tokens_in: int, tokens_out: int) -> tuple[Make, dict[str, Any]]:
    return UsageReported, {"usage": TokenUsage(input_tokens=tokens_in, output_tokens=tokens_out)}


def completed(text: str, tokens_in: int = 0, tokens_out: int = 0) -> tuple[Make, dict[str, Any]]:
    usage = TokenUsage(input_tokens=tokens_in, output_tokens=tokens_out)
    return Completed, {"text": text, "usage": usage}


def failed(message: str, reason: FailureReason = FailureReason.AGENT_ERROR) -> Any:
    return Failed, {"reason": reason, "message": message}


def cancelled() -> tuple[Make, dict[str, Any]]:
    return Cancelled, {}


def attempts(*lines: Iterable[tuple[Make, dict[str, Any]]], task: str = TASK) -> list[Event]:
    """Each line is one attempt; its events are numbered from 1."""
    return [
        make(task=task, attempt=attempt, seq=seq, **fields)
        for attempt, line in zip(itertools.count(1), lines, strict=False)
        for seq, (make, fields) in enumerate(line, start=1)
    ]
