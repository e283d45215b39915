"""A user's Python function as a tool."""

import asyncio
import re
import sys
from typing import Any

import pytest

from runtime.contract.agent_config import Module, Queue, ToolConfig
from runtime.contract.value import ObjectName
from runtime.tests.tools.conftest import Written
from runtime.tools.errors import BadSpec
from runtime.tools.key import call_key
from runtime.tools.port import ToolFailure
from runtime.tools.python import PythonTool
from runtime.tools.threads import MOST_ABANDONED

NAME = ObjectName(namespace="team", name="add")
QUEUE = Queue(stack=NAME, url="nats://nowhere", token_file="none", service_account=NAME)
ADD = """
    def run(a: int, b: int) -> int:
        '''Add two numbers.'''
        return a + b
"""


def tool(module: Module, **facts: Any) -> PythonTool:
    config = ToolConfig(tool=NAME, queue=QUEUE, durable="add", python=module, **facts)
    return PythonTool(config, module)


async def test_a_function_is_found_and_called(written: Written) -> None:
    add = tool(written(ADD))
    (spec,) = add.functions
    assert (spec.name, spec.description) == ("run", "Add two numbers.")
    assert spec.input_schema["required"] == ["a", "b"]
    assert await add.call("run", {"a": 40, "b": 2}, "k1") == 42


async def test_an_async_function_is_awaited(written: Written) -> None:
    module = written(
        "import asyncio\nasync def run(a: int):\n    await asyncio.sleep(0)\n    return a"
    )
    assert await tool(module).call("run", {"a": 3}, "k1") == 3


async def test_the_tools_description_stands_in_for_a_docstring(written: Written) -> None:
    made = tool(written("def run() -> None: ..."), description="Does nothing.")
    assert made.functions[0].description == "Does nothing."


async def test_a_blocking_function_does_not_block_the_loop(written: Written) -> None:
    source = """
        import threading
        begun, go_on = threading.Event(), threading.Event()

        def run() -> bool:
            begun.set()
            return go_on.wait(10)
    """
    module = written(source)
    slow = tool(module)
    code = sys.modules[module.entrypoint.partition(":")[0]]
    calling = asyncio.create_task(slow.call("run", {}, "k1"))
    assert await asyncio.to_thread(code.begun.wait, 10)
    code.go_on.set()  # from the loop, which would only get here when it has returned
    assert await calling is True


async def test_calls_that_never_end_are_bounded(written: Written) -> None:
    source = """
        import threading
        go_on = threading.Event()
        begun = threading.Semaphore(0)
        def run() -> int:
            begun.release()
            go_on.wait()
            return 1
    """
    module = written(source)
    stuck = tool(module)
    code = sys.modules[module.entrypoint.partition(":")[0]]
    for number in range(MOST_ABANDONED):
        assert stuck.why_not() is None, number
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await stuck.call("run", {}, "k1")
    with pytest.raises(ToolFailure) as caught:
        await stuck.call("run", {}, "k1")
    assert str(caught.value) == stuck.why_not()
    assert str(caught.value).startswith("8 calls that were broken off are still running in this")
    assert code.begun._value <= MOST_ABANDONED
    code.go_on.set()
    async with asyncio.timeout(5):
        while stuck.why_not() is not None:
            await asyncio.sleep(0.01)
    assert await stuck.call("run", {}, "k1") == 1


@pytest.mark.parametrize("kind", ["def", "async def"])
@pytest.mark.fault(1)
async def test_a_function_can_read_the_key_of_each_call(written: Written, kind: str) -> None:
    source = f"""
        import time
        from runtime.tools.key import call_key
        {kind} run(seconds: float) -> str:
            time.sleep(seconds)
            return call_key()
    """
    made = tool(written(source))
    calls = [made.call("run", {"seconds": s}, key) for s, key in ((0.1, "k1"), (0, "k2"))]
    assert await asyncio.gather(*calls) == ["k1", "k2"]
    with pytest.raises(LookupError):
        call_key()


async def test_a_schema_of_the_users_replaces_the_discovered_one(written: Written) -> None:
    schema = {"type": "object", "properties": {"n": {"type": "integer", "maximum": 9}}}
    made = tool(written("def run(**given: object): return given"), input_schema=schema)
    assert made.functions[0].input_schema == schema
    assert await made.call("run", {"n": 1}, "k1") == {"n": 1}
    with pytest.raises(ToolFailure, match=r"^wrong arguments: n: 10 is greater than the maximum"):
        await made.call("run", {"n": 10}, "k1")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("def run():\n    return 1 / 0", r"users_\d+\.py:2 ZeroDivisionError: division by zero$"),
        ("async def run():\n    raise ValueError('no')", r"users_\d+\.py:2 ValueError: no$"),
        ("import sys\ndef run(): sys.exit(1)", "SystemExit: 1$"),
        ("import sys\nasync def run(): sys.exit(1)", "SystemExit: 1$"),
        ("def run(): raise StopIteration", "StopIteration"),
        ("def run(): return object()", "returned an object, which cannot be written as JSON"),
        ("def run(): return float('nan')", "returned a float, which cannot be written as JSON"),
    ],
)
async def test_a_function_that_fails_tells_the_model(
    written: Written, source: str, told: str
) -> None:
    with pytest.raises(ToolFailure, match=told):
        await tool(written(source)).call("run", {}, "k1")


@pytest.mark.parametrize(
    ("source", "told"),
    [
        ("run = 5", 'spec.python.entrypoint "users_N:run" is an int, but a tool is a function'),
        ("class run: ...", "is a class, but a tool is a function"),
        (
            "def run(*a): ...",
            "has no name that a model could give; write the schema in spec.inputSchema",
        ),
        ("def run(a: object()): ...", "write the schema in spec.inputSchema"),
    ],
)
def test_what_cannot_be_a_tool_is_refused(written: Written, source: str, told: str) -> None:
    with pytest.raises(BadSpec) as caught:
        tool(written(source))
    assert told in re.sub(r"users_\d+", "users_N", str(caught.value))


@pytest.mark.parametrize(
    ("schema", "told"),
    [
        ({"type": "wrong"}, "spec.inputSchema is no JSON schema: 'wrong' is not valid"),
        ({"type": "array"}, "spec.inputSchema must be the schema of an object, not of 'array'"),
    ],
)
def test_a_wrong_schema_is_refused(written: Written, schema: dict[str, Any], told: str) -> None:
    with pytest.raises(BadSpec, match=told):
        tool(written(ADD), input_schema=schema)


async def test_a_schema_never_reaches_out(written: Written) -> None:
    made = tool(written(ADD), input_schema={"$ref": "http://127.0.0.1:1/schema.json"})
    with pytest.raises(ToolFailure, match="the tool's schema cannot be used"):
        await made.call("run", {}, "k1")
