"""What dies comes back, and accepted work is answered once."""

import asyncio
import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import pytest

from e2e.asking import eventually
from e2e.conftest import SHARED, Shared, Start, a_namespace
from e2e.kubectl import Body, Namespace, until
from e2e.manifests import agent, config_map, module_agent, sum_of_two
from e2e.queue import OPERATOR, SYSTEM, looked_into

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

SEVERAL = 200
AT_ONCE = 20
RESYNC_SECONDS = 75

SIGNAL = """
import os, pathlib, signal, sys
for process in pathlib.Path("/proc").glob("[0-9]*"):
    if b"worker" in (process / "cmdline").read_bytes().split(b"\\0"):
        os.kill(int(process.name), signal.Signals[sys.argv[1]])
"""
SIGNALLED: Body = {"spec": {"shareProcessNamespace": True}}
"""So that the worker is not the first process of its container, which no signal kills."""


def restarted(namespace: Namespace, account: str) -> Body | None:
    """How the first worker of the ServiceAccount ended, once it runs again."""
    for pod in namespace.every("pods"):
        (status,) = pod["status"].get("containerStatuses", [{}])
        if pod["spec"]["serviceAccountName"] == account and status.get("restartCount"):
            ended: Body | None = status["lastState"].get("terminated")
            return ended
    return None


@pytest.mark.parametrize(
    ("signal", "code"),
    [
        pytest.param("SIGKILL", 137, id="kill -9"),
        pytest.param("SIGTERM", 0, id="asked to go", marks=pytest.mark.fault(4)),
    ],
)
async def test_a_worker_that_ends_in_the_middle_of_a_run_loses_nothing(
    namespace: Namespace, shared: Shared, started: Start, signal: str, code: int
) -> None:
    """The tool has had its effect and the answer is still to come: the effect is not repeated."""
    body = agent(
        "mortal",
        shared.stack,
        shared.add,
        modelRef={"name": "slow"},
        podTemplate=SIGNALLED,
        execution={"ackWaitSeconds": 3},
    )
    model = started(namespace, body)
    words, right, effect = sum_of_two()

    response = await shared.asking.begin(model, words)
    await eventually(lambda: effect in shared.effects(), "the tool has been called")
    await asyncio.to_thread(namespace.python, "deployment/agent-mortal", SIGNAL, signal)

    answer = await shared.asking.ended(response)
    assert answer.status == "completed"
    assert right in answer.output_text
    assert shared.effects().count(effect) == 1
    ended = await asyncio.to_thread(
        until, lambda: restarted(namespace, "agent-mortal"), "the worker runs again"
    )
    assert ended["exitCode"] == code


async def test_without_workers_work_is_kept_and_then_done_once(
    namespace: Namespace, shared: Shared, started: Start
) -> None:
    """Scaled to zero while requests come in, and back."""
    body = agent("sleepy", shared.stack, shared.add, execution={"concurrency": 16})
    model = started(namespace, body)
    asked = [sum_of_two() for _ in range(SEVERAL)]
    at_once = asyncio.Semaphore(AT_ONCE)

    async def begin(words: str) -> str:
        async with at_once:
            return await shared.asking.begin(model, words)

    async with asyncio.TaskGroup() as posting:
        runs = [posting.create_task(begin(words)) for words, _, _ in asked]
        await asyncio.to_thread(namespace.kubectl, "scale", "agent/sleepy", "--replicas=0")
    await asyncio.to_thread(namespace.wait_reason, "agent/sleepy", "Ready", "ScaledToZero")
    await asyncio.to_thread(namespace.kubectl, "scale", "agent/sleepy", "--replicas=1")

    answers = await shared.asking.all_ended(run.result() for run in runs)
    assert {answer.status for answer in answers} == {"completed"}
    for answer, (_, right, _) in zip(answers, asked, strict=True):
        assert right in answer.output_text
    done = Counter(await asyncio.to_thread(shared.effects))
    assert {done[effect] for _, _, effect in asked} == {1}


OWN_GRAPH = """
from langgraph.graph import END, START, MessagesState, StateGraph

def reply(state: MessagesState) -> dict:
    return {"messages": [("ai", "Here I am.")]}

graph = StateGraph(MessagesState)
graph.add_node("reply", reply)
graph.add_edge(START, "reply")
graph.add_edge("reply", END)
"""


@pytest.mark.fault(16)
def test_an_operator_that_dies_in_the_middle_of_an_apply_converges(
    shared: Shared, leaving: list[str]
) -> None:
    """The same objects as in a namespace where nothing happened."""
    system = Namespace(SYSTEM)

    def apply(namespace: Namespace) -> None:
        namespace.apply(
            config_map("mine", mine=OWN_GRAPH),
            agent("declared", shared.stack, shared.add),
            module_agent("own", shared.stack, "mine:graph", "mine"),
        )

    with a_namespace("calm", leaving) as calm, a_namespace("shaken", leaving) as shaken:
        apply(calm)
        calm.wait_ready("agent/declared", "agent/own")
        apply(shaken)
        for _ in range(2):
            system.kubectl(
                "delete", "pods", "-l", f"app.kubernetes.io/name={OPERATOR.name}", "--now"
            )
        shaken.wait_ready("agent/declared", "agent/own")

        assert normal(shaken) == normal(calm)


def normal(namespace: Namespace) -> dict[str, Any]:
    """The objects of ours, without what differs between two of the same."""
    objects = namespace.every(
        "agents,deployments,serviceaccounts,configmaps", "app.kubernetes.io/part-of=k8gentai"
    )
    text = json.dumps([_kept(one) for one in objects], sort_keys=True)
    text = text.replace(namespace.name, "here")
    text = re.sub(r'\\"durable\\": \\"[^"]*\\"', "durable", text)
    text = re.sub(r"sha256:[0-9a-f]+|\b[0-9a-f]{16,64}\b", "digest", text)
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in json.loads(text)}


def _kept(body: Body) -> Body:
    metadata = body["metadata"]
    kept = {key: metadata.get(key) for key in ("name", "labels", "annotations")}
    return {key: value for key, value in body.items() if key != "status"} | {"metadata": kept}


@pytest.mark.fault(20)
async def test_what_somebody_damages_is_repaired_and_told(
    namespace: Namespace, shared: Shared, started: Start
) -> None:
    """In Kubernetes at once, in the queue with the next look at it."""
    model = started(namespace, agent("robbed", shared.stack, shared.add))

    async with looked_into(shared.namespace, SHARED) as queue:
        before = await queue.consumer(namespace.name)
        assert before is not None
        await queue.delete_consumer(before.ref)
        namespace.delete("deployment/agent-robbed")
        async with asyncio.timeout(RESYNC_SECONDS):
            while await queue.consumer(namespace.name) != before:  # noqa: ASYNC110 - in NATS
                await asyncio.sleep(0.5)
        await queue.change_consumer(replace(before, max_deliver=before.max_deliver - 1))
        async with asyncio.timeout(RESYNC_SECONDS):
            while await queue.consumer(namespace.name) != before:  # noqa: ASYNC110 - in NATS
                await asyncio.sleep(0.5)

    told = {message for _, _, message in namespace.events("agent/robbed")}
    consumer = f"consumer {before.durable} of {before.stream}"
    assert f"{consumer} was gone; it is made again" in told
    assert f"{consumer} had been changed; it is as it was" in told
    assert any("agent-robbed was gone; it is made again" in message for message in told)
    namespace.wait_ready("agent/robbed")
    words, right, _ = sum_of_two()
    assert right in (await shared.asking.ask(model, words)).output_text
