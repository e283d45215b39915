"""The whole platform on one machine, as a user runs it: REST, queue, agents, tools, model."""

import asyncio
import contextlib
import random
import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai
import pydantic
import pytest
from llama_stack_client import LlamaStackClient

from controller.local.site import free_port
from controller.tests.local.platform import ROOT, Platform, k8gentai, running

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ACK_WAIT_SECONDS = 2

MODELS = """
apiVersion: k8gentai.dev/v1alpha1
kind: Stack
metadata: {name: default}
spec:
  models:
  - {name: small, provider: "remote::vllm", model: stand-in, baseUrl: "http://model.k8gentai-system.svc:8000/v1"}
  - {name: slow, provider: "remote::openai", model: slow-1500, baseUrl: "http://model.k8gentai-system.svc:8000/v1"}
  - {name: garbage, provider: "remote::openai", model: garbage, baseUrl: "http://model.k8gentai-system.svc:8000/v1"}
  - {name: down, provider: "remote::openai", model: any, baseUrl: "http://127.0.0.1:9/v1"}
  messaging:
    managed: {replicas: 1, storage: 1Gi}
"""

COUNT = """
apiVersion: v1
kind: ConfigMap
metadata: {{name: counting}}
data:
  counting.py: |
    def count(word: str) -> str:
        '''Note a word.'''
        with open({log!r}, "a") as log:
            log.write(word + "\\n")
        return "noted " + word
---
apiVersion: k8gentai.dev/v1alpha1
kind: Tool
metadata: {{name: count}}
spec:
  stackRef: {{name: default}}
  python: {{entrypoint: "counting:count", configMapRef: {{name: counting}}}}
"""


def declarative(name: str, *, model: str = "small", tools: str = "[]", more: str = "{}") -> str:
    return f"""
apiVersion: k8gentai.dev/v1alpha1
kind: Agent
metadata: {{name: {name}}}
spec:
  stackRef: {{name: default}}
  framework: LangGraph
  source: {{declarative: {{instructions: Answer. Use your tools.}}}}
  modelRef: {{name: {model}}}
  tools: {tools}
  execution: {{ackWaitSeconds: {ACK_WAIT_SECONDS}, timeoutSeconds: 60}}
  {more.removeprefix("{").removesuffix("}")}
"""


def module(name: str, code: str, entrypoint: str | None = None) -> str:
    found = entrypoint or f"{name}_code:graph"
    return f"""
apiVersion: v1
kind: ConfigMap
metadata: {{name: {name}-code}}
data:
  {name}_code.py: |
{textwrap.indent(textwrap.dedent(code), "    ")}
---
apiVersion: k8gentai.dev/v1alpha1
kind: Agent
metadata: {{name: {name}}}
spec:
  stackRef: {{name: default}}
  framework: LangGraph
  source:
    module: {{entrypoint: "{found}", configMapRef: {{name: {name}-code}}}}
  modelRef: {{name: small}}
  execution: {{ackWaitSeconds: {ACK_WAIT_SECONDS}}}
"""


BLOCKER = f"""
import time
from langchain_core.messages import AIMessage
from langgraph.graph import END, START, MessagesState, StateGraph

async def block(state):
    log, *briefly = state["messages"][-1].content.split()
    with open(log, "a") as ran:
        ran.write("ran\\n")
    time.sleep(0.1 if briefly else {3 * ACK_WAIT_SECONDS})  # in the event loop itself
    return {{"messages": [AIMessage("awake")]}}

graph = StateGraph(MessagesState)
graph.add_node("block", block)
graph.add_edge(START, "block")
graph.add_edge("block", END)
"""


POISON = BLOCKER.replace("    time.sleep(", "    __import__('os')._exit(9); (")


ELSEWHERE = """
apiVersion: k8gentai.dev/v1alpha1
kind: Tool
metadata: {{name: elsewhere}}
spec:
  stackRef: {{name: default}}
  mcp: {{url: "{url}"}}
"""

MCP_SERVER = (ROOT / "config" / "samples" / "mcp-tool" / "words_server.py").read_text()
UPGRADED = MCP_SERVER.replace("word: str)", "word: str, times: int)")


def mcp_tool(port: int, script: Path, digest: str = "") -> str:
    command = [sys.executable, str(script), str(port)]
    accepted = f"schemaDigest: {digest}" if digest else ""
    return f"""
apiVersion: k8gentai.dev/v1alpha1
kind: Tool
metadata: {{name: words}}
spec:
  stackRef: {{name: default}}
  mcp: {{workload: {{image: not-run-here, command: {command}, port: {port}}}}}
  {accepted}
"""


@pytest.fixture(scope="module")
def effects(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the counting tool has done, a word a line."""
    return tmp_path_factory.mktemp("effects") / "log"


@pytest.fixture(scope="module")
def words_script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The MCP server of the Tool `words`."""
    script = tmp_path_factory.mktemp("mcp") / "server.py"
    script.write_text(MCP_SERVER)
    return script


@pytest.fixture(scope="module")
def words_port() -> int:
    """Where it listens."""
    return free_port()


@pytest.fixture(scope="module")
def up(
    tmp_path_factory: pytest.TempPathFactory, effects: Path, words_script: Path, words_port: int
) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("manifests")
    for file in (ROOT / "config" / "samples" / "quickstart").glob("[!k]*.yaml"):
        shutil.copy(file, folder)
    for name in ("tool", "agent"):
        sample = ROOT / "config" / "samples" / "http-tool" / f"{name}.yaml"
        shutil.copy(sample, folder / f"http-{name}.yaml")
    (folder / "stack.yaml").write_text(MODELS)
    (folder / "count.yaml").write_text(COUNT.format(log=str(effects)))
    tools = "[{toolRef: {name: count}}]"
    (folder / "slow.yaml").write_text(declarative("slow", model="slow", tools=tools))
    (folder / "counter.yaml").write_text(declarative("counter", tools=tools))
    (folder / "blocker.yaml").write_text(module("blocker", BLOCKER))
    (folder / "lost.yaml").write_text(declarative("lost", model="down"))
    (folder / "odd.yaml").write_text(declarative("odd", model="garbage"))
    (folder / "words.yaml").write_text(mcp_tool(words_port, words_script))
    shutil.copy(ROOT / "config" / "samples" / "mcp-tool" / "agent.yaml", folder / "reader.yaml")
    with running(folder, tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture
def client(up: Platform) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def state_of(client: openai.OpenAI, agent: str) -> str | None:
    """What the list of models tells of an Agent, None if it is not listed."""
    listed = {one.id: one.model_dump() for one in client.models.list()}
    found = listed.get(f"agents/{agent}")
    return None if found is None else str(found["custom_metadata"]["state"])


def a_sum() -> tuple[str, str]:
    first, second = random.randint(1000, 9999), random.randint(1000, 9999)
    return f"What is {first} + {second}?", str(first + second)


def test_a_state_folder_in_use_is_refused(up: Platform) -> None:
    words = ("up", "-f", str(up.folder), "--port", "0", "--state", str(up.state))
    second = k8gentai(*words, seconds=30)
    assert second.returncode == 1
    assert "is in use by another `up`" in second.stderr
    assert "--state" in second.stderr
    assert up.process.poll() is None


def test_the_tool_computes_what_the_agent_answers(client: openai.OpenAI) -> None:
    question, answer = a_sum()
    response = client.responses.create(model="math", input=question)
    assert response.status == "completed"
    assert answer in response.output_text
    assert [item.type for item in response.output] == ["mcp_call", "message"]


def test_a_stream_tells_each_step_once_and_in_order(client: openai.OpenAI) -> None:
    question, answer = a_sum()
    events = list(client.responses.create(model="agents/math", input=question, stream=True))
    assert [event.sequence_number for event in events] == list(range(len(events)))
    assert (events[0].type, events[-1].type) == ("response.created", "response.completed")
    text = "".join(e.delta for e in events if e.type == "response.output_text.delta")
    assert answer in text


class Sum(pydantic.BaseModel):
    """What a client wants to have parsed."""

    total: int


def test_an_answer_comes_in_the_form_that_the_client_wants(client: openai.OpenAI) -> None:
    question, answer = a_sum()
    response = client.responses.parse(model="math", input=question, text_format=Sum)
    assert response.output_parsed == Sum(total=int(answer))
    assert [item.type for item in response.output] == ["mcp_call", "message"]
    said: Any = [{"role": "user", "content": question}]
    with client.chat.completions.stream(
        model="agents/math", messages=said, response_format=Sum
    ) as stream:
        chat = stream.get_final_completion()
    assert chat.choices[0].message.parsed == Sum(total=int(answer))


def test_the_llama_stack_client_works_unchanged(up: Platform) -> None:
    client = LlamaStackClient(base_url=up.url)
    assert "agents/math" in [model.id for model in client.models.list()]
    question, answer = a_sum()
    assert answer in client.responses.create(model="math", input=question).output_text
    events = list(client.responses.create(model="math", input=question, stream=True))
    assert events[-1].type == "response.completed"


def test_an_mcp_server_beside_the_workers_is_called_like_any_tool(client: openai.OpenAI) -> None:
    word = f"stressed{random.randint(1000, 9999)}"
    response = client.responses.create(model="reader", input=f'Reverse the word "{word}"')
    assert word[::-1] in response.output_text
    assert response.output[0].type == "mcp_call"


def test_an_mcp_server_that_was_upgraded_is_told_until_that_is_accepted(
    up: Platform, words_script: Path, words_port: int
) -> None:
    words_script.write_text(UPGRADED)
    up.kill(str(words_script))

    drift = up.until_said(r"! Tool words  BreakingChange: .+")

    assert "reverse: argument times is new and required" in drift
    digest = drift.rpartition(" ")[2]
    up.write(words=mcp_tool(words_port, words_script, digest))
    up.until_said("✓ Tool words  the functions are as they were accepted")


def test_an_operation_of_an_http_api_is_called_like_any_tool(client: openai.OpenAI) -> None:
    response = client.responses.create(model="guide", input="Which models are there?")
    assert "agents/guide" in response.output_text
    call = response.output[0]
    assert call.type == "mcp_call"
    assert (call.server_label, call.name) == ("models", "openai_list_models_v1_models_get")


def test_a_model_that_is_no_agent_is_answered_by_the_server(client: openai.OpenAI) -> None:
    word = f"word{random.randint(1000, 9999)}"
    assert word in client.responses.create(model="small/stand-in", input=word).output_text


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="nobody"):
        client.responses.create(model="nobody", input="hi")


@pytest.mark.fault(10)
def test_input_over_the_limit_is_refused_before_it_is_queued(client: openai.OpenAI) -> None:
    fits = client.responses.create(model="math", input="x" * 1000 + " say nothing")
    assert fits.status == "completed"
    with pytest.raises(openai.APIStatusError) as refused:
        client.responses.create(model="math", input="x" * 524289)
    assert refused.value.status_code == 413


def test_a_turn_of_a_model_that_is_down_says_so(up: Platform) -> None:
    """Over the agents API of older clients, whole and streamed; nothing of it is in the session."""
    config = {"model": "down/any", "instructions": "Answer."}
    asked: dict[str, Any] = {"messages": [{"role": "user", "content": "?"}]}
    with httpx.Client(base_url=f"{up.url}/v1", timeout=60) as client:
        agent = client.post("/agents", json={"agent_config": config}).json()["agent_id"]
        session = client.post(f"/agents/{agent}/session", json={"session_name": "s"}).json()
        place = f"/agents/{agent}/session/{session['session_id']}"
        whole = client.post(f"{place}/turn", json=asked)
        streamed = client.post(f"{place}/turn", json=asked | {"stream": True})
        kept = client.get(place).json()

    assert whole.status_code == 424
    assert whole.json()["error"]["message"]
    assert streamed.text.rpartition("data: ")[2].startswith('{"error":{"message":')
    assert kept["turns"] == []


@pytest.mark.parametrize("agent", ["lost", "odd"])
def test_a_model_that_is_down_or_talks_garbage_is_a_clear_failure(
    client: openai.OpenAI, agent: str
) -> None:
    response = client.responses.create(model=agent, input="hi")
    assert response.status == "failed"
    assert response.error is not None
    assert "model" in response.error.message


def in_background(client: openai.OpenAI, model: str, text: str) -> str:
    return client.responses.create(model=model, input=text, background=True).id


def ended(
    client: openai.OpenAI, response: str, seconds: float = 60
) -> openai.types.responses.Response:
    end = time.monotonic() + seconds
    while (found := client.responses.retrieve(response)).status in {"queued", "in_progress"}:
        assert time.monotonic() < end, found
        time.sleep(0.1)
    return found


def noted(effects: Path, word: str) -> int:
    return effects.read_text().split().count(word) if effects.exists() else 0


@pytest.mark.fault(1)
def test_a_worker_killed_in_the_middle_of_a_run_costs_nothing(
    up: Platform, client: openai.OpenAI, effects: Path
) -> None:
    word = f"killed{random.randint(1000, 9999)}"
    response = in_background(client, "slow", f'count "{word}"')
    # After the effect, while the model is thinking about the answer.
    up.until(lambda: noted(effects, word), 30)
    up.kill("worker agent/default/slow")
    assert word in ended(client, response).output_text
    assert noted(effects, word) == 1, "the effect was not repeated"


@pytest.mark.fault(2)
def test_an_agent_that_blocks_its_loop_keeps_its_delivery(
    client: openai.OpenAI, tmp_path: Path
) -> None:
    """Nor are tasks run twice that came meanwhile and lay unread all that time."""
    log, others = tmp_path / "runs", [tmp_path / f"other{n}" for n in range(3)]
    blocking = in_background(client, "blocker", str(log))
    end = time.monotonic() + 10
    while not log.exists():
        assert time.monotonic() < end
        time.sleep(0.05)
    came = [in_background(client, "blocker", f"{other} briefly") for other in others]
    assert [ended(client, one).output_text for one in (blocking, *came)] == ["awake"] * 4
    time.sleep(ACK_WAIT_SECONDS)  # for a second delivery that would come, wrongly
    assert [each.read_text() for each in (log, *others)] == ["ran\n"] * 4


def test_work_is_kept_while_there_are_no_workers(
    up: Platform, client: openai.OpenAI, effects: Path
) -> None:
    up.write(
        counter=declarative("counter", tools="[{toolRef: {name: count}}]", more="{replicas: 0}")
    )
    up.until_said("Agent counter  ScaledToZero")
    batch = f"batch{random.randint(1000, 9999)}x"
    with ThreadPoolExecutor(16) as pool:
        words = [f"{batch}{n}" for n in range(200)]
        ids = list(pool.map(lambda w: in_background(client, "counter", f'count "{w}"'), words))
        assert len(set(ids)) == 200
        up.write(counter=declarative("counter", tools="[{toolRef: {name: count}}]"))
        responses = list(pool.map(lambda one: ended(client, one, 120), ids))
    assert [response.status for response in responses] == ["completed"] * 200
    assert all(word in one.output_text for word, one in zip(words, responses, strict=True))
    assert [noted(effects, word) for word in words] == [1] * 200


@pytest.mark.fault(4)
async def test_an_edit_rolls_out_without_a_lost_request(up: Platform) -> None:
    stop = asyncio.Event()

    async def ask_on(client: openai.AsyncOpenAI) -> int:
        asked = 0
        while not stop.is_set():
            question, answer = a_sum()
            response = await client.responses.create(model="math", input=question)
            assert answer in response.output_text
            asked += 1
        return asked

    manifest = (up.folder / "agent.yaml").read_text()
    greeting = f"Hello{random.randint(1000, 9999)}"
    async with openai.AsyncOpenAI(base_url=f"{up.url}/v1", api_key="x", max_retries=0) as client:
        asking = [asyncio.create_task(ask_on(client)) for _ in range(4)]
        up.write(agent=manifest.replace("You do sums.", f'Begin with "{greeting}".'))
        async with asyncio.timeout(60):
            text = ""
            while greeting not in text:
                text = (await client.responses.create(model="math", input="Hi")).output_text
        stop.set()
        assert min(await asyncio.gather(*asking)) > 0


@pytest.mark.fault(5)
def test_a_task_that_takes_its_worker_down_can_be_read_as_a_dead_letter(
    up: Platform, client: openai.OpenAI
) -> None:
    up.write(poison=module("poison", POISON) + "  retryPolicy: {maxAttempts: 1}\n")
    up.until_said("✓ Agent poison  Ready")
    said = f"/dev/null {random.randint(1000, 9999)}"
    assert client.responses.create(model="poison", input=said).status == "failed"
    state = up.until_said(r"make dead STATE=\S+").partition("=")[2]

    def dead(*words: str) -> list[str]:
        return k8gentai("dead", *words, "--state", state).stdout.splitlines()

    up.until(lambda: any("default/poison" in line for line in dead("list")))
    (row,) = [line for line in dead("list") if "default/poison" in line]
    why = "gave up after 1 attempt (spec.retryPolicy.maxAttempts): 1 worker was lost over it; "
    assert f"  2          {why}" in row
    assert f"input      user: {said}" in dead("show", row.split()[0])
    up.remove("poison")


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        pytest.param(
            "nomodule",
            module("nomodule", "x = 1", "nothere:graph"),
            ["spec.source.module.entrypoint", "nothere"],
            id="no such module",
        ),
        pytest.param(
            "raises",
            module("raises", "raise RuntimeError('broken by hand')"),
            ["spec.source.module.entrypoint", "broken by hand"],
            id="it raises",
        ),
        pytest.param(
            "noname",
            module("noname", "def grap(): ..."),
            ["spec.source.module.entrypoint", "did you mean grap?"],
            id="no such name",
        ),
        pytest.param(
            "foreign",
            module("foreign", "import crewai\ngraph = crewai.Crew()"),
            ["which is of CrewAI, but spec.framework is LangGraph; set spec.framework to CrewAI"],
            id="of another framework",
        ),
        pytest.param(
            "notool",
            declarative("notool", tools="[{toolRef: {name: nothere}}]"),
            ["RefNotFound", "spec.tools[0].toolRef", "nothere"],
            id="no such Tool",
        ),
        pytest.param(
            "nostack",
            declarative("nostack").replace("{name: default}", "{name: nothere}"),
            ["RefNotFound", "spec.stackRef", "nothere"],
            id="no such Stack",
        ),
        pytest.param(
            "nolisted",
            declarative("nolisted", model="nothere"),
            ["spec.modelRef", "nothere"],
            id="no such model",
        ),
        pytest.param(
            "notyet",
            declarative("notyet", more="{triggers: [{schedule: '@daily', input: go}]}"),
            ["UnsupportedValue", "spec.triggers"],
            id="a field of a later version",
        ),
    ],
)
@pytest.mark.fault(18)
def test_a_bad_agent_names_the_field_and_touches_nobody(
    up: Platform, client: openai.OpenAI, name: str, text: str, words: list[str]
) -> None:
    up.write(**{name: text})
    line = up.until_said(rf"✗ Agent {name}  .*")
    assert all(word in line for word in words), line
    if name != "nostack":  # nobody's server knows that one
        up.until(lambda: state_of(client, name) == "Unavailable")
        with pytest.raises(openai.InternalServerError) as refused:
            client.responses.create(model=name, input="Hi")
        assert refused.value.status_code == 503
        crashed = f"worker stopped (CrashLoop); the status of Agent default/{name} says why"
        assert (crashed if "CrashLoop" in line else words[-1]) in str(refused.value)
    question, answer = a_sum()
    assert answer in client.responses.create(model="math", input=question).output_text
    up.remove(name)


@pytest.mark.fault(18)
def test_an_mcp_server_at_a_wrong_path_is_told_wherever_one_may_look(
    up: Platform, client: openai.OpenAI
) -> None:
    up.write(elsewhere=ELSEWHERE.format(url=f"{up.url}/nowhere"))
    up.write(strays=declarative("strays", tools="[{toolRef: {name: elsewhere}}]"))
    up.until(lambda: state_of(client, "strays") == "Unavailable")
    with pytest.raises(openai.InternalServerError) as refused:
        client.responses.create(model="strays", input="Hi")
    assert "Tool default/elsewhere is not ready (DependencyNotReady)" in str(refused.value)
    sentence = f"the MCP server at {up.url}/nowhere cannot be used: it answers 404 Not Found; "
    tools = httpx.get(f"{up.url}/v1alpha/k8gentai/tools").json()["data"]
    (told,) = [tool["message"] for tool in tools if tool["name"] == "elsewhere"]
    assert told.startswith(sentence)
    up.until_said("Tool elsewhere  DependencyNotReady: the MCP server at")
    up.remove("strays")
    up.remove("elsewhere")


@pytest.mark.fault(18)
def test_a_file_that_cannot_be_used_is_told_and_changes_nothing(
    up: Platform, client: openai.OpenAI
) -> None:
    up.write(bad=declarative("bad").replace("framework:", "frameworks: 1\n  framework:"))
    line = up.until_said("error|bad.yaml: Agent bad: .*")
    assert "spec.frameworks" in line
    question, answer = a_sum()
    assert answer in client.responses.create(model="math", input=question).output_text
    up.remove("bad")


@pytest.mark.fault(12)
def test_a_killed_queue_comes_back_with_what_it_kept(up: Platform, client: openai.OpenAI) -> None:
    up.kill("nats-server")
    question, answer = a_sum()
    end = time.monotonic() + 60
    text, longest = "", 0.0
    while answer not in text:
        began = time.monotonic()
        with contextlib.suppress(openai.InternalServerError):
            text = client.responses.create(model="math", input=question).output_text
        longest = max(longest, time.monotonic() - began)
        assert time.monotonic() < end
    assert longest < 30, "who asks meanwhile is answered, or refused in bounded time"


@pytest.mark.fault(19)
def test_a_removed_agent_is_not_found_and_leaves_no_process(
    up: Platform, client: openai.OpenAI
) -> None:
    up.write(passing=declarative("passing"))
    up.until_said("✓ Agent passing  Ready")
    assert client.responses.create(model="passing", input="hi").status == "completed"
    up.remove("passing")
    up.until(lambda: not up.pids("worker agent/default/passing"))

    def refused() -> bool:
        response = httpx.post(f"{up.url}/v1/responses", json={"model": "passing", "input": "hi"})
        return response.status_code in {404, 409}

    up.until(refused, 15)


def test_a_tool_that_goes_together_with_its_code_does_not_miss_it(up: Platform) -> None:
    other = COUNT.replace("name: count", "name: other").format(log="/dev/null")
    up.write(other=other.replace("counting", "othercode"))
    up.until_said("✓ Tool other  Ready")
    up.remove("other")
    up.until_said("- Tool other  gone")
    assert "there is no ConfigMap othercode" not in up.said


def test_an_agent_that_was_edited_and_removed_may_come_back(
    up: Platform, client: openai.OpenAI
) -> None:
    text = declarative("leaving")
    up.write(leaving=text)
    up.until_said("✓ Agent leaving  Ready")
    for number in range(2):
        up.write(leaving=text.replace("Answer.", f"Answer {number}."))
        up.until_said(f"{number + 1} of 1|Agent leaving")
        up.until(lambda: client.responses.create(model="leaving", input="hi").status == "completed")
    up.remove("leaving")
    up.until_said("- Agent leaving  gone")
    up.write(leaving=text)

    def answers() -> bool:
        body = {"model": "leaving", "input": "hi"}
        response = httpx.post(f"{up.url}/v1/responses", json=body, timeout=30)
        return response.status_code == 200

    up.until(answers)
