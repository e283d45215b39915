"""The clients of config/samples/clients, run as their README says; those of the API page, and those
of the past."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controller.tests.local.new_clients import CHECKS
from controller.tests.local.old_clients import VERSIONS, check_old_client, environment
from controller.tests.local.platform import ROOT, Platform, running
from controller.tests.local.test_up import a_sum

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CLIENTS = ROOT / "config" / "samples" / "clients"
EXAMPLES = ROOT / "config" / "samples" / "api"
SHOWN = "http://127.0.0.1:8321"
OLD = "ask_llama_stack_0_2.py"


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


@pytest.mark.parametrize("example", sorted(path.name for path in EXAMPLES.iterdir()))
def test_an_example_of_the_api_page_is_answered(up: Platform, example: str) -> None:
    if example.endswith(".sh") and not shutil.which("curl"):
        pytest.skip("there is no curl")
    python = environment("0.2.23") if example == OLD else sys.executable
    ran = subprocess.run(
        ["bash"] if example.endswith(".sh") else [python, "-I", "-"],
        input=(EXAMPLES / example).read_text().replace(SHOWN, up.url),
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    assert ran.returncode == 0, ran.stderr
    assert "42" in ran.stdout


@pytest.mark.parametrize("calls", CHECKS)
async def test_a_client_of_today_has_all_its_calls(up: Platform, calls: str) -> None:
    await CHECKS[calls](up.url, *a_sum())


@pytest.mark.parametrize("version", VERSIONS)
def test_an_old_client_asks_as_ever(up: Platform, version: str) -> None:
    check_old_client(up.url, version, *a_sum())


def test_the_readme_runs_each_of_them() -> None:
    told = set(re.findall(r"^python (\w+\.py) ", (CLIENTS / "README.md").read_text(), re.MULTILINE))
    assert told == {path.name for path in Path(CLIENTS).glob("*.py")}
