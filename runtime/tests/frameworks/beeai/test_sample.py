"""The sample of a BeeAI agent, with the code of its Tool, on a model that reads."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from runtime.adapters.beeai import build
from runtime.contract.agent_config import AgentConfig, Framework, Module, ToolConfig
from runtime.tests.agents import ADD, QUEUE, Config, answer, asking, steps_of, text
from runtime.tests.frameworks.beeai.marks import MARKS
from runtime.tools.port import ToolFunction
from runtime.tools.python import PythonTool

pytestmark = MARKS

SAMPLE = Path(__file__).parents[4] / "config" / "samples" / "beeai"


def manifest(name: str) -> Any:
    return yaml.safe_load((SAMPLE / name).read_text())


@pytest.fixture
def agent(config: Config, model_url: str, tmp_path: Path) -> AgentConfig:
    """The sample's agent, as the operator would configure its worker."""
    for name in ("waiter.yaml", "menu.yaml"):
        for file, code in manifest(name)["data"].items():
            (tmp_path / file).write_text(code)
    entrypoint = manifest("agent.yaml")["spec"]["source"]["module"]["entrypoint"]
    module = Module(entrypoint=entrypoint, path=str(tmp_path))
    made = config(framework=Framework.BEEAI, url=model_url)
    return made.model_copy(update={"declarative": None, "module": module})


@pytest.fixture
def tool(agent: AgentConfig, tmp_path: Path) -> PythonTool:
    """The sample's Tool."""
    del agent  # it has written the files
    entrypoint = manifest("tool.yaml")["spec"]["python"]["entrypoint"]
    module = Module(entrypoint=entrypoint, path=str(tmp_path))
    return PythonTool(ToolConfig(tool=ADD, queue=QUEUE, durable="d", python=module), module)


@pytest.mark.parametrize(
    ("words", "looked_up", "said"),
    [
        ("Look up the trout", ["trout"], "the trout is 19.00 EUR, with fish, almonds"),
        ("Is there milk in the pasta dish?", ["pasta"], "13.00 EUR, with wheat, egg, milk"),
        (
            "Look up the soup, then split a bill of 60 among 4 guests.",
            ["soup"],
            "15.00 EUR for each",
        ),
    ],
)
async def test_a_dish_is_looked_up_before_anything_is_said(
    agent: AgentConfig, tool: PythonTool, words: str, looked_up: list[str], said: str
) -> None:
    (spec,) = tool.functions
    dishes: list[str] = []

    async def look_up(arguments: dict[str, Any]) -> str:
        dishes.append(arguments["dish"])
        return str(await tool.call(spec.name, arguments, "key"))

    adapter = await build(agent, (spec,))
    asked = asking(words, ToolFunction(spec, ADD, look_up), stream=True)
    steps = await steps_of(adapter, asked)
    assert said in answer(steps)
    assert text(steps) == answer(steps)
    assert dishes == looked_up
