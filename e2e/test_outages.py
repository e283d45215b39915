"""The queue or the trust plane is away for a while: clear words meanwhile, nothing lost after."""

import asyncio
import contextlib
import time
from collections.abc import Iterator
from http import HTTPStatus

import pytest

from e2e.asking import Asking
from e2e.conftest import Shared, Start
from e2e.kubectl import Body, Namespace
from e2e.manifests import agent, config_map, stack, sum_of_two, tool
from e2e.queue import SYSTEM

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

TRUST_PODS = "app.kubernetes.io/name=k8gentai-trust"
BOUND_SECONDS = 10
KEPT = 5
ADD = "def add(a: float, b: float) -> float:\n    'Add two numbers.'\n    return a + b\n"
STACK = {"name": "fragile"}
TOOL = {"name": "add"}
NO_PODS: Body = {
    "apiVersion": "v1",
    "kind": "ResourceQuota",
    "metadata": {"name": "no-pods"},
    "spec": {"hard": {"pods": "0"}},
}


@pytest.fixture(scope="module")
def fragile(module_namespace: Namespace) -> Iterator[tuple[Namespace, Asking]]:
    """A Stack of this module's own, to be disturbed."""
    home = module_namespace
    home.apply(
        stack("fragile"),
        config_map("adds", adds=ADD),
        tool("add", "adds:add", "adds", STACK),
        agent("lasting", STACK, TOOL),
        agent("resting", STACK, TOOL, replicas=0),
    )
    home.wait_ready("stack/fragile", "tool/add", "agent/lasting", "agent/resting")
    with home.reached("stack-fragile", 8321) as address:
        yield home, Asking(f"http://{address}")


@contextlib.contextmanager
def no_queue(home: Namespace) -> Iterator[None]:
    """NATS is down, and cannot come back before the body is left."""
    home.apply(NO_PODS)
    home.kubectl("delete", "pod/nats-fragile-0", "--grace-period=1", "--timeout=30s")
    try:
        yield
    finally:
        home.delete("resourcequota/no-pods")
        # Whoever makes the pod waits ever longer after each refusal; a change makes it look.
        home.kubectl("annotate", "statefulset/nats-fragile", "looked-at=now", "--overwrite")


async def test_without_its_queue_a_stack_says_so_and_then_goes_on(
    fragile: tuple[Namespace, Asking],
) -> None:
    home, asking = fragile
    kept = [sum_of_two() for _ in range(KEPT)]
    runs = [await asking.begin("resting", words) for words, _, _ in kept]

    with no_queue(home):
        began = time.monotonic()
        refused = await asking.post("lasting", "Hello")
        assert time.monotonic() - began < BOUND_SECONDS
        assert refused.status_code == HTTPStatus.SERVICE_UNAVAILABLE
        assert refused.json()["error"]["code"] == "queue_unavailable"
        assert refused.headers["Retry-After"]

        home.apply(agent("new", STACK, TOOL))
        told = home.wait_reason("agent/new", "Programmed", "Pending")
        assert told["status"] == "Unknown"
        assert f"nats://nats-fragile.{home.name}.svc:4222" in told["message"]
        ready = home.condition("stack/fragile", "Ready")
        assert ready is not None
        assert ready["status"] == "False"
        assert ready["message"].startswith("0 of 1 NATS server ")

    home.wait_ready("stack/fragile", "tool/add", "agent/lasting", "agent/new")
    for model in ("lasting", "new"):
        words, right, _ = sum_of_two()
        assert right in (await asking.ask(model, words)).output_text
    home.kubectl("scale", "agent/resting", "--replicas=1")
    answers = await asking.all_ended(runs)
    for answer, (_, right, _) in zip(answers, kept, strict=True):
        assert right in answer.output_text


@pytest.mark.fault(24)
async def test_without_the_trust_plane_who_is_in_stays_and_nobody_comes_in(
    namespace: Namespace, shared: Shared, started: Start
) -> None:
    system = Namespace(SYSTEM)
    model = started(namespace, agent("inside", shared.stack, shared.add))
    scale = ("scale", "deployment/k8gentai-trust")
    replicas = system.get("deployment/k8gentai-trust")["spec"]["replicas"]

    system.kubectl(*scale, "--replicas=0")
    try:
        system.kubectl("wait", "--for=delete", "pods", "-l", TRUST_PODS, "--timeout=30s")
        namespace.apply(agent("outside", shared.stack, shared.add))
        namespace.kubectl(
            "wait", "--for=jsonpath={.status.phase}=Running", "pods", "--all", "--timeout=30s"
        )
        await asyncio.sleep(BOUND_SECONDS)  # more than a worker needs to become ready
        assert namespace.get("agent/outside")["status"]["readyReplicas"] == 0
        words, right, _ = sum_of_two()
        assert right in (await shared.asking.ask(model, words)).output_text
    finally:
        system.kubectl(*scale, f"--replicas={replicas}")

    namespace.wait_ready("agent/outside", seconds=40)
