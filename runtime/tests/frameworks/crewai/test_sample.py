"""The sample of a CrewAI crew, with the code of its Tool, on a model that reads."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.adapters.crewai import build
from runtime.contract.agent_config import AgentConfig, Framework, Module, ToolConfig
from runtime.tests.agents import ADD, QUEUE, Config, answer, asking, steps_of
from runtime.tools.port import ToolFunction
from runtime.tools.python import PythonTool

pytestmark = [
    pytest.mark.integration,
    pytest.mark.asyncio(loop_scope="module"),
    # CrewAI reads the fields that it has deprecated.
    pytest.mark.filterwarnings("ignore:(.* is )?deprecated:DeprecationWarning"),
]

SAMPLE = Path(__file__).parents[4] / "config" / "samples" / "crewai"


def manifest(name: str) -> Any:
    return yaml.safe_load((SAMPLE / name).read_text())


@pytest.fixture
def agent(config: Config, model_url: str, tmp_path: Path) -> AgentConfig:
    """The sample's crew, as the operator would configure its worker."""
    for name in ("letters.yaml", "stock.yaml"):
        for file, code in manifest(name)["data"].items():
            (tmp_path / file).write_text(code)
    entrypoint = manifest("agent.yaml")["spec"]["source"]["module"]["entrypoint"]
    module = Module(entrypoint=entrypoint, path=str(tmp_path))
    made = config(framework=Framework.CREWAI, url=model_url)
    return made.model_copy(update={"declarative": None, "module": module})


@pytest.fixture
def tool(agent: AgentConfig, tmp_path: Path) -> PythonTool:
    """The sample's Tool."""
    del agent  # it has written the files
    entrypoint = manifest("tool.yaml")["spec"]["python"]["entrypoint"]
    module = Module(entrypoint=entrypoint, path=str(tmp_path))
    return PythonTool(ToolConfig(tool=ADD, queue=QUEUE, durable="d", python=module), module)


@pytest.mark.parametrize(
    ("letter", "said"),
    [
        ("Do you have a desk in stock?", "desk: 2 in stock, 240.00 EUR each"),
        ("Is the chair in stock?", "chair: sold out, back in two weeks, 89.00 EUR each"),
    ],
)
async def test_the_letter_holds_what_the_clerk_has_found(
    agent: AgentConfig, tool: PythonTool, letter: str, said: str
) -> None:
    (spec,) = tool.functions
    looked_up: list[dict[str, Any]] = []

    async def look_up(arguments: dict[str, Any]) -> str:
        looked_up.append(arguments)
        return str(await tool.call(spec.name, arguments, "key"))

    adapter = await build(agent, tool.functions)
    steps = await steps_of(adapter, asking(letter, ToolFunction(spec, ADD, look_up), stream=True))
    assert said in answer(steps)
    assert len(looked_up) == 1
