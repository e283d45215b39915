"""The agents of config/samples/crew on one machine: each for itself, and who needs whom."""

import shutil
from collections.abc import Iterator

import openai
import pytest

from controller.tests.local.platform import ROOT, Platform, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

CREW = ROOT / "config" / "samples" / "crew"
JOURNEY = 'Ask the researcher "Look up the planet Mars" and tell the calculator the result.'


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("manifests")
    for file in CREW.glob("[!k]*.yaml"):
        shutil.copy(file, folder)
    with running(folder, tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.mark.parametrize(
    ("agent", "words", "said"),
    [
        ("researcher", "Look up the planet Mars", "Mars comes as near as 55 million km"),
        ("calculator", "Mars comes as near as 55 million km", "58 days for 55 million km"),
    ],
)
def test_whoever_is_asked_can_be_asked_by_people_too(
    up: Platform, agent: str, words: str, said: str
) -> None:
    with openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0) as client:
        assert said in client.responses.create(model=agent, input=words).output_text


def test_the_editor_asks_the_two_others_and_shows_that_it_has(up: Platform) -> None:
    with openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0) as client:
        answer = client.responses.create(model="editor", input=JOURNEY)

    assert "58 days for 55 million km" in answer.output_text
    calls = [item for item in answer.output if item.type == "mcp_call"]
    assert [(call.name, call.server_label) for call in calls] == [
        ("researcher", "researcher"),
        ("calculator", "calculator"),
    ]


def test_an_agent_is_told_at_once_when_one_that_it_may_ask_goes_and_comes_back(
    up: Platform,
) -> None:
    before = up.said
    up.remove("calculator")
    up.until_said(r"Agent editor  RefNotFound: spec\.agents\[1\]\.agentRef: ", seconds=30)
    assert up.pids("worker agent/default/editor"), "what runs stays as it is"

    up.write(calculator=(CREW / "calculator.yaml").read_text())
    up.until(lambda: "✓ Agent editor  Ready" in up.said.removeprefix(before), seconds=30)
