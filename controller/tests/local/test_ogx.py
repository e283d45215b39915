"""A Stack on OGX, on one machine: agents of LangGraph and of Llama Stack beside the same server."""

import asyncio
import shutil
from collections.abc import Iterator

import openai
import pytest
import yaml

from controller.clients.servers import HttpServers
from controller.model import ServerFacts
from controller.tests.local.platform import ROOT, Platform, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SAMPLES = ROOT / "config" / "samples"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("manifests")
    for file in (SAMPLES / "quickstart").glob("[!k]*.yaml"):
        shutil.copy(file, folder)
    shutil.copy(SAMPLES / "llama-stack" / "agent.yaml", folder / "clerk.yaml")
    stack = yaml.safe_load((folder / "stack.yaml").read_text())
    stack["spec"]["server"] = {"flavour": "OGX"}
    (folder / "stack.yaml").write_text(yaml.safe_dump(stack))
    with running(folder, tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.mark.parametrize("agent", ["math", "clerk"])
def test_agents_of_a_stack_on_ogx_answer(up: Platform, agent: str) -> None:
    with openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0) as client:
        response = client.responses.create(model=agent, input="What is 40 + 2?")

    assert "42" in response.output_text
    (call,) = [item for item in response.output if item.type == "mcp_call"]
    assert (call.name, call.output) == ("add", "42")


def test_it_says_what_the_status_of_the_stack_shows(up: Platform) -> None:
    async def observe() -> ServerFacts | None:
        async with HttpServers.running() as servers:
            return await servers.observe(up.url)

    facts = asyncio.run(observe())

    assert facts is not None
    assert facts.version == "1.5.0"
    assert {"agents/math", "agents/clerk", "small/stand-in"} <= set(facts.models)
    assert {("responses", "amf"), ("inference", "agents"), ("inference", "small")} <= {
        (provider.api, provider.id) for provider in facts.providers
    }
