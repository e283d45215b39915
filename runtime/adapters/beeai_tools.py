"""The platform's tools as BeeAI knows them."""

import copy
from typing import Any, override

from beeai_framework.backend.utils import inline_schema_refs
from beeai_framework.context import RunContext
from beeai_framework.emitter import Emitter
from beeai_framework.errors import FrameworkError
from beeai_framework.tools import StringToolOutput, Tool, ToolError, ToolRunOptions
from beeai_framework.utils.strings import to_safe_word
from pydantic import GetJsonSchemaHandler, RootModel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from runtime.adapters.scope import call_tool
from runtime.contract.catalogue import FunctionSpec
from runtime.tools.port import ToolFailure


class Arguments(RootModel[dict[str, Any]]):
    """Arguments under whatever names; the platform itself checks them against the schema."""


class PlatformTool(Tool[Arguments, ToolRunOptions, StringToolOutput]):  # type: ignore[misc]  # as in beeai_model
    """One function, called for whatever run the caller belongs to."""

    def __init__(self, spec: FunctionSpec) -> None:
        super().__init__()
        self._spec = spec
        self._arguments = _arguments(spec)

    @property
    @override
    def name(self) -> str:
        return self._spec.name

    @property
    @override
    def description(self) -> str:
        return self._spec.description or self._spec.name

    @property
    @override
    def input_schema(self) -> type[Arguments]:
        return self._arguments

    @override
    def _create_emitter(self) -> Emitter:
        name = to_safe_word(self.name)
        return Emitter.root().child(namespace=["tool", "platform", name], creator=self)

    @override
    async def _run(
        self, input: Arguments, options: ToolRunOptions | None, context: RunContext
    ) -> StringToolOutput:
        del options, context
        try:
            return StringToolOutput(await call_tool(self.name, input.root))
        except ToolFailure as failure:
            raise ToolError(str(failure)) from None  # a cause would be told to the model as well
        except Exception as error:
            # A `ToolError` would be told to the model, but this is nothing that it can mend.
            raise FrameworkError(
                str(error), is_fatal=True, is_retryable=False, cause=error
            ) from error

    @override
    async def clone(self) -> "PlatformTool":
        return self  # it holds nothing of a run


def _arguments(spec: FunctionSpec) -> type[Arguments]:
    class Described(Arguments):
        @override
        @classmethod
        def __get_pydantic_json_schema__(
            cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler, /
        ) -> JsonSchemaValue:
            # Who asks for it may write in it. References are to a document that is not this one.
            schema: JsonSchemaValue = inline_schema_refs(copy.deepcopy(spec.input_schema))
            return schema

    Described.__name__ = spec.name
    return Described
