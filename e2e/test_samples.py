"""The samples, as the README tells a user to try them."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from e2e.asking import Asking, eventually
from e2e.kubectl import Namespace, kubectl
from e2e.manifests import sum_of_two

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(300)]

SAMPLES = "config/samples"
ALL_READY = (
    *("stack/default", "tool/add", "agent/math", "agent/triage", "agent/clerk"),
    *("tool/models", "agent/guide"),
    *("tool/check-expense", "agent/expenses", "tool/look-up-dish", "agent/waiter"),
    *("tool/look-up-stock", "agent/letters", "tool/refund", "agent/refunds"),
    *("tool/look-up-planet", "agent/researcher", "agent/calculator", "agent/editor"),
)
FOLDERS = (
    *("quickstart", "own-graph", "llama-stack", "http-tool", "ag2", "beeai", "crewai"),
    *("approval", "crew"),
)


@pytest.fixture(scope="module")
def samples(module_namespace: Namespace) -> Iterator[tuple[Namespace, Asking]]:
    """All samples in one namespace: they share their Stack."""
    home = module_namespace
    for folder in FOLDERS:
        home.apply_folder(f"{SAMPLES}/{folder}")
    home.wait_ready(*ALL_READY, seconds=200)
    with home.reached("stack-default", 8321) as address:
        yield home, Asking(f"http://{address}")


@pytest.fixture
def asking(samples: tuple[Namespace, Asking]) -> Asking:
    return samples[1]


@pytest.fixture
def home(samples: tuple[Namespace, Asking]) -> Namespace:
    return samples[0]


async def _told(stream: AsyncIterator[Any]) -> tuple[str, Any]:
    """The text that a stream told piece by piece, and its response."""
    events = [event async for event in stream]
    assert events[-1].type == "response.completed"
    pieces = [event.delta for event in events if event.type == "response.output_text.delta"]
    return "".join(pieces), events[-1].response


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize("client", [Asking.openai, Asking.llama_stack])
@pytest.mark.parametrize("model", ["math", "clerk"])
async def test_a_sum_is_computed_by_the_tool(
    asking: Asking, model: str, client: Callable[[Asking], Any], *, stream: bool
) -> None:
    words, right, _ = sum_of_two()

    async with client(asking) as asked:
        answer = await asked.responses.create(model=model, input=words, stream=stream)
        if stream:
            text, answer = await _told(answer)
            assert text == answer.output_text

    assert right in answer.output_text
    call = next(item for item in answer.output if item.type == "mcp_call")
    assert (call.name, call.server_label) == ("add", "add")
    assert float(call.output) == int(right)


@pytest.mark.parametrize("words", ["The mail server is down", "Where is the canteen"])
async def test_a_graph_of_the_user_s_own_runs_unchanged(
    asking: Asking, home: Namespace, words: str
) -> None:
    answer = await asking.ask("triage", words)

    assert answer.status == "completed"
    assert words.lower() in answer.output_text.lower()
    assert home.get("agent/triage")["status"]["type"] == "Module"


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("model", "words", "said"),
    [
        ("expenses", "Check a hotel for 150 USD", "approved: the hotel is 138.00 EUR"),
        ("waiter", "Look up the trout", "the trout is 19.00 EUR, with fish, almonds"),
        ("letters", "Do you have a desk in stock?", "desk: 2 in stock, 240.00 EUR each"),
    ],
)
async def test_agents_of_other_frameworks_answer_with_their_tools(
    asking: Asking, model: str, words: str, said: str, *, stream: bool
) -> None:
    async with asking.openai() as client:
        answer: Any = await client.responses.create(model=model, input=words, stream=stream)
        if stream:
            _, answer = await _told(answer)

    assert said in answer.output_text
    assert [item.type for item in answer.output].count("mcp_call") == 1


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
@pytest.mark.parametrize(
    ("planet", "said"),
    [("Mars", "58 days for 55 million km"), ("Venus", "40 days for 38 million km")],
)
async def test_a_crew_of_three_frameworks_works_together(
    asking: Asking, planet: str, said: str, *, stream: bool
) -> None:
    """How near it comes the researcher alone can find out, and how long it takes the calculator."""
    words = f'Ask the researcher "Look up the planet {planet}" and tell the calculator the result.'

    async with asking.openai() as client:
        answer: Any = await client.responses.create(model="editor", input=words, stream=stream)
        if stream:
            _, answer = await _told(answer)

    assert answer.status == "completed"
    assert said in answer.output_text


async def test_an_operation_of_an_http_api_is_called_like_any_tool(
    asking: Asking, home: Namespace
) -> None:
    answer = await asking.ask("guide", "Which models are there?")

    assert "agents/guide" in answer.output_text
    (found,) = home.get("tool/models")["status"]["tools"]
    assert found["name"] == "openai_list_models_v1_models_get"


def test_the_overlay_points_the_stack_at_ollama(home: Namespace) -> None:
    """The cluster's own rules accept it; no model is asked."""
    command = ["apply", "--dry-run=server", "-o=json", "-k", f"{SAMPLES}/ollama"]
    applied = json.loads(home.kubectl(*command))["items"]
    (stack,) = [one for one in applied if one["kind"] == "Stack"]
    assert [model["baseUrl"] for model in stack["spec"]["models"]] == [
        "http://ollama.ollama.svc:11434/v1"
    ]


async def test_agents_are_listed_beside_the_models(asking: Asking) -> None:
    assert {"agents/math", "agents/triage", "agents/clerk", "small/stand-in"} <= (
        await asking.models()
    )


async def test_a_model_that_is_no_agent_is_answered_by_the_server_itself(asking: Asking) -> None:
    answer = await asking.ask("small/stand-in", "Repeat after me: heliotrope")

    assert "heliotrope" in answer.output_text


async def test_a_conversation_goes_on(asking: Asking) -> None:
    words, right, _ = sum_of_two()
    async with asking.openai() as client:
        first = await client.responses.create(model="math", input=words)
        second = await client.responses.create(
            model="math", input="What did I ask first?", previous_response_id=first.id
        )

    assert right in first.output_text
    assert second.status == "completed"
    assert second.previous_response_id == first.id


def test_describe_tells_a_person_how_it_is(home: Namespace) -> None:
    shown = " ".join(home.kubectl("describe", "agent", "math").split())

    for sentence in (
        "Message: the spec is valid",
        "Message: everything it refers to is there",
        "Message: identity, queue and workload are written",
        "Message: workers prove themselves as the ServiceAccount agent-math",
        "Message: 1 of 1 worker ready",
    ):
        assert sentence in shown
    assert ("Normal", "Ready", "1 of 1 worker ready") in home.events("agent/math")


def test_get_shows_everything_of_ours_in_columns(home: Namespace) -> None:
    shown = home.kubectl("get", "k8gentai")

    assert {line.split()[0] for line in shown.splitlines() if "/" in line.split(" ")[0]} == {
        *(f"{kind}.k8gentai.dev/{name}" for kind, name in (one.split("/") for one in ALL_READY))
    }
    header, line = home.kubectl("get", "agent", "math").splitlines()
    assert header.split() == ["NAME", "FRAMEWORK", "READY", "REASON", "REPLICAS", "BACKLOG", "AGE"]
    assert line.split()[:6] == ["math", "LangGraph", "True", "Ready", "1", "0"]
    stack = home.get("stack/default")["status"]
    assert stack["url"] == f"http://stack-default.{home.name}.svc:8321"
    assert stack["access"] == "Open"


def test_the_tool_tells_what_it_found_out(home: Namespace) -> None:
    (found,) = home.get("tool/add")["status"]["tools"]

    assert (found["name"], found["description"]) == ("add", "Add two numbers.")
    assert set(found["inputSchema"]["properties"]) == {"a", "b"}
    assert [one["name"] for one in home.get("agent/math")["status"]["tools"]] == ["add"]


@pytest.mark.parametrize(("agent", "retries"), [("math", True), ("clerk", False)])
def test_an_agent_tells_what_its_framework_can_do(
    home: Namespace, agent: str, *, retries: bool
) -> None:
    """What Llama Stack cannot do, an agent on it does not list."""
    shown = home.get(f"agent/{agent}")["status"]["capabilities"]

    assert {"Streaming", "Tools", "Cancel"} <= set(shown)
    assert ("ModelRetry" in shown) is retries


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        (
            "agent.spec.agents",
            "Agents it may call as if they were tools; no others",
        ),
        ("agent.status.capabilities", "what is missing it cannot do"),
    ],
)
def test_explain_tells_what_agents_may_do(field: str, sentence: str) -> None:
    shown = kubectl("explain", field, "--api-version=k8gentai.dev/v1alpha1")

    assert sentence in " ".join(shown.split())


def test_explain_teaches() -> None:
    shown = kubectl("explain", "agent.spec.execution", "--api-version=k8gentai.dev/v1alpha1")

    assert "How one task is run." in shown
    assert "ackWaitSeconds" in shown
    assert "Silence of a worker after which its work is given to another one." in " ".join(
        shown.split()
    )


async def test_new_instructions_roll_out_without_a_lost_request(
    asking: Asking, home: Namespace
) -> None:
    """Whoever asks while workers are replaced is answered, by the old or by the new ones."""
    greeting, answers = "Ahoy", list[str]()
    rolling = asyncio.Event()

    async def keep_asking() -> None:
        while not rolling.is_set():
            words, right, _ = sum_of_two()
            answer = await asking.ask("math", words)
            assert right in answer.output_text
            answers.append(answer.output_text)

    async with asyncio.TaskGroup() as asking_all_along:
        for _ in range(4):
            asking_all_along.create_task(keep_asking())
        await eventually(lambda: len(answers) >= 5, "five answers")
        says = f'You do sums. Always use your tools to calculate. Begin with "{greeting}".'
        source = {"declarative": {"instructions": says}}
        await asyncio.to_thread(home.patch, "agent/math", {"source": source})
        await asyncio.to_thread(home.wait_reason, "agent/math", "Ready", "Ready")
        rolling.set()

    assert not answers[0].startswith(greeting)
    async with asyncio.timeout(30):  # whoever was replaced still ends what he has begun
        while not (await asking.ask("math", "1 plus 1?")).output_text.startswith(greeting):
            pass
    words, right, _ = sum_of_two()
    last = (await asking.ask("math", words)).output_text
    assert last.startswith(greeting)
    assert right in last
