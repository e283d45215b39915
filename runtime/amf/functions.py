"""The functions that a client brings along with its request, as each API says them.

Source:
    OpenAI API reference, "Create a model response", `tools`, and "Create chat completion", `tools`;
    fields as in llama-stack-api 0.7.3, `OpenAIResponseInputToolFunction`.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from runtime.amf.errors import BadRequest
from runtime.contract.client_calls import ClientFunction
from runtime.json_schema import BadSchema, ForeignSchema

NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
MOST = 128
NO_ARGUMENTS = {"type": "object", "properties": {}}


def functions_in_responses(tools: Iterable[Any] | None) -> tuple[ClientFunction, ...]:
    """What `tools` of the Responses API brings along.

    Raises:
        BadRequest: it is no function, or one that cannot be called; `param` names the field.
    """
    return functions([(f"tools[{place}]", _plain(one)) for place, one in enumerate(tools or ())])


def functions_in_chat(tools: Iterable[Any] | None) -> tuple[ClientFunction, ...]:
    """What `tools` of the Chat Completions API brings along; raises as the other one."""
    told = [(f"tools[{place}]", _plain(one)) for place, one in enumerate(tools or ())]
    each = []
    for where, one in told:
        inner = one.get("function")
        if one.get("type") == "function" and not isinstance(inner, Mapping):
            raise BadRequest(f"{where}.function is missing.", param=f"{where}.function")
        each.append((f"{where}.function", one | dict(inner or {})))
    return functions(each)


def functions(told: Iterable[tuple[str, Mapping[str, Any]]]) -> tuple[ClientFunction, ...]:
    """Functions, each with where it stands in its request.

    Raises:
        BadRequest: one cannot be called, or two have the same name.
    """
    made: dict[str, ClientFunction] = {}
    for where, one in told:
        function = _function(where, one)
        if function.name in made:
            raise BadRequest(
                f"{where}.name: there are two functions {function.name}; give one another name.",
                param=f"{where}.name",
            )
        made[function.name] = function
    if len(made) > MOST:
        raise BadRequest(f"tools takes {MOST} functions; this has {len(made)}.", param="tools")
    return tuple(made.values())


def check_names(offered: Iterable[ClientFunction], others: Iterable[str]) -> None:
    """Refuse a name that a function of the agent has.

    Raises:
        BadRequest: `param` names it.
    """
    taken = set(others)
    for place, one in enumerate(offered):
        if one.name in taken:
            raise BadRequest(
                f"tools[{place}].name: the agent has a function {one.name} of its own; give that "
                "of the client another name.",
                param=f"tools[{place}].name",
            )


def in_responses(offered: Iterable[ClientFunction]) -> list[dict[str, Any]]:
    """As `tools` of a response has them."""
    return [
        {
            "type": "function",
            "name": one.name,
            "description": one.description,
            "parameters": one.parameters,
            "strict": True,  # no call is handed over whose arguments do not fit
        }
        for one in offered
    ]


def _plain(tool: Any) -> dict[str, Any]:
    plain: dict[str, Any] = tool if isinstance(tool, dict) else tool.model_dump(mode="json")
    return plain


def _function(where: str, one: Mapping[str, Any]) -> ClientFunction:
    if (kind := one.get("type")) != "function":
        raise BadRequest(
            f"{where}.type is {kind}; a client brings functions of its own, and what else there is "
            "an agent has by spec.tools of its Agent.",
            param=f"{where}.type",
        )
    name = one.get("name")
    if not isinstance(name, str) or not NAME.fullmatch(name):
        field = f"{where}.name"
        raise BadRequest(f"{field} must be 1 to 64 letters, digits, _ and -.", param=field)
    description = one.get("description") or ""
    parameters = one.get("parameters") or NO_ARGUMENTS
    _check(parameters, f"{where}.parameters")
    return ClientFunction(name=name, description=description, parameters=parameters)


def _check(parameters: Any, field: str) -> None:
    if not isinstance(parameters, dict) or parameters.get("type", "object") != "object":
        raise BadRequest(f"{field} must be the JSON schema of an object.", param=field)
    try:
        ForeignSchema(parameters)
    except BadSchema as error:
        raise BadRequest(f"{field} cannot be used: {error}.", param=field) from error
