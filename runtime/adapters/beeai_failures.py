"""What an error of BeeAI is about: it wraps each error in others that say nothing themselves."""

from beeai_framework.agents import AgentError
from beeai_framework.backend import ChatModelError, ChatModelOutput
from beeai_framework.backend.errors import ChatModelToolCallError, EmptyChatModelResponseError
from beeai_framework.errors import FrameworkError
from beeai_framework.parsers.line_prefix import LinePrefixParserError
from beeai_framework.tools import ToolError

from runtime.adapters.port import AgentFailure, EmptyAnswer, ModelFailure
from runtime.contract.agent_config import AgentConfig

NO_ANSWER = "the agent ended without an answer"
TOO_LONG = "Agent was not able to resolve the task in "  # an `AgentError` as any other


def about(error: BaseException, config: AgentConfig) -> BaseException:
    """The error that BeeAI's is about, or the failure of the run that it stands for."""
    match wrapped := _innermost(error):
        case EmptyChatModelResponseError():
            return EmptyAnswer(NO_ANSWER)
        case ChatModelToolCallError(response=ChatModelOutput() as said) if _is_nothing(said):
            return EmptyAnswer(NO_ANSWER)
        case ToolError():
            return AgentFailure(f"the agent gave up when a tool failed: {wrapped}")
        case LinePrefixParserError(reason=LinePrefixParserError.Reason.NoDataReceived):
            return EmptyAnswer(NO_ANSWER)
        case ChatModelError() | LinePrefixParserError():
            why = " ".join(wrapped.message.split())
            return ModelFailure(f"the model's answer is of no use to the agent: {why}")
        case AgentError() if str(wrapped).startswith(TOO_LONG):
            return AgentFailure(_too_long(wrapped, config))
        case _:
            return wrapped


def _innermost(error: BaseException) -> BaseException:
    """What is not of BeeAI, or its own error that wraps none."""
    while isinstance(error, FrameworkError | BaseExceptionGroup):
        within = error.exceptions[0] if isinstance(error, BaseExceptionGroup) else error.__cause__
        if within is None:
            break
        error = within
    return error


def _is_nothing(said: ChatModelOutput) -> bool:
    return not said.get_tool_calls() and not said.get_text_content().strip()


def _too_long(error: AgentError, config: AgentConfig) -> str:
    if config.declarative is None:
        return str(error)
    most = config.declarative.max_iterations
    return (
        f"no answer after {most} turns of the model "
        "(spec.source.declarative.maxIterations); allow more, or ask for less"
    )
