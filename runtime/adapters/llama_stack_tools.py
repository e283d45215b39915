"""The platform's tools as llama-stack-client knows them."""

import json
from typing import Any, override

from llama_stack_client.lib.agents.client_tool import ClientTool, JSONSchema
from llama_stack_client.lib.agents.types import Message, ToolCall, ToolResponse

from runtime.adapters.scope import call_tool, call_tool_from_thread
from runtime.contract.catalogue import FunctionSpec
from runtime.tools.port import ToolFailure


class PlatformTool(ClientTool):
    """One function, called for whatever run the caller belongs to.

    Its result is text already; the methods of `ClientTool` would put that in quotes once more.
    """

    def __init__(self, spec: FunctionSpec) -> None:
        self._spec = spec

    @override
    def get_name(self) -> str:
        return self._spec.name

    @override
    def get_description(self) -> str:
        return self._spec.description

    @override
    def get_input_schema(self) -> JSONSchema:
        schema: Any = self._spec.input_schema
        return schema  # type: ignore[no-any-return]  # a schema of any shape, theirs is narrower

    @override
    def run(self, message_history: list[Message]) -> ToolResponse:
        call = message_history[-1].tool_calls[0]
        try:
            return _response(call, call_tool_from_thread(self.get_name(), arguments_of(call)))
        except ToolFailure as failure:
            return _response(call, str(failure))

    @override
    async def async_run(self, message_history: list[Message]) -> ToolResponse:
        call = message_history[-1].tool_calls[0]
        try:
            return _response(call, await call_tool(self.get_name(), arguments_of(call)))
        except ToolFailure as failure:
            return _response(call, str(failure))

    @override
    def run_impl(self, **kwargs: Any) -> str:
        return call_tool_from_thread(self.get_name(), kwargs)

    @override
    async def async_run_impl(self, **kwargs: Any) -> str:
        return await call_tool(self.get_name(), kwargs)


def arguments_of(call: ToolCall) -> dict[str, Any]:
    """The arguments object that a model wrote.

    Raises:
        ToolFailure: it wrote something else.
    """
    try:
        arguments = json.loads(call.arguments or "{}")
    except ValueError as error:
        raise ToolFailure(f"the arguments are no JSON: {error}") from error
    if not isinstance(arguments, dict):
        raise ToolFailure("the arguments are no JSON object")
    return arguments


def _response(call: ToolCall, text: str) -> ToolResponse:
    return ToolResponse(call_id=call.call_id, tool_name=call.tool_name, content=text)
