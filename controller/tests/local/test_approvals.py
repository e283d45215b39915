"""People who decide on calls, on the whole platform: by the OpenAI package and by the command."""

import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types.responses import Response

from controller.tests.local.platform import ROOT, Platform, k8gentai, running
from controller.tests.local.test_up import COUNT, MODELS, ended, in_background, noted

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

FRAMEWORKS = ["LangGraph", "LlamaStack"]


def counter(name: str, framework: str, approval: str = "") -> str:
    return f"""
apiVersion: k8gentai.dev/v1alpha1
kind: Agent
metadata: {{name: {name}}}
spec:
  stackRef: {{name: default}}
  framework: {framework}
  source: {{declarative: {{instructions: Answer. Use your tools.}}}}
  modelRef: {{name: small}}
  tools: [{{toolRef: {{name: count}}, approval: {{required: true{approval}}}}}]
  execution: {{ackWaitSeconds: 2, timeoutSeconds: 60}}
"""


@pytest.fixture(scope="module")
def effects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the counting tool has done, a word a line."""
    return tmp_path_factory.mktemp("effects") / "log"


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory, effects: Path) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("manifests")
    (folder / "stack.yaml").write_text(MODELS)
    (folder / "count.yaml").write_text(COUNT.format(log=str(effects)))
    for framework in FRAMEWORKS:
        name = framework.lower()
        (folder / f"{name}.yaml").write_text(counter(name, framework))
    hasty = counter("hasty", "LangGraph", ", timeoutSeconds: 1")
    for file in ("desk", "tool", "agent"):
        shutil.copy(ROOT / "config" / "samples" / "approval" / f"{file}.yaml", folder)
    (folder / "hasty.yaml").write_text(hasty)
    with running(folder, tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture
def client(up: Platform) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0) as made:
        yield made


@pytest.fixture
def word() -> str:
    return f"word{random.randint(100000, 999999)}"


def requests(response: Response) -> list[Any]:
    return [item for item in response.output if item.type == "mcp_approval_request"]


def asked(client: openai.OpenAI, model: str, word: str) -> tuple[Response, Any]:
    """A run that waits for somebody, and what it asks for."""
    response = client.responses.create(model=model, input=f'count "{word}"')
    assert response.status == "completed"
    (request,) = requests(response)
    assert word in request.arguments
    return response, request


def decide(
    client: openai.OpenAI, model: str, response: Response, *named: Any, approve: bool = True
) -> Response:
    (request,) = named or requests(response)
    answer = {"type": "mcp_approval_response", "approval_request_id": request.id}
    return client.responses.create(
        model=model,
        previous_response_id=response.id,
        input=[answer | {"approve": approve}],  # type: ignore[list-item]  # as a dict
    )


def command(up: Platform, *words: str) -> subprocess.CompletedProcess[str]:
    return k8gentai(*words, "--url", up.url)


@pytest.mark.fault(1)
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_no_worker_holds_a_run_that_waits_and_its_tool_runs_once(
    up: Platform, client: openai.OpenAI, effects: Path, framework: str, word: str
) -> None:
    model = framework.lower()
    response, _ = asked(client, model, word)
    assert noted(effects, word) == 0
    worker = f"worker agent/default/{model}"
    killed = up.kill(worker)
    up.until(lambda: up.pids(worker) not in ([], [killed]))
    assert requests(client.responses.retrieve(response.id)) == requests(response)

    answer = decide(client, model, response)

    assert (answer.id, answer.status) == (response.id, "completed")
    assert word in answer.output_text
    assert [item.type for item in answer.output][-2:] == ["mcp_call", "message"]
    assert noted(effects, word) == 1
    with pytest.raises(openai.ConflictError, match=r"anonymous has decided .* it is Approved"):
        decide(client, model, response)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_what_is_denied_or_not_approved_in_time_is_not_done(
    up: Platform, client: openai.OpenAI, effects: Path, framework: str, word: str
) -> None:
    denied, _ = asked(client, framework.lower(), word)
    answer = decide(client, framework.lower(), denied, approve=False)
    assert "did not agree to this call of count" in answer.output_text

    late = ended(client, in_background(client, "hasty", f'count "{word}"'))
    up.until(lambda: not requests(ended(client, late.id)))
    late = ended(client, late.id)
    assert "nobody agreed in time to this call of count" in late.output_text
    assert noted(effects, word) == 0


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_of_two_calls_at_once_each_is_decided_on_its_own(
    client: openai.OpenAI, effects: Path, framework: str, word: str
) -> None:
    model, other = framework.lower(), f"{word}b"
    response = client.responses.create(model=model, input=f'count "{word}" and "{other}"')
    first, second = sorted(requests(response), key=lambda request: other in request.arguments)
    half = decide(client, model, response, second, approve=False)
    assert (half.status, requests(half)) == ("completed", [first])
    assert (noted(effects, word), noted(effects, other)) == (0, 0)

    answer = decide(client, model, half, first)

    assert requests(answer) == []
    assert sorted(item.status or "" for item in answer.output if item.type == "mcp_call") == [
        "completed",
        "failed",
    ]
    assert (noted(effects, word), noted(effects, other)) == (1, 0)


def test_who_waits_for_a_person_can_be_cancelled(
    client: openai.OpenAI, effects: Path, word: str
) -> None:
    response, _ = asked(client, "langgraph", word)
    assert client.responses.cancel(response.id).status == "cancelled"
    with pytest.raises(openai.ConflictError, match="has ended before anybody decided"):
        decide(client, "langgraph", response)
    assert noted(effects, word) == 0


def test_a_person_decides_by_the_command(
    up: Platform, client: openai.OpenAI, effects: Path, word: str
) -> None:
    first, request = asked(client, "langgraph", word)
    approved = command(up, "approve", request.id)
    assert (approved.returncode, approved.stderr) == (0, "")
    assert re.search(rf"\[tool count\(.*{word}.*\) → noted {word}\]", approved.stdout)
    assert client.responses.retrieve(first.id).output_text in approved.stdout
    assert noted(effects, word) == 1

    second, _ = asked(client, "langgraph", word)
    denied = command(up, "deny", second.id, "--reason", "once is enough")
    assert denied.returncode == 0
    assert "anonymous did not agree to this call of count: once is enough" in denied.stdout
    assert noted(effects, word) == 1

    again = command(up, "approve", second.id)
    assert again.returncode == 1
    assert again.stderr == f"error: {second.id} asks for no approval: it is completed\n"
    once_more = command(up, "approve", request.id)
    assert "409: anonymous has decided on this call of count already" in once_more.stderr


def test_the_sample_asks_before_money_leaves_the_house(up: Platform, client: openai.OpenAI) -> None:
    asked = client.responses.create(model="refunds", input='Refund order "A17"')
    (request,) = requests(asked)
    assert (request.server_label, request.arguments) == ("refund", '{"order":"A17"}')
    assert "39.00 EUR were refunded for A17" in command(up, "approve", asked.id).stdout


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["deny", f"resp_{'f' * 32}"], f"404: There is no response resp_{'f' * 32}"),
        (["approve", f"mcpr_{'f' * 32}_0"], f"404: There is no response resp_{'f' * 32}"),
    ],
)
def test_a_command_that_decides_nothing_says_why(up: Platform, words: list[str], told: str) -> None:
    failed = command(up, *words)
    assert failed.returncode == 1
    assert failed.stderr.startswith(f"error: {told}")
