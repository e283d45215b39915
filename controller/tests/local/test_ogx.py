"""A Stack that goes from Llama Stack to OGX, on one machine."""

import asyncio
import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx
import openai
import pytest
import yaml

from controller.clients.servers import HttpServers
from controller.model import ServerFacts
from controller.tests.local.old_clients import check_old_client
from controller.tests.local.platform import ROOT, Platform, running
from controller.tests.local.test_up import a_sum

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SAMPLES = ROOT / "config" / "samples"


def stack_on(flavour: str) -> str:
    stack = yaml.safe_load((SAMPLES / "clients" / "stack.yaml").read_text())
    stack["spec"]["server"] = {"flavour": flavour}
    return yaml.safe_dump(stack)


def observed(up: Platform) -> ServerFacts | None:
    """What the server says to the operator."""

    async def observe() -> ServerFacts | None:
        async with HttpServers.running(Path("no token")) as servers:
            return await servers.observe(up.url, proving=False)

    return asyncio.run(observe())


def serves_on(up: Platform, version: str) -> bool:
    facts = observed(up)
    return facts is not None and facts.version == version and "agents/math" in facts.models


def client_of(up: Platform) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0)


def said_in(up: Platform, conversation: str) -> list[str]:
    url = f"{up.url}/v1/conversations/{conversation}/items?order=asc"
    items = httpx.get(url).raise_for_status().json()["data"]
    return [part["text"] for item in items for part in item["content"]]


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("manifests")
    for name in ("arithmetic", "tool", "math-langgraph", "handbook", "librarian"):
        shutil.copy(SAMPLES / "clients" / f"{name}.yaml", folder)
    shutil.copy(SAMPLES / "llama-stack" / "agent.yaml", folder / "clerk.yaml")
    (folder / "stack.yaml").write_text(stack_on("LlamaStack"))
    with running(folder, tmp_path_factory.mktemp("platform")) as platform:
        yield platform


def found_in(client: openai.OpenAI, store: str) -> list[str]:
    return [one.filename for one in client.vector_stores.search(store, query="planet")]


def test_what_is_stored_goes_along_when_its_stack_goes_to_ogx(up: Platform) -> None:
    with client_of(up) as client:
        text = b"Jupiter is the largest planet of the sun."
        file = client.files.create(file=("planets.txt", text), purpose="assistants").id
        store = client.vector_stores.create(name="notes").id
        client.vector_stores.files.create_and_poll(file, vector_store_id=store)
        assert found_in(client, store) == ["planets.txt"]
        plain = client.responses.create(model="small/stand-in", input="What is 1 + 1?")
        conversation = client.conversations.create().id
        ask = partial(client.responses.create, model="math", conversation=conversation)
        first = ask(input="What is 1 + 2?")
        assert serves_on(up, "0.7.3")

        up.write(stack=stack_on("OGX"))
        up.until(lambda: serves_on(up, "1.5.0"))
        second = ask(input="What is 40 + 2?")
        said = said_in(up, conversation)
        found = found_in(client, store)
        kept = client.files.content(file).read()
        plain_again = client.responses.retrieve(plain.id)

    assert "42" in second.output_text
    assert (found, kept) == (["planets.txt"], text)
    assert plain_again.output_text == plain.output_text != ""
    assert said == ["What is 1 + 2?", first.output_text, "What is 40 + 2?", second.output_text]


@pytest.mark.parametrize("agent", ["math", "clerk"])
def test_agents_of_a_stack_on_ogx_answer(up: Platform, agent: str) -> None:
    with client_of(up) as client:
        response = client.responses.create(model=agent, input="What is 40 + 2?")

    assert "42" in response.output_text
    (call,) = [item for item in response.output if item.type == "mcp_call"]
    assert (call.name, call.output) == ("add", "42")


# The oldest, and the one with paths of its own.
@pytest.mark.parametrize("version", ["0.1.4", "0.3.5"])
def test_an_old_client_asks_as_ever(up: Platform, version: str) -> None:
    check_old_client(up.url, version, *a_sum())


def test_it_says_what_the_status_of_the_stack_shows(up: Platform) -> None:
    facts = observed(up)

    assert facts is not None
    assert {"agents/math", "agents/clerk", "small/stand-in"} <= set(facts.models)
    assert {("responses", "amf"), ("inference", "agents"), ("inference", "small")} <= {
        (provider.api, provider.id) for provider in facts.providers
    }


def test_there_is_no_way_back_and_what_runs_goes_on(up: Platform) -> None:
    up.write(stack=stack_on("LlamaStack"))
    up.until_said("OGX 1.5.0 has taken over what is stored here")

    assert serves_on(up, "1.5.0")
