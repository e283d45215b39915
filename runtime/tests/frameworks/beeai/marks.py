"""How tests of BeeAI run."""

import pytest

from runtime.tests.agents import ON_A_MODEL

MARKS = [
    *ON_A_MODEL,
    # litellm, when it reads the first answers
    pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict class:UserWarning"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),
]
