"""What is deleted finishes its work, says so, and leaves nothing behind."""

import asyncio
from http import HTTPStatus

import pytest

from e2e.asking import Asking, eventually
from e2e.conftest import SHARED, Shared, Start
from e2e.kubectl import Namespace, kubectl, until
from e2e.manifests import agent, sum_of_two
from e2e.queue import SYSTEM, looked_into

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

QUEUED = 3


async def test_a_deleted_agent_leaves_nothing_in_the_queue_of_its_stack(
    namespace: Namespace, shared: Shared, started: Start
) -> None:
    model = started(namespace, agent("passing", shared.stack, shared.add))
    words, right, _ = sum_of_two()
    assert right in (await shared.asking.ask(model, words)).output_text
    async with looked_into(shared.namespace, SHARED) as queue:
        before = await queue.work_of(namespace.name)
        assert before.consumers
        kinds = {ref.bucket.rpartition("_")[2] for ref in before.entries}
        assert {"policy", "catalogue", "effects"} <= kinds

        await asyncio.to_thread(namespace.delete, "agent/passing")

        after = await queue.work_of(namespace.name)
        assert not after.consumers
        assert not after.entries
    assert not namespace.every("all,configmaps,serviceaccounts", "k8gentai.dev/owner-kind")
    assert (await shared.asking.post(model, words)).status_code == HTTPStatus.NOT_FOUND
    assert f"agents/{model}" not in await shared.asking.models()


@pytest.mark.fault(19)
async def test_a_deleted_agent_ends_its_work_first(
    namespace: Namespace, shared: Shared, started: Start
) -> None:
    """One run is under way, others wait: all of them end well; new ones are not taken."""
    body = agent(
        "leaving",
        shared.stack,
        shared.add,
        modelRef={"name": "slow"},
        execution={"concurrency": 1},
    )
    model = started(namespace, body)
    asked = [sum_of_two() for _ in range(QUEUED)]
    runs = [await shared.asking.begin(model, words) for words, _, _ in asked]

    await asyncio.to_thread(namespace.kubectl, "delete", "agent/leaving", "--wait=false")

    async def refusal() -> int:
        return (await shared.asking.post(model, "Hello")).status_code

    async with asyncio.timeout(10):
        while (status := await refusal()) == HTTPStatus.OK:
            pass
    assert status == HTTPStatus.CONFLICT
    told = await asyncio.to_thread(namespace.wait_reason, "agent/leaving", "Ready", "Pending")
    assert told["message"].startswith("it is being deleted and waits for ")
    answers = await shared.asking.all_ended(runs)
    assert [answer.status for answer in answers] == ["completed"] * QUEUED
    for answer, (_, right, _) in zip(answers, asked, strict=True):
        assert right in answer.output_text
    await eventually(lambda: namespace.find("agent/leaving") is None, "the agent is gone")
    messages = [message for _, _, message in namespace.events("agent/leaving")]
    assert any(message.startswith("it is being deleted and waits") for message in messages)
    async with looked_into(shared.namespace, SHARED) as queue:
        left = await queue.work_of(namespace.name)
        assert not left.consumers
        assert not left.entries


@pytest.mark.fault(19)
async def test_an_agent_deleted_with_cancel_ends_its_work_at_once(
    namespace: Namespace, shared: Shared, started: Start
) -> None:
    body = agent(
        "quitting",
        shared.stack,
        shared.add,
        modelRef={"name": "slow"},
        execution={"concurrency": 1},
        deletionPolicy="Cancel",
    )
    model = started(namespace, body)
    runs = [await shared.asking.begin(model, sum_of_two()[0]) for _ in range(QUEUED)]

    await asyncio.to_thread(namespace.delete, "agent/quitting")

    answers = await shared.asking.all_ended(runs, seconds=10)
    assert {answer.status for answer in answers} <= {"cancelled", "completed"}
    assert [answer.status for answer in answers[1:]] == ["cancelled"] * (QUEUED - 1)


async def test_deleting_everything_leaves_an_empty_namespace(namespace: Namespace) -> None:
    """All at once, in whatever order; volumes too."""
    before = everything(namespace)
    namespace.apply_folder("config/samples/quickstart")
    namespace.wait_ready("stack/default", "tool/add", "agent/math")
    with namespace.reached("stack-default", 8321) as address:
        words, right, _ = sum_of_two()
        assert right in (await Asking(f"http://{address}").ask("math", words)).output_text

    namespace.kubectl("delete", "-k", "config/samples/quickstart", "--timeout=90s")

    until(lambda: everything(namespace) == before, "nothing is left in the namespace")
    volumes = "jsonpath={.items[*].spec.claimRef.namespace}"
    until(
        lambda: namespace.name not in kubectl("get", "persistentvolumes", "-o", volumes).split(),
        "no volume is left",
    )
    trusted = kubectl("-n", SYSTEM, "get", "configmap", "k8gentai-trust", "-o=yaml")
    assert namespace.name not in trusted


def everything(namespace: Namespace) -> set[str]:
    """Every object of a namespace but its Events."""
    kinds = kubectl("api-resources", "--namespaced", "--verbs=list", "-o=name").split()
    asked = ",".join(kind for kind in kinds if not kind.startswith("events"))
    return set(namespace.kubectl("get", asked, "-o=name").split())
