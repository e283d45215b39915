"""What may be wrong with what a user gave or asked for."""

from runtime.tools.port import ToolFailure


class BadSpec(Exception):
    """It cannot be loaded; the message names the field of the spec and the way out."""


class CallBudgetSpent(Exception):
    """The task made more calls than `spec.budget.toolCalls` allows; nothing was called."""


class ResultTooLarge(ToolFailure):
    """The call was carried out, and what it returned is more than is kept of one call."""


class EffectUnknown(ToolFailure):
    """The call was begun and nobody can say how it ended."""
