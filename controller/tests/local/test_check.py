"""`k8gentai check` as a user starts it: the framework's environment, the models, the kit."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.api.agent import Framework
from controller.local.check import CheckOptions, kit_arguments
from controller.tests.local.platform import ROOT
from runtime.kit.check import SCENARIOS

AGENT = """
from langgraph.graph import START, MessagesState, StateGraph

async def echo(state: MessagesState):
    return {"messages": [("ai", state["messages"][-1].text)]}

graph = StateGraph(MessagesState)
graph.add_node("echo", echo)
graph.add_edge(START, "echo")
"""


def checked(
    folder: Path, *options: object, stderr: int = subprocess.PIPE
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "controller.cli", "check", *map(str, options)]
    return subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=stderr,
        text=True,
        check=False,
    )


def test_the_kit_is_told_what_was_given_and_nothing_else() -> None:
    options = CheckOptions(framework=Framework.AG2, entrypoint="own:agent", path=Path("/here"))
    assert kit_arguments(options, "http://127.0.0.1:5/v1", "stand-in") == [
        "own:agent",
        "--framework=AG2",
        "--path=/here",
        "--stand-in=http://127.0.0.1:5/v1",
        "--stand-in-model=stand-in",
    ]


@pytest.mark.integration
@pytest.mark.timeout(400)  # it may have to make two environments first
def test_an_agent_on_llama_stack_finds_a_server_before_the_model(tmp_path: Path) -> None:
    done = checked(tmp_path, "--framework", "LlamaStack")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("an agent from instructions on LlamaStack ")
    assert f"{len(SCENARIOS) - 1} proved, 1 cannot" in done.stdout
    assert "checking an agent from instructions in worker-llama-stack" in done.stderr
    assert done.stderr.index("proved          answer") < done.stderr.index("timeout")


@pytest.mark.integration
@pytest.mark.timeout(400)
def test_an_agent_of_this_folder_is_found_and_what_is_shown_is_shown_once(tmp_path: Path) -> None:
    (tmp_path / "own_agent.py").write_text(AGENT)
    done = checked(
        tmp_path, "own_agent:graph", "--framework", "LangGraph", stderr=subprocess.STDOUT
    )
    assert done.returncode == 0, done.stdout
    assert "\nown_agent:graph on LangGraph " in done.stdout
    assert done.stdout.count("proved          answer\n") == 1


@pytest.mark.integration
@pytest.mark.timeout(400)
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            ["own_agent:nobody"],
            'the entrypoint "own_agent:nobody": own_agent has no nobody; it has graph\n',
        ),
        (["--model-base-url", "http://127.0.0.1:1/v1"], "--model is missing"),
        (
            ["--framework", "Elsewhere"],
            "argument --framework: invalid choice: 'Elsewhere' (choose from 'LangGraph', ",
        ),
    ],
)
def test_bad_input_is_named(tmp_path: Path, options: list[str], said: str) -> None:
    (tmp_path / "own_agent.py").write_text(AGENT)
    done = checked(tmp_path, "--framework", "LangGraph", *options)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr
