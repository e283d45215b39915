import functools

import pytest

from runtime.contract.agent_config import Framework
from runtime.tests.agents import Config


@pytest.fixture
def agent(config: Config) -> Config:
    """The configuration of an agent of BeeAI."""
    return functools.partial(config, framework=Framework.BEEAI)
