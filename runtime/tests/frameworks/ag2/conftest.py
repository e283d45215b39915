"""What the tests of users' own agents need."""

from typing import Any

import pytest

from runtime.contract.agent_config import Framework
from runtime.tests.agents import Config


@pytest.fixture
def own(config: Config, model_url: str, environment: None) -> Config:
    """The configuration of an agent with this source."""
    del environment

    def made(source: str, entrypoint: str = "agent", **facts: Any) -> Any:
        facts = {"url": model_url, "framework": Framework.AG2} | facts
        return config(source, entrypoint, **facts)

    return made
