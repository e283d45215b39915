"""What models have cost, as clients are told.

Source:
    OpenAI API reference, "The response object", `usage`.
"""

from runtime.amf.items import Wire
from runtime.contract.messages import TokenUsage

NOTHING = TokenUsage()


def usage_wire(usage: TokenUsage) -> Wire:
    """Costs in the shape of the Responses API."""
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }


def since(usage: TokenUsage, before: TokenUsage) -> TokenUsage:
    """What was used after `before`; an attempt that begins anew may not be so far again."""
    if before is NOTHING:  # of nearly every run, which has one response
        return usage
    return TokenUsage(
        input_tokens=max(0, usage.input_tokens - before.input_tokens),
        output_tokens=max(0, usage.output_tokens - before.output_tokens),
    )
