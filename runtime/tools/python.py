"""A user's Python function as a tool."""

import asyncio
import inspect
import json
import re
from collections.abc import Callable
from typing import Any

from pydantic_core import PydanticSerializationError, to_jsonable_python

from runtime.contract.agent_config import Module, ToolConfig
from runtime.contract.catalogue import FunctionSpec
from runtime.tools.blame import blame
from runtime.tools.entrypoint import kind_of, load
from runtime.tools.errors import BadSpec
from runtime.tools.key import CALL_KEY
from runtime.tools.origins import said_of
from runtime.tools.port import ToolFailure
from runtime.tools.schema import Schema
from runtime.tools.signature import Arguments, Unreadable, arguments_of, documented
from runtime.tools.threads import Abandoned, Threads
from runtime.worker.stopping import is_stopping

FIELD = "spec.python"


class PythonTool:
    """An `Executor` of one function, sync or async."""

    def __init__(self, config: ToolConfig, module: Module) -> None:
        """Load the function.

        Raises:
            BadSpec: there is none, or it cannot be offered to a model.
        """
        self._module = module
        self._threads = Threads()
        self._function = load(module, field=FIELD)
        said = said_of(module, FIELD)
        if not callable(self._function) or inspect.isclass(self._function):
            raise BadSpec(f"{said} is {kind_of(self._function)}, but a tool is a function")
        self._arguments = _arguments(config, self._function, said)
        self._is_async = inspect.iscoroutinefunction(inspect.unwrap(self._function))
        self.functions = (
            FunctionSpec(
                name=re.sub(r".*[:.]", "", module.entrypoint),
                description=documented(self._function)[0] or config.description,
                input_schema=self._arguments.schema,
            ),
        )

    def why_not(self) -> str | None:
        """A function that was loaded can be called, unless too many calls of it go on and on."""
        return self._threads.why_not()

    async def call(self, function: str, arguments: dict[str, Any], key: str) -> Any:
        """Run the function, which finds `key` by `call_key()`; gives its result, as JSON has it.

        Raises:
            ToolFailure: wrong arguments, an exception of the function, or no JSON returned.
        """
        if function != self.functions[0].name:
            raise ToolFailure(f"this tool has no function {function}")
        given = self._arguments.read(arguments)
        entered = CALL_KEY.set(key)
        try:
            returned = await self._run(given)
        except ToolFailure:
            raise
        except (Exception, SystemExit) as error:
            raise ToolFailure(f"{function} failed: {blame(error, self._module)}") from error
        finally:
            CALL_KEY.reset(entered)
        return _json(function, returned)

    async def _run(self, arguments: dict[str, Any]) -> Any:
        if self._is_async:
            try:
                return await self._function(**arguments)
            except asyncio.CancelledError as error:
                if is_stopping():
                    raise  # it is we who want it to end
                raise ToolFailure("the function was cancelled by its own code") from error
        try:
            returned = await self._threads.run(lambda: self._function(**arguments))
        except Abandoned as error:
            raise ToolFailure(str(error)) from error
        return await returned if inspect.isawaitable(returned) else returned


def _arguments(config: ToolConfig, function: Callable[..., Any], said: str) -> Arguments:
    if config.input_schema is not None:
        schema = Schema(config.input_schema, field="spec.inputSchema")
        return Arguments(schema=config.input_schema, read=schema.check)
    try:
        return arguments_of(function)
    except (Unreadable, ValueError, TypeError) as error:
        raise BadSpec(f"{said}: {error}; write the schema in spec.inputSchema") from error


def _json(function: str, value: object) -> Any:
    try:
        plain = to_jsonable_python(value)
        json.dumps(plain, allow_nan=False)
    except (PydanticSerializationError, ValueError, TypeError) as error:
        raise ToolFailure(
            f"{function} returned {kind_of(value)}, which cannot be written as JSON: {error}"
        ) from error
    return plain
