"""What an exception out of a framework means for the run."""

import asyncio
import contextlib
from collections.abc import Iterator

from runtime.adapters.port import (
    AgentFailure,
    BudgetExceeded,
    ModelAway,
    ModelBusy,
    ModelFailure,
    ModelLost,
)
from runtime.contract.agent_config import AgentConfig
from runtime.tools.blame import blame, raised_in
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.port import ToolFailure
from runtime.transport.port import TransportError
from runtime.worker.stopping import is_stopping

# Their clients of models raise errors of the same names; and what else comes out of them was
# raised over an answer that they could not read.
SDKS = frozenset({"openai", "langchain_openai", "llama_stack_client", "litellm"})
HTTP_CLIENTS = frozenset({"httpx", "httpx2"})
PASSING = frozenset({502, 503, 504})
"""What a gateway, or a server that stops, answers in the place of the one that was meant."""


@contextlib.contextmanager
def telling(config: AgentConfig) -> Iterator[None]:
    """Let what a framework raises come out as a failure of the run.

    Raises:
        AgentFailure: or a subclass, whatever the body raised.
        TransportError: the queue is away; that is no failure of the run, another worker begins it.
    """
    try:
        yield
    except (AgentFailure, TransportError):
        raise
    except asyncio.CancelledError as error:
        if is_stopping():
            raise  # somebody wants the run to end
        raise AgentFailure("the agent was cancelled by its own code") from error
    except Exception as error:
        raise failure(error, config) from error


def failure(error: Exception, config: AgentConfig) -> AgentFailure | TransportError:
    """The failure of the run that `error` stands for, with a sentence for the client."""
    for cause in _causes(error):
        if isinstance(cause, ToolFailure):
            break  # the agent was told, so what was behind it is no matter of the queue any more
        if isinstance(cause, AgentFailure | TransportError):
            return cause
        if isinstance(cause, CallBudgetSpent):
            return BudgetExceeded(str(cause))
        if (of_model := _of_model(cause, config)) is not None:
            return of_model
    return AgentFailure(blame(_innermost(error), config.module))


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error, what it was raised from, and what groups of errors hold."""
    seen: BaseException | None = error
    while seen is not None:
        if _package(type(seen)) == "litellm" and seen.__context__ is not None:
            # It puts an error with some other address in the place of the true one.
            yield from _causes(seen.__context__)
        yield seen
        seen = seen.exceptions[0] if isinstance(seen, BaseExceptionGroup) else seen.__cause__


def _innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _of_model(error: BaseException, config: AgentConfig) -> ModelFailure | None:
    names = {kind.__name__ for kind in type(error).__mro__ if _package(kind) in SDKS}
    model = f"the model {config.model.id} at {_endpoint(error, config)}"
    said = _shortened(str(getattr(error, "message", "") or error))
    if "RateLimitError" in names:
        return ModelBusy(f"{model} has no capacity at the moment: {said}")
    if "APITimeoutError" in names:
        return ModelFailure(f"{model} gave no answer in time")
    if "APIConnectionError" in names or _broke_off(error):
        lost = ModelAway if _is_refused(error, config) else ModelLost
        return lost(f"{model} cannot be reached: {_shortened(_root(error))}")
    if "APIStatusError" in names:
        status = getattr(error, "status_code", None)
        kind = ModelLost if status in PASSING else ModelFailure
        return kind(f"{model} answered {status or '?'}: {said}")
    if "APIError" in names:
        return ModelFailure(f"{model} failed: {said}")
    if raised_in(error, SDKS):
        what = type(error).__name__
        return ModelFailure(f"{model} answered with what is no completion: {what}: {said}")
    return None


def _broke_off(error: BaseException) -> bool:
    """Whether a connection was lost in the middle of a stream, which they pass on as it is."""
    return "TransportError" in _http_kinds(error) and raised_in(error, SDKS)


def _is_refused(error: BaseException, config: AgentConfig) -> bool:
    """Whether the Stack's own server took no connection; nobody else's address is known to do."""
    if not _endpoint(error, config).startswith(config.model.base_url):
        return False
    seen: BaseException | None = error
    while seen is not None:
        if "ConnectError" in _http_kinds(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def _http_kinds(error: BaseException) -> set[str]:
    """What the client of HTTP, which some SDKs have in its next version, calls this error."""
    return {kind.__name__ for kind in type(error).__mro__ if _package(kind) in HTTP_CLIENTS}


def _package(kind: type) -> str:
    return kind.__module__.partition(".")[0]


def _endpoint(error: BaseException, config: AgentConfig) -> str:
    """Where the request went; a user's own code may have asked somebody else."""
    url = getattr(getattr(error, "request", None), "url", None)
    return str(url) if url is not None else config.model.base_url


def _root(error: BaseException) -> str:
    while error.__cause__ is not None:
        error = error.__cause__
    return str(error) or type(error).__name__


def _shortened(said: str, most: int = 300) -> str:
    line = " ".join(said.split())
    return line if len(line) <= most else line[: most - 1] + "…"
