"""The platform's tools as CrewAI knows them."""

from copy import deepcopy
from typing import Any, Self, override

from crewai.tools import BaseTool
from pydantic import BaseModel, PrivateAttr

from runtime.adapters.scope import call_tool, call_tool_from_thread
from runtime.contract.catalogue import FunctionSpec


class PlatformTool(BaseTool):  # type: ignore[misc]  # the checker has no CrewAI
    """One function, called for whatever run the caller belongs to.

    What it raises, CrewAI tells the model. Its arguments may have any name, and the toolbox checks
    them itself.
    """

    _optional: frozenset[str] = PrivateAttr(default=frozenset())

    @classmethod
    def of(cls, spec: FunctionSpec) -> Self:
        """The tool for a function."""
        schema = spec.input_schema
        optional = frozenset(schema.get("properties", {})) - frozenset(schema.get("required", ()))
        tool = cls(
            name=spec.name,
            description=spec.description or spec.name,
            args_schema=_arguments(schema, optional),
        )
        tool._optional = optional
        return tool

    @override
    def run(self, /, *args: Any, **kwargs: Any) -> str:
        """Call the function from a thread.

        Raises:
            ToolFailure: the call did not work out.
        """
        return self._run(*args, **kwargs)

    @override
    async def arun(self, /, *args: Any, **kwargs: Any) -> str:
        """Call the function from the event loop.

        Raises:
            ToolFailure: the call did not work out.
        """
        return await self._arun(*args, **kwargs)

    @override
    def _run(self, /, **arguments: Any) -> str:
        return call_tool_from_thread(self.name, self._given(arguments))

    @override
    async def _arun(self, /, **arguments: Any) -> str:
        return await call_tool(self.name, self._given(arguments))

    def _given(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments without those that the model left out."""
        return {
            name: value
            for name, value in arguments.items()
            if value is not None or name not in self._optional
        }


def _arguments(schema: dict[str, Any], optional: frozenset[str]) -> type[BaseModel]:
    """The class that CrewAI wants: it has no fields, for they could not say all a schema can.

    CrewAI declares every argument as required, which is how OpenAI's strict mode wants it. There
    an optional argument is one that may be null.
    """
    declared = deepcopy(schema)
    for name in optional:
        declared["properties"][name] = {"anyOf": [declared["properties"][name], {"type": "null"}]}

    class Arguments(BaseModel, extra="allow"):
        @override
        @classmethod
        def model_json_schema(cls, *_args: Any, **_kwargs: Any) -> dict[str, Any]:
            return deepcopy(declared)

    return Arguments
