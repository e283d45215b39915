"""How tests of BeeAI run."""

import pytest

MARKS = [
    pytest.mark.integration,
    # One event loop for all, as in a worker: the clients of models keep their connections in it.
    pytest.mark.asyncio(loop_scope="module"),
    # litellm, when it reads the first answers
    pytest.mark.filterwarnings("ignore:Item '.*' on TypedDict class:UserWarning"),
    pytest.mark.filterwarnings("ignore::pydantic.warnings.PydanticDeprecatedSince211"),
]
