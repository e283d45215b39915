from typing import Any

import pytest

from controller.api.agent import Agent
from controller.api.conditions import AcceptedReason, ResolvedRefsReason
from controller.api.stack import Versions
from controller.api.tool import Tool
from controller.api.workload_status import DiscoveredTool
from controller.desired.accept import (
    agent_problems,
    pod_template_problems,
    stack_problems,
    tool_problems,
)
from controller.model import Problem
from controller.tests import samples
from controller.tests.desired.views import (
    agent_view,
    an_agent,
    read,
    stack_view,
    the_stack,
    the_tool,
    tool_view,
)


@pytest.mark.fault(18)
@pytest.mark.parametrize(
    ("template", "message"),
    [
        ({}, None),
        ({"metadata": {"labels": {}}, "spec": {"containers": [{"name": "worker"}]}}, None),
        ({"kind": "Pod"}, "kind: is no part of a PodTemplateSpec; it has metadata and spec"),
        ({"spec": "big"}, "spec: must be an object"),
        ({"metadata": None}, "metadata: must be an object"),
        ({"metadata": {"labels": ["a"]}}, "metadata.labels: must be an object"),
        ({"spec": {"containers": {}}}, "spec.containers: must be a list"),
        (
            {"spec": {"containers": [{"image": "x"}]}},
            "spec.containers: each entry must be an object with a name",
        ),
        (
            {"spec": {"volumes": ["x"]}},
            "spec.volumes: each entry must be an object with a name",
        ),
        ({"spec": {"containers": None}}, "spec.containers: must be a list"),
    ],
)
def test_a_pod_template_has_to_be_one(template: dict[str, Any], message: str | None) -> None:
    found = [problem.message for problem in pod_template_problems(template)]

    assert found == ([] if message is None else [f"spec.podTemplate.{message}"])


@pytest.mark.parametrize(
    ("spec", "problem"),
    [
        (
            {"models": [{"name": "m", "provider": "remote::ollama", "model": "x"}]},
            (
                "spec.models[0].provider: the provider remote::ollama is not in this version; "
                "use one of remote::cerebras, remote::gemini, remote::groq, "
                "remote::llama-cpp-server, remote::llama-openai-compat, remote::nvidia, "
                "remote::openai, remote::runpod, remote::sambanova, remote::vllm"
            ),
        ),
    ],
    ids=["provider"],
)
def test_what_a_stack_cannot_be_yet(spec: dict[str, Any], problem: str) -> None:
    (found,) = stack_problems(stack_view(the_stack(**spec)))

    assert found == Problem(AcceptedReason.UNSUPPORTED_VALUE, problem)


@pytest.mark.parametrize(
    ("flavour", "served", "is_back"),
    [
        ("LlamaStack", "", False),
        ("LlamaStack", "0.7.3", False),
        ("LlamaStack", "1.5.0", True),
        ("OGX", "0.7.3", False),
        ("OGX", "1.5.0", False),
    ],
)
def test_there_is_no_way_back_from_ogx(flavour: str, served: str, *, is_back: bool) -> None:
    stack = the_stack(server={"flavour": flavour})
    status = stack.status.model_copy(update={"version": Versions(operator="0.1.0", server=served)})

    found = stack_problems(stack_view(stack.model_copy(update={"status": status})))

    message = (
        "spec.server.flavour: OGX 1.5.0 has taken over what is stored here, and LlamaStack cannot "
        "read it any more; set OGX, or make another Stack"
    )
    assert found == ((Problem(AcceptedReason.INVALID, message),) if is_back else ())


def test_a_model_cannot_read_the_servers_environment() -> None:
    model = {"name": "m", "provider": "remote::vllm", "model": "${env.MODEL_KEY_0}"}

    (found,) = stack_problems(stack_view(the_stack(models=[model])))

    assert found == Problem(
        AcceptedReason.INVALID,
        "spec.models[0].model: must not contain '${'; write the value itself",
    )


def test_an_agent_cannot_outlast_what_its_stack_keeps() -> None:
    stack = the_stack(retention={"taskSeconds": 60})

    (found,) = agent_problems(agent_view(stack, execution={"timeoutSeconds": 61}))

    assert found == Problem(
        AcceptedReason.INVALID,
        "spec.execution.timeoutSeconds: 61 is longer than Stack team/default keeps a task (60); "
        "lower it, or raise spec.retention.taskSeconds of the Stack",
    )


@pytest.mark.parametrize(
    ("approval", "refused"),
    [
        ({"required": True, "timeoutSeconds": 61}, True),
        ({"required": True, "timeoutSeconds": 60}, False),
        ({"required": False, "timeoutSeconds": 61}, False),
    ],
)
def test_nobody_is_waited_for_longer_than_a_stack_keeps_a_run(
    approval: dict[str, Any], *, refused: bool
) -> None:
    stack = the_stack(retention={"taskSeconds": 60})
    execution = {"timeoutSeconds": 60}

    view = agent_view(stack, (the_tool(),), approval=approval, execution=execution)
    found = agent_problems(view)

    problem = Problem(
        AcceptedReason.INVALID,
        "spec.tools[0].approval.timeoutSeconds: 61 is longer than Stack team/default keeps a task "
        "(60); lower it, or raise spec.retention.taskSeconds of the Stack",
    )
    assert found == ((problem,) if refused else ())


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ([], "spec.modelRef: Stack team/default has no language model; add one to its spec.models"),
        (
            [
                {"name": "a", "provider": "remote::vllm", "model": "x"},
                {"name": "b", "provider": "remote::vllm", "model": "x"},
            ],
            "spec.modelRef: Stack team/default has no language model large; it has a, b",
        ),
        (
            [
                {"name": "a", "provider": "remote::vllm", "model": "x"},
                {
                    "name": "large",
                    "provider": "remote::vllm",
                    "model": "x",
                    "embedding": {"dimensions": 64},
                },
            ],
            "spec.modelRef: Stack team/default has no language model large; it has a",
        ),
    ],
    ids=["none", "another", "one that makes vectors"],
)
def test_an_unknown_model_is_named_with_those_there_are(
    models: list[dict[str, Any]], message: str
) -> None:
    view = agent_view(the_stack(models=models), modelRef={"name": "large"})

    assert agent_problems(view) == (Problem(ResolvedRefsReason.REF_NOT_FOUND, message),)


def test_a_tool_of_another_stack_cannot_be_called() -> None:
    tool = read(Tool, samples.tool(stackRef={"name": "other"}), "tool-uid")

    (found,) = agent_problems(agent_view(tools=(tool,)))

    assert found == Problem(
        AcceptedReason.INVALID,
        "spec.tools[0].toolRef: Tool team/add belongs to Stack team/other, not to "
        "Stack team/default; give both the same stackRef",
    )


def test_an_agent_of_another_stack_cannot_be_called() -> None:
    other = an_agent(stackRef={"name": "other"})

    (found,) = agent_problems(agent_view(agents=(an_agent("first"), other)))

    assert found == Problem(
        AcceptedReason.INVALID,
        "spec.agents[1].agentRef: Agent team/poet belongs to Stack team/other, not to "
        "Stack team/default; give both the same stackRef",
    )


def test_an_agent_cannot_call_itself() -> None:
    (found,) = agent_problems(agent_view(agents=(an_agent("math"),)))

    assert found == Problem(
        AcceptedReason.INVALID,
        "spec.agents[0].agentRef: it names the Agent itself, which cannot call itself; remove it",
    )


FAR: dict[str, Any] = {"stackRef": {"name": "default", "namespace": "team"}}
CLASHES = [
    pytest.param((an_agent("add"),), 0, "the function add of Tool team/add", id="function"),
    pytest.param(
        (an_agent(), an_agent(namespace="guests", **FAR)), 1, "Agent team/poet", id="namespace"
    ),
]


@pytest.mark.parametrize(("agents", "place", "other"), CLASHES)
def test_what_a_model_could_not_tell_apart_is_a_conflict(
    agents: tuple[Agent, ...], place: int, other: str
) -> None:
    tool = the_tool()
    status = tool.status.model_copy(update={"tools": (DiscoveredTool(name="add"),)})
    view = agent_view(tools=(tool.model_copy(update={"status": status}),), agents=agents)

    (found,) = agent_problems(view)

    assert found.reason is AcceptedReason.CONFLICT
    assert found.message.startswith(f"spec.agents[{place}].agentRef: Agent ")
    assert f" and {other} would be called by the same name; remove one" in found.message


def test_an_agent_and_a_tool_may_have_one_name_if_their_functions_have_not() -> None:
    """Nobody calls a Tool by its own name."""
    assert agent_problems(agent_view(tools=(the_tool(),), agents=(an_agent("add"),))) == ()


@pytest.mark.parametrize(
    ("source", "who"),
    [
        ({"mcp": {"url": "http://m/mcp"}}, "the MCP server"),
        ({"http": {"openapi": {"url": "http://w/openapi.json"}}}, "the OpenAPI document"),
    ],
)
def test_a_schema_that_nobody_would_read_is_refused(source: dict[str, Any], who: str) -> None:
    tool = read(Tool, samples.tool(python=None, inputSchema={"type": "object"}, **source), "uid")

    (found,) = tool_problems(tool_view(tool))

    assert found == Problem(
        AcceptedReason.INVALID,
        f"spec.inputSchema: only a Python function takes one, {who} has its own; remove it",
    )


def test_code_of_the_users_own_may_do_without_a_model() -> None:
    source = {"module": {"entrypoint": "own:graph"}}
    view = agent_view(the_stack(models=[]), source=source, modelRef=None)
    assert list(agent_problems(view)) == []
