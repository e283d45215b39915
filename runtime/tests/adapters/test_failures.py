"""What an exception out of a framework means for the run."""

from typing import Any

import httpx
import openai
import pytest

from runtime.adapters.failures import telling
from runtime.adapters.port import AgentFailure, ModelAway, ModelFailure, ModelLost
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


HERE, ELSEWHERE = "http://stack-default:8321/v1", "http://127.0.0.1:11434/v1"
REFUSED, RESET = httpx.ConnectError("refused"), httpx.ReadError("reset")


def unreached(url: str, cause: Exception) -> Exception:
    request: Any = httpx.Request("POST", f"{url}/chat/completions")
    return wrapped(openai.APIConnectionError(request=request), cause=cause)


def refused_with(status: int) -> Exception:
    response: Any = httpx.Response(status, request=httpx.Request("POST", HERE))
    return openai.APIStatusError("no", response=response, body=None)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        pytest.param(unreached(HERE, REFUSED), ModelAway, id="the server is being started again"),
        pytest.param(unreached(ELSEWHERE, REFUSED), ModelLost, id="a model of the user's own"),
        pytest.param(unreached(HERE, RESET), ModelLost, id="it was asked before it went"),
        *(pytest.param(refused_with(status), ModelLost, id=str(status)) for status in (502, 503)),
        *(
            pytest.param(refused_with(status), ModelFailure, id=str(status))
            for status in (500, 404)
        ),
    ],
)
def test_a_model_that_passes_away_is_tried_again(
    config: Config, error: Exception, kind: type[ModelFailure]
) -> None:
    with pytest.raises(ModelFailure) as caught, telling(config(url=HERE)):
        raise error
    assert type(caught.value) is kind
