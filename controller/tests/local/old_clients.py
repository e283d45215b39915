"""The clients of the past, each in an environment of its own."""

import json
import subprocess
from pathlib import Path
from typing import Any

from controller.tests.local.platform import ROOT

VERSIONS = ("0.1.4", "0.2.23", "0.3.5", "0.7.5")
PROGRAM = Path(__file__).with_name("old_client.py")
PROGRAM_SECONDS = 120


def environment(version: str) -> str:
    """The Python that has llama-stack-client of this version, and nothing of ours."""
    made = subprocess.run(
        [str(ROOT / "hack" / "env.sh"), "client", version],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return made.stdout.strip()


def check_old_client(url: str, version: str, question: str, answer: str) -> None:
    """Have a program with that client make all its calls; `answer` is that of the agent `math`."""
    ran = subprocess.run(
        [environment(version), "-I", str(PROGRAM), url, question],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=PROGRAM_SECONDS,
    )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout)
    assert told["version"] == version
    _check_answers(told, answer)
    _check_models(told["models"])
    if version == "0.7.5":
        assert told["resources"] is None
        return
    _check_turns(told["resources"], answer, lists=version != "0.1.4")
    _check_tools(told["tools"])
    if version == "0.3.5":
        assert told["documents"] is None
        return
    _check_documents(told["documents"])


def _check_answers(told: dict[str, Any], answer: str) -> None:
    """Of the class `Agent`: an agent, and one and a model that call a function of the program."""
    for asked in ("agent", "model", "own"):
        assert answer in told[asked]["answer"]
        assert answer in told[asked]["printed"]
        assert asked == "agent" or "plus" in told[asked]["printed"]


def _check_models(told: list[list[Any]]) -> None:
    """An agent and a model, each from the list and by its name."""
    listed, found, *models = told
    assert listed == found
    assert found[:3] == ["agents/math", "agents", "math"]
    assert (found[3]["agent"], found[3]["framework"]) == ("math", "LangGraph")
    assert models == [["small/stand-in", "small", "stand-in", {}]] * 2


def _check_turns(told: dict[str, Any], answer: str, *, lists: bool) -> None:
    assert told["events"][0] == "turn_start"
    assert told["events"][-1] == "turn_complete"
    assert told["events"].count("step_complete") == 3
    assert told["answers"] == ["".join(told["texts"])] * 3
    assert answer in told["answers"][0]
    assert told["call"][0] == "add"
    assert sum(told["call"][1].values()) == int(answer) == int(told["result"])
    assert told["turns"] == [2, 1]
    assert told["listed"] == ([True, "math", ["sums"]] if lists else None)
    assert told["is_missing"]
    assert told["is_gone"]


def _check_tools(told: dict[str, Any]) -> None:
    assert told["groups"] == ["add", "builtin::rag", "search-handbook"]
    assert told["group"] == told["got"] == "add"
    assert told["listed"] == [["add", "add"]]
    assert told["identifiers"] == told["offered"] == ["add"]
    assert "the Agents that name it in spec.tools" in told["refused"]


def _check_documents(told: dict[str, Any]) -> None:
    assert told["documents"] == ["equipment", "holidays"]
    assert "Content: A stolen laptop is replaced." in told["found"]
    assert told["context"] == told["found"]
    assert told["steps"] == ["memory_retrieval", "inference"]
    assert told["events"][:3] == ["turn_start", "step_start", "step_complete"]
    assert told["is_listed"]
    assert told["is_gone"]
