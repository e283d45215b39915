"""What is wrong is told by the name of its field and with the way out; others do not notice."""

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Any

import pytest

from e2e.conftest import Shared, Start
from e2e.kubectl import Body, KubectlFailed, Namespace
from e2e.manifests import agent, config_map, module_agent, sum_of_two, tool

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]

LIMIT = 1000


@pytest.fixture(scope="module")
def healthy(shared: Shared) -> str:
    """An agent that none of this may disturb."""
    shared.namespace.apply(agent("healthy", {"name": "shared"}, {"name": "add"}))
    shared.namespace.wait_ready("agent/healthy")
    return "healthy"


@pytest.fixture(autouse=True)
async def undisturbed(shared: Shared, healthy: str) -> AsyncIterator[None]:
    """Whatever a test does, the agent beside it keeps answering."""
    yield
    words, right, _ = sum_of_two()
    assert right in (await shared.asking.ask(healthy, words)).output_text


def changed(body: Body, **spec: Any) -> Body:
    return body | {"spec": body["spec"] | spec}


@pytest.mark.fault(18)
def test_an_unknown_framework_is_refused(namespace: Namespace, shared: Shared) -> None:
    with pytest.raises(KubectlFailed, match=r'spec\.framework: Unsupported value: "AutoGen"'):
        namespace.apply(changed(agent("lost", shared.stack), framework="AutoGen"))


@pytest.mark.fault(18)
def test_two_sources_are_refused(namespace: Namespace, shared: Shared) -> None:
    both = {"declarative": {"instructions": "?"}, "module": {"entrypoint": "a:b"}}
    with pytest.raises(
        KubectlFailed, match=r"spec\.source: .*exactly one of declarative and module"
    ):
        namespace.apply(changed(agent("lost", shared.stack), source=both))


@pytest.mark.fault(18)
def test_a_stack_that_is_not_there_is_named(namespace: Namespace) -> None:
    namespace.apply(agent("lost", {"name": "nowhere"}))

    told = namespace.wait_reason("agent/lost", "ResolvedRefs", "RefNotFound")

    assert told["message"] == (
        f"spec.stackRef: there is no Stack nowhere in namespace {namespace.name}; "
        "create it or name another one"
    )
    ready = namespace.wait_reason("agent/lost", "Ready", "RefNotFound")
    assert (ready["status"], ready["message"]) == ("False", told["message"])
    assert ("Warning", "RefNotFound", told["message"]) in namespace.events("agent/lost")


@pytest.mark.fault(18)
async def test_a_tool_that_is_not_there_is_named_and_found_once_it_comes(
    namespace: Namespace, shared: Shared
) -> None:
    namespace.apply(agent("hopeful", shared.stack, {"name": "late"}))
    told = namespace.wait_reason("agent/hopeful", "ResolvedRefs", "RefNotFound")
    assert told["message"] == (
        f"spec.tools[0].toolRef: there is no Tool late in namespace {namespace.name}; "
        "create it or name another one"
    )

    late = "def add(a: float, b: float) -> float:\n    'Add two numbers.'\n    return a + b\n"
    namespace.apply(config_map("late", late=late), tool("late", "late:add", "late", shared.stack))

    namespace.wait_ready("agent/hopeful")
    words, right, _ = sum_of_two()
    answer = await shared.asking.ask(f"{namespace.name}.hopeful", words)
    assert right in answer.output_text


@pytest.mark.fault(18)
async def test_an_unknown_model_leaves_the_running_agent_as_it_was(
    namespace: Namespace, shared: Shared, started: Start
) -> None:
    """A bad edit is a condition; the workload stays, and the way back is the edit undone."""
    model = started(namespace, agent("steady", shared.stack, shared.add))

    namespace.patch("agent/steady", {"modelRef": {"name": "gpt"}})
    told = namespace.wait_reason("agent/steady", "ResolvedRefs", "RefNotFound")

    home = shared.namespace.name
    assert told["message"] == (
        f"spec.modelRef: Stack {home}/shared has no language model gpt; "
        "it has small, slow, refusing, garbage, down"
    )
    words, right, _ = sum_of_two()
    assert right in (await shared.asking.ask(model, words)).output_text
    namespace.patch("agent/steady", {"modelRef": {"name": "small"}})
    namespace.wait_reason("agent/steady", "Ready", "Ready")


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("source", "entrypoint", "sentence"),
    [
        pytest.param(
            "graph = None",
            "missing:graph",
            'spec.source.module.entrypoint "missing:graph": there is no module missing; the '
            "ConfigMap of spec.source.module.configMapRef has mine.py",
            id="a module that is not there",
        ),
        pytest.param(
            "def grahp(): ...",
            "mine:graph",
            'spec.source.module.entrypoint "mine:graph": mine has no graph; did you mean grahp?',
            id="an attribute that is not there",
        ),
        pytest.param(
            "\nraise RuntimeError('no licence')",
            "mine:graph",
            'spec.source.module.entrypoint "mine:graph": importing it failed at mine.py:2 '
            "RuntimeError: no licence",
            id="a module that raises",
        ),
        pytest.param(
            "from crewai import Crew\n\ngraph = Crew()",
            "mine:graph",
            'spec.source.module.entrypoint "mine:graph": mine.py:1 imports crewai, which is of '
            "CrewAI, but spec.framework is LangGraph; set spec.framework to CrewAI; or, if it is "
            "only used beside LangGraph, for `make up`, let PYTHONPATH name a folder that has it "
            "(pip install --target); in a cluster, build an image FROM the runtime image that has "
            "it and your module, and name it in spec.source.module.image in place of configMapRef",
            id="a module of another framework",
        ),
    ],
)
def test_code_that_cannot_be_imported_is_told_by_its_worker(
    namespace: Namespace, shared: Shared, source: str, entrypoint: str, sentence: str
) -> None:
    namespace.apply(
        config_map("mine", mine=source), module_agent("broken", shared.stack, entrypoint, "mine")
    )

    told = namespace.wait_reason("agent/broken", "Ready", "CrashLoop")

    assert (told["status"], told["message"]) == ("False", f"worker stopped: {sentence}")
    assert namespace.condition("agent/broken", "Stalled") is not None


@pytest.mark.fault(18)
def test_a_tool_that_cannot_be_imported_is_told_by_its_worker(
    namespace: Namespace, shared: Shared
) -> None:
    namespace.apply(config_map("mine", mine=""), tool("broken", "mine:add", "mine", shared.stack))

    told = namespace.wait_reason("tool/broken", "Ready", "CrashLoop")

    assert told["message"].startswith(
        'worker stopped: spec.python.entrypoint "mine:add": mine has no add'
    )


@pytest.mark.fault(10)
async def test_an_input_over_the_limit_is_refused_at_the_door(
    namespace: Namespace, shared: Shared, started: Start
) -> None:
    limits = {"maxInputBytes": LIMIT}
    model = started(namespace, agent("modest", shared.stack, execution=limits))

    fits = await shared.asking.post(model, "x" * LIMIT)
    over = await shared.asking.post(model, "x" * (LIMIT + 1))

    assert fits.status_code == HTTPStatus.OK
    assert over.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    error = over.json()["error"]
    assert (error["code"], error["param"]) == ("payload_too_large", "input")
    assert "this agent takes 1000 (spec.execution.maxInputBytes)" in error["message"]


async def test_a_model_nobody_knows_is_not_found(shared: Shared) -> None:
    answer = await shared.asking.post("nobody", "Hello")

    assert answer.status_code == HTTPStatus.NOT_FOUND
    assert "nobody" in answer.json()["error"]["message"]


@pytest.mark.parametrize("wrong", ["refusing", "garbage", "down"])
async def test_a_model_that_does_not_answer_fails_the_run_with_a_sentence(
    namespace: Namespace, shared: Shared, started: Start, wrong: str
) -> None:
    policy = {"maxAttempts": 2}
    body = agent("helpless", shared.stack, modelRef={"name": wrong}, retryPolicy=policy)
    model = started(namespace, body)

    async with asyncio.timeout(60):
        answer = await shared.asking.ask(model, "Hello")

    assert answer.status == "failed"
    assert answer.error.message.startswith(f"the model {wrong}/")
