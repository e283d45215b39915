"""How a model ends BeeAI's agents."""

from typing import Any

from runtime.tests.scripted_model import calling


def ending(answer: str) -> dict[str, Any]:
    """A message that ends a `RequirementAgent`; the answer needs no escapes in JSON."""
    return calling(("final_answer", f'{{"response": "{answer}"}}'))
