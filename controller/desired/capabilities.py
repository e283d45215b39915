"""What the conformance kit has proved of each framework.

Generated from docs/frameworks.json by `make frameworks`; do not edit.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from controller.api.agent import Framework

CAPABILITIES: Final = (
    "Answers",
    "Streaming",
    "Usage",
    "Conversations",
    "Instructions",
    "StructuredOutput",
    "Concurrency",
    "Tools",
    "ParallelTools",
    "ClientFunctions",
    "Agents",
    "Budgets",
    "Cancel",
    "Timeout",
    "Resume",
    "ModelErrors",
    "ModelRetry",
)
"""Whatever an Agent may be capable of."""

LACKED_BY_FRAMEWORK: Final[Mapping[Framework, tuple[str, ...]]] = MappingProxyType(
    {
        Framework.LANGGRAPH: (),
        Framework.CREWAI: (),
        Framework.AG2: (),
        Framework.LLAMA_STACK: ("ModelRetry",),
        Framework.BEEAI: (),
    }
)
