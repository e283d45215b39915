"""The platform's tools as AG2 knows them."""

from collections.abc import Iterable, Iterator
from typing import Any, Self, override

from ag2 import Context, Toolkit
from ag2.events import ToolCallEvent, ToolErrorEvent, ToolResult, ToolResultEvent
from ag2.tools.final import FunctionTool
from ag2.tools.tool import Tool
from ag2.utils import build_model

from runtime.adapters.scope import call_tool
from runtime.contract.catalogue import FunctionSpec
from runtime.tools.port import ToolFailure


class PlatformTool(FunctionTool):
    """One function, called for whatever run the caller belongs to.

    It is a `FunctionTool`, so that a user may give it middleware or put it into a `Toolkit`; but
    what cannot be done is told to the model as a sentence, not as a traceback.
    """

    @classmethod
    def of(cls, spec: FunctionSpec) -> Self:
        """The tool for a function."""

        async def function(**arguments: Any) -> str:
            return await call_tool(spec.name, arguments)

        return cls(
            build_model(function),
            name=spec.name,
            description=spec.description or spec.name,
            schema=dict(spec.input_schema),
        )

    @override
    async def __call__(self, event: ToolCallEvent, context: Context) -> ToolResultEvent:
        try:
            result = await call_tool(self.name, event.serialized_arguments)
        except ToolFailure as failure:
            return ToolErrorEvent(
                parent_id=event.id, name=event.name, error=failure, result=ToolResult(str(failure))
            )
        return ToolResultEvent.from_call(event, result)


def clash_of(tools: Iterable[Tool]) -> str | None:
    """The name of a platform's tool that another tool has as well.

    AG2 would let the later one take its place, and say so in the log alone.
    """
    flat = list(_flat(tools))
    for place, tool in enumerate(flat):
        others = [other.name for other in (*flat[:place], *flat[place + 1 :])]
        if isinstance(tool, PlatformTool) and tool.name in others:
            return tool.name
    return None


def _flat(tools: Iterable[Tool]) -> Iterator[Tool]:
    for tool in tools:
        if isinstance(tool, Toolkit):
            yield from _flat(tool.tools)
        else:
            yield tool
