"""Code of another framework than its Agent says, as far as nothing of it need be installed."""

import pytest

from runtime.adapters import registry
from runtime.adapters.foreign import framework_of, framework_of_package
from runtime.adapters.port import BadAgent
from runtime.adapters.registry import build
from runtime.contract.agent_config import Framework
from runtime.tests.agents import Config
from runtime.tests.foreign_contract import ForeignContract


class TestLangGraph(ForeignContract):
    framework = Framework.LANGGRAPH


class TestAG2(ForeignContract):
    framework = Framework.AG2


class TestLlamaStack(ForeignContract):
    framework = Framework.LLAMA_STACK


@pytest.mark.parametrize(
    ("package", "framework"),
    [
        ("langgraph", Framework.LANGGRAPH),
        ("langgraph_supervisor", Framework.LANGGRAPH),
        ("langchain", None),
        ("langchain_openai", None),
        ("crewai_tools", Framework.CREWAI),
        ("ag2", Framework.AG2),
        ("autogen", Framework.AG2),
        ("autogen_core", None),
        ("autogen_agentchat", None),
        ("llama_stack_client", Framework.LLAMA_STACK),
        ("beeai_framework", Framework.BEEAI),
        ("langgraphs", None),
        ("openai", None),
        ("", None),
    ],
)
def test_whose_a_package_is(package: str, framework: Framework | None) -> None:
    assert framework_of_package(package) is framework


def test_an_object_of_no_framework_is_of_none() -> None:
    class Mine: ...

    assert [framework_of(one) for one in (5, None, Mine, Mine(), build, pytest)] == [None] * 6


HELPER = """
from pathlib import Path

helper = Path(__file__).with_name("{name}")
helper.write_bytes({text!r})
exec(compile("import {missing}", helper, "exec"))
"""
"""A file beside the entrypoint's own that imports what is missing."""


def beside(missing: str, name: str = "helper.py", text: bytes = b"") -> str:
    return HELPER.format(missing=missing, name=name, text=text or f"import {missing}".encode())


@pytest.mark.parametrize(
    ("source", "framework", "said"),
    [
        pytest.param(
            "import langgraph\nimport crewai",
            Framework.LANGGRAPH,
            "py:2 ModuleNotFoundError: No module named 'crewai'; if crewai is a file of yours",
            id="used beside it",
        ),
        pytest.param(
            "import crewai\nfrom langgraph.graph import StateGraph",
            Framework.LANGGRAPH,
            "py:1 ModuleNotFoundError: No module named 'crewai'; if crewai is a file of yours",
            id="used beside it, and imported first",
        ),
        pytest.param(
            "from crewai import Crew\nimport langchain_openai",
            Framework.LANGGRAPH,
            "py:1 imports crewai, which is of CrewAI, but spec.framework is LangGraph; set "
            "spec.framework to CrewAI; or, if it is only used beside LangGraph, for `make up`, let "
            "PYTHONPATH name a folder that has it (pip install --target); in a cluster, build an "
            "image FROM the runtime image that has it and your module, and name it in "
            "spec.source.module.image in place of configMapRef",
            id="with an extension of ours",
        ),
        pytest.param(
            "from autogen import ConversableAgent",
            Framework.AG2,
            "py:1 imports autogen, which is AG2 before 1.0; write it for AG2 1.x, whose package "
            "is ag2",
            id="AG2 of old",
        ),
        pytest.param(
            "from autogen_agentchat.agents import AssistantAgent",
            Framework.AG2,
            "py:1 ModuleNotFoundError: No module named 'autogen_agentchat'; if autogen_agentchat",
            id="AutoGen, which is no AG2",
        ),
        pytest.param(
            beside("langchain_nowhere"),
            Framework.AG2,
            "py:1 ModuleNotFoundError: No module named 'langchain_nowhere'; if langchain_nowhere",
            id="a library for everybody",
        ),
        pytest.param(
            f"import langgraph\n{beside('langchain_nowhere')}",
            Framework.AG2,
            "py:1 imports langchain_nowhere, which is of LangGraph, but spec.framework is AG2",
            id="the same beside its framework",
        ),
        pytest.param(
            f"import ag2\n{beside('crewai')}",
            Framework.AG2,
            "py:1 ModuleNotFoundError: No module named 'crewai'; if crewai is a file of yours",
            id="used beside it by another file",
        ),
        pytest.param(
            beside("crewai", "helper.so", b"\x7fELF\0"),
            Framework.AG2,
            "helper.so:1 imports crewai, which is of CrewAI, but spec.framework is AG2",
            id="by a file that is no Python",
        ),
        pytest.param(
            beside("crewai", "helper.py", b"import ag2\0"),
            Framework.AG2,
            "helper.py:1 imports crewai, which is of CrewAI, but spec.framework is AG2",
            id="by a file that cannot be read",
        ),
        pytest.param(
            "from langchain.chains import LLMChain",
            Framework.LANGGRAPH,
            "; the langchain that is installed here is of a version without langchain.chains",
            id="LangChain of old",
        ),
    ],
)
async def test_what_a_missing_package_means(
    config: Config, source: str, framework: Framework, said: str
) -> None:
    with pytest.raises(BadAgent) as caught:
        await build(config(source, framework=framework), ())
    assert said in str(caught.value)


async def test_an_image_of_other_frameworks_says_which_it_has(config: Config) -> None:
    with pytest.raises(BadAgent) as caught:
        await build(config("crew = 5", framework=Framework.CREWAI), ())
    assert str(caught.value) == (
        "spec.framework is CrewAI, and this image has no crewai; set spec.framework to LangGraph "
        "or AG2 or LlamaStack, or build spec.source.module.image FROM the runtime image for CrewAI"
    )


def test_every_framework_that_can_be_run_is_known_by_its_packages() -> None:
    for framework in registry.MODULES:
        assert framework_of_package(MAIN[framework]) is framework


MAIN = {
    Framework.LANGGRAPH: "langgraph",
    Framework.CREWAI: "crewai",
    Framework.AG2: "ag2",
    Framework.LLAMA_STACK: "llama_stack_client",
    Framework.BEEAI: "beeai_framework",
}
