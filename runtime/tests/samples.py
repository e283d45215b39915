"""A sample's agent and the code of its Tool, as the operator would configure their workers."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from runtime.adapters.port import Step
from runtime.adapters.registry import build
from runtime.contract.agent_config import AgentConfig, Framework, Module, ToolConfig
from runtime.tests.agents import ADD, QUEUE, asking, steps_of
from runtime.tools.port import ToolFunction
from runtime.tools.python import PythonTool

SAMPLES = Path(__file__).parents[2] / "config" / "samples"


@dataclass
class Sample:
    """A sample under `config/samples`, with its code in files.

    Shape:
        agent  the configuration of its agent's worker.
        tool   its Tool, with one function.
        calls  the arguments of each call of that function.
    """

    agent: AgentConfig
    tool: PythonTool
    calls: list[dict[str, Any]]

    async def run(self, words: str, **facts: Any) -> list[Step]:
        """The steps of a run that is asked this."""
        (spec,) = self.tool.functions

        async def call(arguments: dict[str, Any]) -> str:
            self.calls.append(arguments)
            return str(await self.tool.call(spec.name, arguments, "key"))

        adapter = await build(self.agent, (spec,))
        return await steps_of(adapter, asking(words, ToolFunction(spec, ADD, call), **facts))


def sample(name: str, platform: AgentConfig, folder: Path) -> Sample:
    """The sample `name`, its code written to `folder`; all but itself is as in `platform`."""
    manifests = [yaml.safe_load(file.read_text()) for file in (SAMPLES / name).glob("*.yaml")]
    for manifest in manifests:
        if manifest["kind"] == "ConfigMap":
            for file, code in manifest["data"].items():
                (folder / file).write_text(code)
    spec = {manifest["kind"]: manifest.get("spec") for manifest in manifests}

    def module(given: dict[str, Any]) -> Module:
        return Module(entrypoint=given["entrypoint"], path=str(folder))

    agent = {
        "declarative": None,
        "framework": Framework(spec["Agent"]["framework"]),
        "module": module(spec["Agent"]["source"]["module"]),
    }
    code = module(spec["Tool"]["python"])
    return Sample(
        agent=platform.model_copy(update=agent),
        tool=PythonTool(ToolConfig(tool=ADD, queue=QUEUE, durable="d", python=code), code),
        calls=[],
    )
