"""What a user's entrypoint names, or what the function it names makes."""

import inspect
from collections.abc import Callable
from typing import Any

from runtime.adapters.foreign import FIELD, framework_field, imports_another, is_of_another
from runtime.adapters.port import AgentContext, BadAgent
from runtime.contract.agent_config import AgentConfig, Module
from runtime.tools import origins
from runtime.tools.blame import blame
from runtime.tools.entrypoint import Fits, NotInstalled, kind_of, load, not_installed


def said_of(module: Module) -> str:
    """The entrypoint as its user wrote it."""
    return origins.said_of(module, FIELD)


def users_object(config: AgentConfig, module: Module, fits: Fits) -> Any:
    """What the entrypoint names, imported.

    Shape:
        fits   whether the adapter can run an object as it is.

    Raises:
        BadSpec: it cannot be imported.
        BadAgent: it is of another framework.
    """
    try:
        found = load(module, field=FIELD, fits=fits)
    except NotInstalled as error:
        if (why := imports_another(error.missing, config, module)) is not None:
            raise BadAgent(why) from error
        raise
    return _own(found, config, module)


def takes_context(module: Module) -> bool:
    """Whether the entrypoint names a function that takes an `AgentContext`, tools in it.

    Raises:
        BadSpec: it cannot be imported.
    """
    found = load(module, field=FIELD)
    return inspect.isroutine(found) and bool(_required(found))


async def called(
    function: Callable[..., Any],
    config: AgentConfig,
    module: Module,
    context: Callable[[], AgentContext],
) -> Any:
    """What a user's function makes: sync or async, without arguments or with an `AgentContext`.

    Raises:
        BadAgent: it wants something else, it failed, or what it makes is of another framework.
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
        made = await made if inspect.isawaitable(made) else made
    except ModuleNotFoundError as error:
        why = imports_another(error, config, module) or str(not_installed(error, module, FIELD))
        raise BadAgent(why) from error
    except (Exception, SystemExit) as error:
        raise BadAgent(
            f"{said_of(module)} was called to make an agent, and failed: {blame(error, module)}"
        ) from error
    return _own(made, config, module)


def unfit(
    found: object, named: object, needs: str, config: AgentConfig, module: Module
) -> BadAgent:
    """What to raise of an object that is no agent.

    Shape:
        named   what the entrypoint names: the object itself, or what has made it.
        needs   what would be an agent.
    """
    verb = "is" if found is named else "makes"
    return BadAgent(
        f"{said_of(module)} {verb} {kind_of(found)}, but {framework_field(config)} is "
        f"{config.framework}, which needs {needs}"
    )


def _own(found: Any, config: AgentConfig, module: Module) -> Any:
    if (why := is_of_another(found, config, module)) is not None:
        raise BadAgent(why)
    return found


def _required(function: Callable[..., Any]) -> list[str]:
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):  # written in C, some say nothing of themselves
        return []
    return [
        parameter.name
        for parameter in parameters
        if parameter.default is parameter.empty
        and parameter.kind not in {parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD}
    ]
