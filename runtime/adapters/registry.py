"""From an agent's configuration to its adapter; a framework is imported only where it is used."""

import asyncio
import importlib
import os
from collections.abc import Mapping, MutableMapping
from concurrent.futures import ThreadPoolExecutor

from runtime.adapters.client_functions import WithClientFunctions
from runtime.adapters.foreign import lacks_framework
from runtime.adapters.port import Adapter, BadAgent, Build
from runtime.adapters.proof import prove_to_server
from runtime.adapters.structured import Structured
from runtime.contract.agent_config import AgentConfig, Framework
from runtime.contract.catalogue import FunctionSpec
from runtime.tools.errors import BadSpec
from runtime.worker.slots import Places

THREADS_A_RUN = 8  # of the loop's executor, where code that blocks waits; made when they are needed
MODULES: Mapping[Framework, str] = {
    Framework.LANGGRAPH: "runtime.adapters.langgraph",
    Framework.CREWAI: "runtime.adapters.crewai",
    Framework.AG2: "runtime.adapters.ag2",
    Framework.LLAMA_STACK: "runtime.adapters.llama_stack",
    Framework.BEEAI: "runtime.adapters.beeai",
}


async def build(config: AgentConfig, specs: tuple[FunctionSpec, ...]) -> Adapter:
    """The adapter of the agent, in the loop that will run it.

    Raises:
        BadAgent: the framework is not here, or what the user gave cannot be used with it.
    """
    module = MODULES.get(config.framework)
    if module is None:
        known = ", ".join(MODULES)
        raise BadAgent(f"spec.framework {config.framework} cannot be run yet; use one of {known}")
    if config.module is not None:
        default_environment(config, os.environ)
    try:
        make: Build = importlib.import_module(module).build
    except ModuleNotFoundError as error:
        raise BadAgent(lacks_framework(error, config)) from error
    prove_to_server(config.model)
    asyncio.get_running_loop().set_default_executor(threads(config))
    try:
        adapter = await make(config, specs)
    except BadSpec as error:
        raise BadAgent(str(error)) from error
    adapter = WithClientFunctions(adapter, make, config, specs)
    return Structured(adapter, framework=config.framework, is_own=config.module is not None)


def threads(config: AgentConfig) -> ThreadPoolExecutor:
    """Threads for the code of all runs that the worker may hold.

    A run whose code blocks keeps its thread while it waits for another agent, and so would keep it
    from the runs that are waited for.
    """
    return ThreadPoolExecutor(
        THREADS_A_RUN * Places.with_own(config.execution.concurrency).most, "agent"
    )


def default_environment(config: AgentConfig, environment: MutableMapping[str, str]) -> None:
    """Point the usual clients of a user's own code at the Stack's server.

    Who brings a key of their own has an endpoint of their own in mind, so that stays as it is.
    """
    server = config.model.base_url
    if "OPENAI_API_KEY" not in environment:
        environment.setdefault("OPENAI_BASE_URL", server)
        environment["OPENAI_API_KEY"] = "unused"
    if config.model.id:
        environment.setdefault("OPENAI_MODEL", config.model.id)
    if "LLAMA_STACK_CLIENT_API_KEY" not in environment:
        environment.setdefault("LLAMA_STACK_CLIENT_BASE_URL", server.removesuffix("/v1"))
