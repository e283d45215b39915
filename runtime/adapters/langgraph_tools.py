"""The platform's tools as LangChain knows them."""

from typing import Any, Self, override

from langchain_core.tools import BaseTool, ToolException
from langgraph.config import get_config

from runtime.adapters.scope import call_tool, call_tool_from_thread
from runtime.contract.catalogue import FunctionSpec
from runtime.tools.numbering import working_on
from runtime.tools.port import ToolFailure


class PlatformTool(BaseTool):
    """One function, called for whatever run the caller belongs to.

    Not a `StructuredTool`: that takes arguments called `config` and `run_manager` for its own.
    """

    @classmethod
    def of(cls, spec: FunctionSpec) -> Self:
        """The tool for a function; what it cannot do is told to the model."""
        return cls(
            name=spec.name,
            description=spec.description or spec.name,
            args_schema=spec.input_schema,
            handle_tool_error=True,
        )

    @override
    async def _arun(self, /, **arguments: Any) -> str:
        try:
            with working_on(_task()):
                return await call_tool(self.name, arguments)
        except ToolFailure as failure:
            raise ToolException(str(failure)) from failure

    @override
    def _run(self, /, **arguments: Any) -> str:
        try:
            with working_on(_task()):
                return call_tool_from_thread(self.name, arguments)
        except ToolFailure as failure:
            raise ToolException(str(failure)) from failure


def _task() -> str:
    """LangGraph's task that this code runs in, after those around it."""
    try:
        found = get_config().get("metadata", {}).get("langgraph_checkpoint_ns", "")
    except RuntimeError:  # a user's code calls it outside of any graph
        return ""
    return str(found)
