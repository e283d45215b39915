"""What an exception out of a framework means for the run."""

import pytest

from runtime.adapters.failures import telling
from runtime.adapters.port import AgentFailure
from runtime.tests.agents import Config
from runtime.tools.port import ToolFailure
from runtime.transport.port import TransportError, Unavailable


def wrapped(error: Exception, *, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        pytest.param(Unavailable("away"), id="as it is"),
        pytest.param(wrapped(RuntimeError("a node"), cause=Unavailable("away")), id="wrapped"),
        pytest.param(ExceptionGroup("nodes", [Unavailable("away")]), id="in a group"),
    ],
)
def test_a_queue_that_is_away_is_no_failure_of_the_run(config: Config, error: Exception) -> None:
    with pytest.raises(TransportError, match="away"), telling(config()):
        raise error


def test_a_tool_that_could_not_be_asked_in_time_is_one(config: Config) -> None:
    told = wrapped(ToolFailure("add could not be asked"), cause=Unavailable("away"))
    with pytest.raises(AgentFailure, match="add could not be asked"), telling(config()):
        raise told
