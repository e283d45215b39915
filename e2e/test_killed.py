"""Whenever a worker is killed, its runs are answered once and each effect happens once."""

import asyncio
import secrets
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from e2e.conftest import Shared, a_namespace
from e2e.kubectl import Body, Namespace, until
from e2e.manifests import agent, config_map

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(420)]

FRAMEWORKS = ("LangGraph", "LlamaStack", "CrewAI", "AG2", "BeeAI")
POINTS = (
    "before the start",
    "after the start",
    "between two calls",
    "after the effect",
    "before the end",
    "after the end",
)
WORKERS = 3
FOLDER = "/opt/dying"


def dying(name: str, home: Namespace) -> Body:
    """The worker of an Agent, in `dying.py`."""
    worker = {
        "name": "worker",
        "command": ["python", "-m", "dying", "worker", f"agent/{home.name}/{name}"],
        "env": [{"name": "PYTHONPATH", "value": FOLDER}],
        "volumeMounts": [{"name": "dying", "mountPath": FOLDER}],
    }
    return {
        "spec": {
            # So that the worker is not the first process of its container, which no signal kills.
            "shareProcessNamespace": True,
            "containers": [worker],
            "volumes": [{"name": "dying", "configMap": {"name": "dying"}}],
        }
    }


@dataclass(frozen=True, slots=True)
class Sum:
    """A question that takes two calls, its answer, and the lines that the calls leave."""

    words: str
    right: str
    effects: tuple[str, str]


def sum_of_three() -> Sum:
    a, b, c = (secrets.randbelow(200_000) + 1 for _ in range(3))
    lines = f"{float(a):g} {float(b):g}", f"{float(a + b):g} {float(c):g}"
    return Sum(f"What is {a} plus {b} plus {c}?", str(a + b + c), lines)


@pytest.fixture(scope="module")
def mortal(leaving: list[str], shared: Shared) -> Iterator[Namespace]:
    """An agent of each framework whose workers die."""
    with a_namespace("killed", leaving) as home:
        source = Path(__file__).with_name("dying.py").read_text()
        agents = [
            agent(
                framework.lower(),
                shared.stack,
                shared.add,
                framework=framework,
                replicas=WORKERS,
                podTemplate=dying(framework.lower(), home),
                execution={"ackWaitSeconds": 3, "concurrency": 1},
            )
            for framework in FRAMEWORKS
        ]
        home.apply(config_map("dying", dying=source), *agents)
        home.wait_ready(*(f"agent/{one['metadata']['name']}" for one in agents), seconds=240)
        yield home


def deaths(home: Namespace) -> Counter[str]:
    """How often workers were killed, by ServiceAccount, as far as the kubelet has noticed.

    A container that lies dead is not counted among its restarts until it runs again.
    """
    found: Counter[str] = Counter()
    for pod in home.every("pods"):
        for status in pod["status"].get("containerStatuses", []):
            lies = "terminated" in status["state"] or "waiting" in status["state"]
            found[pod["spec"]["serviceAccountName"]] += status["restartCount"] + lies
    return found


@pytest.mark.fault(1)
async def test_a_worker_may_die_at_any_point(mortal: Namespace, shared: Shared) -> None:
    """Before the fetch each worker has died already."""
    asked = {(framework, point): sum_of_three() for framework in FRAMEWORKS for point in POINTS}

    async def ask(framework: str, point: str) -> Any:
        model, words = f"{mortal.name}.{framework.lower()}", asked[framework, point].words
        response = await shared.asking.ask(model, words, background=True, metadata={"dies": point})
        return await shared.asking.ended(response.id, seconds=240)

    answers = await asyncio.gather(*(ask(*one) for one in asked))

    done = Counter(await asyncio.to_thread(shared.effects))
    seen = {
        one: (answer.status, wanted.right in answer.output_text, *map(done.get, wanted.effects))
        for (one, wanted), answer in zip(asked.items(), answers, strict=True)
    }
    assert seen == dict.fromkeys(asked, ("completed", True, 1, 1))

    everybody = {f"agent-{framework.lower()}": WORKERS + len(POINTS) for framework in FRAMEWORKS}

    def all_dead() -> bool:
        return deaths(mortal) >= Counter(everybody)

    await asyncio.to_thread(until, all_dead, f"deaths: {everybody}", 30)
