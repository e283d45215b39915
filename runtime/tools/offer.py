"""Which functions an agent may call, from its bindings and from what its tools said: pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from runtime.contract.agent_config import ToolBinding
from runtime.contract.catalogue import FunctionSpec, ToolFunctions
from runtime.contract.value import ObjectName
from runtime.tools.errors import BadSpec
from runtime.tools.schema import Schema

LONGEST_NAME = 64


@dataclass(frozen=True, slots=True)
class Offered:
    """A function that a model may ask for.

    Shape:
        spec      as the model sees it.
        function  the name its tool knows it by.
    """

    spec: FunctionSpec
    function: str
    binding: ToolBinding
    schema: Schema


def offers(
    bindings: tuple[ToolBinding, ...], found: Mapping[ObjectName, ToolFunctions]
) -> dict[str, Offered]:
    """What is offered, by the name the model sees.

    Raises:
        BadSpec: two functions have the same name, or one cannot be offered.
    """
    offered: dict[str, Offered] = {}
    for binding in bindings:
        if binding.approval_required:
            raise BadSpec(
                f"spec.tools: the Tool {binding.tool} has approval.required, and nobody can "
                "approve calls yet; take approval away, or the tool"
            )
        for function in found[binding.tool].functions:
            one = _offered(function, binding)
            if (other := offered.get(one.spec.name)) is not None:
                raise BadSpec(
                    f"spec.tools: the Tools {other.binding.tool} and {binding.tool} both have a "
                    f"function {one.spec.name}; name only one of them, or rename the function"
                )
            offered[one.spec.name] = one
    return offered


def _offered(function: FunctionSpec, binding: ToolBinding) -> Offered:
    field = f"spec.tools: the input schema of {function.name} of the Tool {binding.tool}"
    return Offered(
        spec=function.model_copy(update={"name": visible(function.name)}),
        function=function.name,
        binding=binding,
        schema=Schema(function.input_schema, field=field),
    )


def visible(name: str) -> str:
    """A function's name as every model takes it: letters, digits, `_` and `-`, at most 64.

    Source:
        OpenAI API reference, "Create chat completion", `tools.function.name`.
    """
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)[:LONGEST_NAME]
