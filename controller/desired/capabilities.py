"""What the conformance kit has proved of each framework.

Generated from docs/frameworks.json by `make frameworks`; do not edit.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from controller.api.agent import Framework

CAPABILITIES_BY_FRAMEWORK: Final[Mapping[Framework, tuple[str, ...]]] = MappingProxyType(
    {
        Framework.LANGGRAPH: (
            "Answers",
            "Streaming",
            "Usage",
            "Conversations",
            "Instructions",
            "StructuredOutput",
            "Concurrency",
            "Tools",
            "ParallelTools",
            "Agents",
            "Budgets",
            "Cancel",
            "Timeout",
            "Resume",
            "ModelErrors",
            "ModelRetry",
        ),
        Framework.CREWAI: (
            "Answers",
            "Streaming",
            "Usage",
            "Conversations",
            "Instructions",
            "StructuredOutput",
            "Concurrency",
            "Tools",
            "ParallelTools",
            "Agents",
            "Budgets",
            "Cancel",
            "Timeout",
            "Resume",
            "ModelErrors",
            "ModelRetry",
        ),
        Framework.AG2: (
            "Answers",
            "Streaming",
            "Usage",
            "Conversations",
            "Instructions",
            "StructuredOutput",
            "Concurrency",
            "Tools",
            "ParallelTools",
            "Agents",
            "Budgets",
            "Cancel",
            "Timeout",
            "Resume",
            "ModelErrors",
            "ModelRetry",
        ),
        Framework.LLAMA_STACK: (
            "Answers",
            "Streaming",
            "Usage",
            "Conversations",
            "Instructions",
            "StructuredOutput",
            "Concurrency",
            "Tools",
            "ParallelTools",
            "Agents",
            "Budgets",
            "Cancel",
            "Timeout",
            "Resume",
            "ModelErrors",
        ),
        Framework.BEEAI: (
            "Answers",
            "Streaming",
            "Usage",
            "Conversations",
            "Instructions",
            "StructuredOutput",
            "Concurrency",
            "Tools",
            "ParallelTools",
            "Agents",
            "Budgets",
            "Cancel",
            "Timeout",
            "Resume",
            "ModelErrors",
            "ModelRetry",
        ),
    }
)
