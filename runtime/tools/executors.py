"""The executor of a Tool, opened as its configuration says, and its word in the catalogue."""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import AsyncIterator

from runtime.contract.agent_config import ToolConfig
from runtime.contract.catalogue import FunctionSpec, ToolFunctions
from runtime.contract.keys import functions_entry
from runtime.tools.errors import BadSpec
from runtime.tools.executor import Executor
from runtime.tools.python import PythonTool
from runtime.transport.port import Store, TransportError

log = logging.getLogger(__name__)

RETRY_SECONDS = 1.0


@contextlib.asynccontextmanager
async def opened(config: ToolConfig, catalogue: Store) -> AsyncIterator[Executor]:
    """What does the calls of the Tool for as long as the body runs; it says what it can do.

    Raises:
        BadSpec: what the user gave cannot be loaded.
    """

    async def say(functions: tuple[FunctionSpec, ...], problem: str | None) -> None:
        try:
            await announce(config, functions, catalogue, problem)
        except TransportError as error:
            log.warning("the catalogue is out of reach", extra={"error": str(error)})

    match config:
        case ToolConfig(python=module) if module is not None:
            python = PythonTool(config, module)
            telling = asyncio.create_task(_until_told(config, python.functions, catalogue))
            try:
                yield python
            finally:
                telling.cancel()
                await asyncio.gather(telling, return_exceptions=True)
        case ToolConfig(mcp=server) if server is not None:
            # A second and 30 MiB that the worker of a Python function does not need.
            from runtime.tools.mcp import McpTool  # noqa: PLC0415

            mcp = McpTool(server, say)
            async with mcp.running():
                yield mcp
        case ToolConfig(http=api) if api is not None:
            from runtime.tools.http import HttpTool  # noqa: PLC0415

            http = HttpTool(config, api, say)
            async with http.running():
                yield http
        case _:
            raise BadSpec("one of spec.python, spec.mcp and spec.http must be set")


async def _until_told(
    config: ToolConfig, functions: tuple[FunctionSpec, ...], catalogue: Store
) -> None:
    while True:
        try:
            return await announce(config, functions, catalogue)
        except TransportError as error:
            log.warning("the catalogue is out of reach", extra={"error": str(error)})
            await asyncio.sleep(RETRY_SECONDS)


async def announce(
    config: ToolConfig,
    functions: tuple[FunctionSpec, ...],
    catalogue: Store,
    problem: str | None = None,
) -> None:
    """Write what the Tool can do to the catalogue, and what it cannot, if that is news there."""
    key = functions_entry(config.tool)
    said = said_of(config, functions).model_copy(update={"problem": problem})
    entry = await catalogue.get(key)
    if entry is None or entry.value != said.encode():
        await catalogue.put(key, said.encode())
        log.info("functions", extra={"functions": [function.name for function in functions]})


def said_of(config: ToolConfig, functions: tuple[FunctionSpec, ...]) -> ToolFunctions:
    """The entry of the Tool's functions."""
    digest = hashlib.sha256()
    for function in functions:
        digest.update(function.encode() + b"\n")
    return ToolFunctions(
        tool=config.tool,
        revision=config.revision,
        digest=f"sha256:{digest.hexdigest()}",
        functions=functions,
    )
