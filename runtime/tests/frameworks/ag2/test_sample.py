"""The sample of an AG2 agent, with the code of its Tool, on a model that reads."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.adapters.ag2 import build
from runtime.contract.agent_config import AgentConfig, Framework, Module, ToolConfig
from runtime.tests.agents import ADD, MATH, QUEUE, Config, answer, asking, steps_of
from runtime.tools.port import ToolFunction
from runtime.tools.python import PythonTool

pytestmark = [pytest.mark.integration, pytest.mark.asyncio(loop_scope="module")]

SAMPLE = Path(__file__).parents[4] / "config" / "samples" / "ag2"


def manifest(name: str) -> Any:
    return yaml.safe_load((SAMPLE / name).read_text())


@pytest.fixture
def agent(config: Config, model_url: str, tmp_path: Path) -> AgentConfig:
    """The sample's agent, as the operator would configure its worker."""
    for name in ("expenses.yaml", "limits.yaml"):
        for file, code in manifest(name)["data"].items():
            (tmp_path / file).write_text(code)
    entrypoint = manifest("agent.yaml")["spec"]["source"]["module"]["entrypoint"]
    module = Module(entrypoint=entrypoint, path=str(tmp_path))
    made = config(framework=Framework.AG2, url=model_url)
    return made.model_copy(update={"declarative": None, "module": module})


@pytest.fixture
def tool(agent: AgentConfig, tmp_path: Path) -> PythonTool:
    """The sample's Tool."""
    del agent  # it has written the files
    entrypoint = manifest("tool.yaml")["spec"]["python"]["entrypoint"]
    module = Module(entrypoint=entrypoint, path=str(tmp_path))
    return PythonTool(ToolConfig(tool=ADD, queue=QUEUE, durable="d", python=module), module)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Check a hotel for 150 USD", "approved: the hotel is 138.00 EUR"),
        ("Check a taxi expense of 75 EUR", "over the limit by 15.00 EUR"),
        (
            "Divide the bill of 480 for 4 nights, then check the result as a hotel expense in GBP.",
            "over the limit by 0.40 EUR: the hotel is 140.40 EUR",
        ),
        ("What is the price per night for a total of 480 and 4 nights?", "120.0"),
    ],
)
async def test_expenses_are_checked(
    agent: AgentConfig, tool: PythonTool, words: str, said: str
) -> None:
    (spec,) = tool.functions

    async def check(arguments: dict[str, Any]) -> str:
        return str(await tool.call(spec.name, arguments, "key"))

    adapter = await build(agent, (spec,))
    steps = await steps_of(adapter, asking(words, ToolFunction(spec, MATH, check)))
    assert said in answer(steps)
