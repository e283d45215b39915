"""CrewAI imported, with the warnings that its own modules make on the way."""

import functools
import warnings
from importlib.util import find_spec

import pytest

from runtime.contract.agent_config import Framework
from runtime.tests.agents import Config

if find_spec("crewai"):  # environments without it read this file, too
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Cannot set an attribute on 'crewai.rag'", ImportWarning)
        import runtime.adapters.crewai  # noqa: F401  for what it imports


@pytest.fixture
def config(config: Config) -> Config:
    """The configuration of an agent of CrewAI."""
    return functools.partial(config, framework=Framework.CREWAI)
