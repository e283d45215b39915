"""What a user's entrypoint names, or what the function it names makes."""

import inspect
from collections.abc import Callable
from typing import Any

from runtime.adapters.port import AgentContext, BadAgent
from runtime.contract.agent_config import Module
from runtime.tools.blame import blame
from runtime.tools.entrypoint import load

FIELD = "spec.source.module"


def said_of(module: Module) -> str:
    """The entrypoint as it stands in the spec."""
    return f'{FIELD}.entrypoint "{module.entrypoint}"'


def users_object(module: Module) -> Any:
    """What the entrypoint names, imported.

    Raises:
        BadSpec: it cannot be imported.
    """
    return load(module, field=FIELD)


def takes_context(module: Module) -> bool:
    """Whether the entrypoint names a function that takes an `AgentContext`, tools in it.

    Raises:
        BadSpec: it cannot be imported.
    """
    found = users_object(module)
    return inspect.isroutine(found) and bool(_required(found))


async def called(
    function: Callable[..., Any], module: Module, context: Callable[[], AgentContext]
) -> Any:
    """What a user's function makes: sync or async, without arguments or with an `AgentContext`.

    Raises:
        BadAgent: it wants something else, or it failed.
    """
    wanted = _required(function)
    if len(wanted) > 1:
        names = ", ".join(wanted)
        raise BadAgent(
            f"{said_of(module)} takes {names}; a function that makes an agent takes nothing, or "
            "one AgentContext"
        )
    try:
        made = function(context()) if wanted else function()
        return await made if inspect.isawaitable(made) else made
    except Exception as error:
        raise BadAgent(f"{said_of(module)} failed: {blame(error, module)}") from error


def _required(function: Callable[..., Any]) -> list[str]:
    parameters = inspect.signature(function).parameters.values()
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
    ]
