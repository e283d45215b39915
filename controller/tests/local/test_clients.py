"""The clients of config/samples/clients, run as their README says; and those of the past."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from controller.tests.local.platform import ROOT, Platform, running
from controller.tests.local.test_up import a_sum

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CLIENTS = ROOT / "config" / "samples" / "clients"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    with running(CLIENTS, tmp_path_factory.mktemp("platform")) as platform:
        yield platform


def run(up: Platform, client: str, *words: str) -> str:
    """What the client prints."""
    host, _, port = up.url.removeprefix("http://").partition(":")
    command = [sys.executable, str(CLIENTS / client), host, port, *words]
    ran = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def test_the_math_agent_in_langgraph_shows_its_tool_and_its_answer(up: Platform) -> None:
    question, answer = a_sum()
    call, said = run(up, "math_langgraph.py", question).splitlines()
    assert re.fullmatch(rf"add\(\{{.*\}}\) = {answer}", call)
    assert answer in said


def test_the_math_agent_in_crewai_knows_what_was_asked_before(up: Platform) -> None:
    question, answer = a_sum()
    first, second = run(up, "math_crewai.py", question, "What did I ask first?").splitlines()
    assert answer in first
    assert question in second


@pytest.mark.parametrize(
    ("question", "passage"),
    [
        ("Search the handbook for a stolen laptop", "[equipment] A laptop is replaced every four"),
        ("Search the handbook for leftover days in December", "[holidays] Everybody has 30 days"),
    ],
)
def test_an_answer_rests_on_the_passage_that_fits(
    up: Platform, question: str, passage: str
) -> None:
    found, *_, said = run(up, "rag.py", question).splitlines()
    assert found.startswith(passage)
    assert passage in said


@pytest.mark.parametrize("client", ["math_langgraph.py", "math_crewai.py", "rag.py"])
def test_each_has_a_question_of_its_own(up: Platform, client: str) -> None:
    assert run(up, client).strip()


@pytest.mark.parametrize("version", ["0.1.4", "0.2.23", "0.3.5", "0.7.5"])
def test_an_old_client_asks_as_ever(up: Platform, version: str) -> None:
    question, answer = a_sum()

    told = old_client(up, version, question)

    assert told["version"] == version
    assert answer in told["agent"]["answer"]
    assert answer in told["agent"]["printed"]
    assert answer in told["model"]["answer"]
    assert answer in told["model"]["printed"]
    assert "plus" in told["model"]["printed"]
    assert answer in told["own"]["answer"]
    assert "plus" in told["own"]["printed"]
    if version == "0.7.5":
        assert told["resources"] is None
        return
    resources = told["resources"]
    assert resources["events"][0] == "turn_start"
    assert resources["events"][-1] == "turn_complete"
    assert resources["events"].count("step_complete") == 3
    assert resources["answers"] == ["".join(resources["texts"])] * 3
    assert answer in resources["answers"][0]
    assert resources["call"][0] == "add"
    assert sum(resources["call"][1].values()) == int(answer) == int(resources["result"])
    assert resources["turns"] == [2, 1]
    assert resources["listed"] in (None, [True, "math", ["sums"]])
    assert (resources["listed"] is None) == (version == "0.1.4")
    assert resources["is_missing"]
    assert resources["is_gone"]
    tools = told["tools"]
    assert tools["groups"] == ["add", "builtin::rag", "search-handbook"]
    assert tools["group"] == tools["got"] == "add"
    assert tools["listed"] == [["add", "add"]]
    assert tools["identifiers"] == tools["offered"] == ["add"]
    assert "the Agents that name it in spec.tools" in tools["refused"]
    if version == "0.3.5":
        assert told["documents"] is None
        return
    documents = told["documents"]
    assert documents["documents"] == ["equipment", "holidays"]
    assert "Content: A stolen laptop is replaced." in documents["found"]
    assert documents["context"] == documents["found"]
    assert documents["steps"] == ["memory_retrieval", "inference"]
    assert documents["events"][:3] == ["turn_start", "step_start", "step_complete"]
    assert documents["is_listed"]
    assert documents["is_gone"]


def old_client(up: Platform, version: str, question: str) -> Any:
    """What llama-stack-client of this version tells, in an environment of its own."""
    made = subprocess.run(
        [str(ROOT / "hack" / "env.sh"), "client", version],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    program = Path(__file__).with_name("old_client.py")
    ran = subprocess.run(
        [made.stdout.strip(), "-I", str(program), up.url, question],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout)


def test_the_readme_runs_each_of_them() -> None:
    told = set(re.findall(r"^python (\w+\.py) ", (CLIENTS / "README.md").read_text(), re.MULTILINE))
    assert told == {path.name for path in Path(CLIENTS).glob("*.py")}
