"""A user's own agent gets the scenarios that make sense for it, and the reasons for the rest."""

from pathlib import Path

import pytest

from runtime.contract.agent_config import Framework
from runtime.kit.check import SCENARIOS
from runtime.kit.limits import LIMITS
from runtime.kit.report import Report, Verdict
from runtime.tests.kit.checking import checked, report_of

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(300),
]

AGENTS = """
from langchain.agents import create_agent
from langchain_openai import ChatOpenAI
from langgraph.graph import START, MessagesState, StateGraph


def graph_of(node):
    made = StateGraph(MessagesState)
    made.add_node("node", node)
    made.add_edge(START, "node")
    return made


def with_context(context):
    return create_agent(context.model, context.tools)


async def short_sighted(state: MessagesState):
    model = ChatOpenAI(model="its-own", stream_usage=False)
    return {"messages": [await model.ainvoke(state["messages"][-1:])]}


async def echo(state: MessagesState):
    print("an agent may print")
    return {"messages": [("ai", state["messages"][-1].text)]}


async def broken(state: MessagesState):
    raise RuntimeError("not today")


alone, parrot, failing = graph_of(short_sighted), graph_of(echo), graph_of(broken)
"""
BLOCKING = """
import os

from llama_stack_client import Agent, LlamaStackClient


def agent(context):
    client = LlamaStackClient(base_url=os.environ["LLAMA_STACK_CLIENT_BASE_URL"])
    return Agent(client, model=context.model, instructions="", tools=context.tools)
"""
CALLING = {
    "tool call",
    "parallel tool calls",
    "tool error",
    "sub-agent",
    "budget of tool calls",
    "budget of tokens",
    "resume",
    "function of the client",
}
ANY = {"answer", "order of steps", "concurrent runs"}
ALL = {scenario.name for scenario in SCENARIOS}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "own_agents.py").write_text(AGENTS)
    (tmp_path / "of_crewai.py").write_text("import crewai\ncrew = crewai.Crew()")
    return tmp_path


def report(folder: Path, name: str, *options: object, code: int = 0) -> Report:
    own = [f"own_agents:{name}", "--framework", "LangGraph", "--path", folder]
    return report_of(folder, *own, *options, code=code)


def reasons(report: Report, verdict: Verdict) -> dict[str, str]:
    return {one.scenario: one.reason for one in report.results if one.verdict is verdict}


def test_who_takes_what_the_platform_gives_can_show_all(folder: Path, model_url: str) -> None:
    found = report(folder, "with_context", "--stand-in", model_url)
    assert set(reasons(found, Verdict.PROVED)) == ALL


def test_what_an_agent_leaves_undone_is_told_and_is_no_failure(
    folder: Path, model_url: str
) -> None:
    found = report(folder, "alone", "--stand-in", model_url)
    undone = reasons(found, Verdict.CANNOT)
    # It hears the form when it is asked for once more, and by then not what was asked.
    assert undone["structured output"].endswith('the agent answers "{"number": 0}"')
    assert undone == {
        "usage": "streaming, it does not ask for stream_options.include_usage",
        "conversation": "the model did not hear what was said before",
        "instructions of the client": "the model did not hear the client's instructions",
        "structured output": undone["structured output"],
    }
    assert reasons(found, Verdict.NOT_APPLICABLE) == dict.fromkeys(
        CALLING, "the agent does not take the platform's tools: AgentContext.tools"
    )


def test_who_asks_no_model_shows_what_needs_none(folder: Path, model_url: str) -> None:
    found = report(folder, "parrot", "--stand-in", model_url)
    assert set(reasons(found, Verdict.PROVED)) == ANY
    rest = reasons(found, Verdict.NOT_APPLICABLE)
    assert set(rest) == ALL - ANY
    assert all("the agent asks no model where the platform says" in why for why in rest.values())


def test_without_a_stand_in_nothing_goes_wrong_at_will(folder: Path, model_url: str) -> None:
    asked = ["--model-base-url", model_url, "--model", "stand-in"]
    found = report(folder, "with_context", *asked)
    faults = {scenario.name for scenario in SCENARIOS if scenario.fault is not None}
    assert set(reasons(found, Verdict.NOT_APPLICABLE)) == faults
    assert set(reasons(found, Verdict.PROVED)) == ALL - faults


def test_a_blocking_agent_has_the_limits_that_are_known(tmp_path: Path, stack_url: str) -> None:
    (tmp_path / "blocking_agent.py").write_text(BLOCKING)
    own = ["blocking_agent:agent", "--framework", "LlamaStack", "--path", tmp_path]
    found = report_of(tmp_path, *own, "--stand-in", stack_url, "--stand-in-model", "small/stand-in")
    limits = {
        name: limit.reason
        for (framework, name), limit in LIMITS.items()
        if framework is Framework.LLAMA_STACK
    }
    undone = reasons(found, Verdict.CANNOT)
    assert undone == limits | {
        "parallel tool calls": "the second call of a turn began only when the first had ended",
        "model answers 429": undone["model answers 429"],
    }
    assert found.failed == ()


def test_who_fails_hears_what_was_expected_and_seen(folder: Path, model_url: str) -> None:
    found = report(folder, "failing", "--stand-in", model_url, code=1)
    assert {one.scenario for one in found.failed} == ANY
    first = found.failed[0]
    assert first.expected == "a question gets an answer that is made from it"
    assert "own_agents.py" in first.seen
    assert "RuntimeError: not today" in first.seen


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["own_agents:nobody"], "has no nobody"),
        (["own_agents:paralell"], "has no paralell; it has alone, failing, parrot\n"),
        (["nothing:here"], 'error: the entrypoint "nothing:here": there is no module nothing; /'),
        (["own_agents"], "must have the form module:name"),
        (["own_agents:MessagesState"], "but --framework is LangGraph, which needs a StateGraph"),
        (
            ["of_crewai:crew"],
            "which is of CrewAI, but --framework is LangGraph; say --framework Cr",
        ),
        (["own_agents:alone", "--path", "/nowhere"], "--path /nowhere is no folder"),
        (["--model", "x"], "--model names a model of --model-base-url, which is missing"),
        (["--model-base-url", "http://127.0.0.1:1/v1"], "--model is missing"),
        (["--model-base-url", "localhost", "--model", "x"], "--model-base-url localhost is no"),
        (["--stand-in", "localhost"], "--stand-in localhost is no address"),
        (["--framework", "Elsewhere"], "invalid choice: 'Elsewhere' (choose from 'LangGraph', "),
    ],
)
def test_bad_input_is_named(folder: Path, options: list[str], said: str) -> None:
    given = ["--framework", "LangGraph", "--path", folder, "--stand-in", "http://127.0.0.1:1/v1"]
    done = checked(*given, *options)
    assert done.returncode == 2, done.stdout + done.stderr
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_without_any_model_there_is_nothing_to_ask() -> None:
    done = checked("--framework", "LangGraph")
    assert done.returncode == 2
    assert done.stderr == "error: --model-base-url is missing: the agent needs a model to ask\n"
