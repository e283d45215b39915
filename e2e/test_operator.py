"""The operator as a process of the cluster: what it may do, what wakes it, how it goes."""

import asyncio
import json
import time
from collections.abc import Callable

import pytest

from e2e.asking import eventually
from e2e.conftest import SHARED, Shared, Start
from e2e.kubectl import Body, Namespace, kubectl, run, until
from e2e.manifests import ADDS, agent, config_map, module_agent, tool
from e2e.queue import OPERATOR, SYSTEM, looked_into

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

PODS = f"app.kubernetes.io/name={OPERATOR.name}"
TERMINATE = "import os, signal; os.kill(1, signal.SIGTERM)"
METRICS = (
    "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8080/metrics').read().decode())"
)
EXIT_SECONDS = 5
RESYNC_SECONDS = 60
RUNS = 8

system = Namespace(SYSTEM)


def _asked_to_go() -> None:
    """SIGTERM: it ends well, and soon."""
    before = _container()["restartCount"]
    began = time.monotonic()
    system.python(f"deployment/{OPERATOR.name}", TERMINATE)
    until(lambda: _container()["restartCount"] > before, "it has ended", EXIT_SECONDS + 2)
    assert time.monotonic() - began < EXIT_SECONDS + 2
    assert _container()["lastState"]["terminated"]["exitCode"] == 0


def _killed() -> None:
    system.kubectl("delete", "pods", "-l", PODS, "--force", "--grace-period=0")


def _container() -> Body:
    (pod,) = system.every("pods", PODS)
    status: Body = pod["status"]["containerStatuses"][0]
    return status


@pytest.mark.fault(16, 19)
@pytest.mark.parametrize("end", [_asked_to_go, _killed])
async def test_an_operator_that_goes_in_the_middle_of_a_deletion_finishes_it(
    namespace: Namespace, shared: Shared, started: Start, end: Callable[[], None]
) -> None:
    """The agent is deleted with work that takes longer than the operator is there."""
    slow = agent("busy", shared.stack, modelRef={"name": "slow"}, execution={"concurrency": 1})
    model = started(namespace, slow)
    runs = [await shared.asking.begin(model, "Hello") for _ in range(RUNS)]
    await asyncio.to_thread(namespace.kubectl, "delete", "agent/busy", "--wait=false")

    await asyncio.to_thread(end)

    assert (await asyncio.to_thread(namespace.get, "agent/busy"))["metadata"]["deletionTimestamp"]
    await eventually(lambda: namespace.find("agent/busy") is None, "it is gone", 120)
    ended = [run.status for run in await shared.asking.all_ended(runs)]
    assert ended == ["completed"] * RUNS
    assert not namespace.every("all,configmaps,serviceaccounts", "k8gentai.dev/owner-kind")
    async with looked_into(shared.namespace, SHARED) as queue:
        left = await queue.work_of(namespace.name)
    assert not left.consumers
    assert not left.entries


def test_nothing_is_noted_on_objects_but_that_somebody_cleans_up(
    namespace: Namespace, shared: Shared
) -> None:
    namespace.apply(agent("plain", shared.stack, replicas=0))
    namespace.wait_ready("agent/plain")
    namespace.patch("agent/plain", {"description": "changed"})
    namespace.wait_reason("agent/plain", "Programmed", "Programmed")

    metadata = namespace.get("agent/plain")["metadata"]

    assert metadata["finalizers"] == ["k8gentai.dev/cleanup"]
    assert set(metadata["annotations"]) == {"kubectl.kubernetes.io/last-applied-configuration"}


def test_a_change_of_the_code_that_a_spec_names_takes_effect_at_once(
    namespace: Namespace, shared: Shared
) -> None:
    namespace.apply(config_map("mine", mine=ADDS), tool("mine", "mine:add", "mine", shared.stack))
    first = until(lambda: _revision(namespace), "a worker")
    began = time.monotonic()

    namespace.apply(config_map("mine", mine=f"{ADDS}\n# changed"))

    until(lambda: _revision(namespace) != first, "another revision", RESYNC_SECONDS / 2)
    assert time.monotonic() - began < RESYNC_SECONDS / 4


def _revision(namespace: Namespace) -> str | None:
    found = namespace.find("deployment/tool-mine")
    if found is None:
        return None
    return str(found["spec"]["template"]["metadata"]["annotations"]["k8gentai.dev/revision"])


POISON = """
import os

from langgraph.graph import END, START, MessagesState, StateGraph


def answer(state):
    os._exit(9)


graph = StateGraph(MessagesState)
graph.add_node(answer)
graph.add_edge(START, "answer")
graph.add_edge("answer", END)
"""


@pytest.mark.fault(5)
async def test_a_dead_letter_can_be_read_in_its_pod(
    namespace: Namespace, shared: Shared, started: Start
) -> None:
    namespace.apply(config_map("poison", poison=POISON))
    once = {"maxAttempts": 1}
    body = module_agent("poison", shared.stack, "poison:graph", "poison", retryPolicy=once)
    model = started(namespace, body)
    assert (await shared.asking.ask(model, "Swallow this")).status == "failed"

    def dead(*words: str) -> list[str]:
        command = ("python", "-m", "controller.cli", "dead", *words)
        stack = f"{shared.namespace.name}/{SHARED}"
        return system.kubectl(
            "exec", f"deployment/{OPERATOR.name}", "--", *command, "--stack", stack
        ).splitlines()

    owner = f"{namespace.name}/poison"
    row = await asyncio.to_thread(
        until, lambda: next((one for one in dead("list") if owner in one), None), "a dead letter"
    )
    shown = await asyncio.to_thread(dead, "show", row.split()[0])
    assert ["input", "user:", "Swallow", "this"] in [line.split() for line in shown]


OPERATOR_ACCOUNT = f"system:serviceaccount:{SYSTEM}:{OPERATOR.name}"
TRUST_ACCOUNT = f"system:serviceaccount:{SYSTEM}:k8gentai-trust"


@pytest.mark.parametrize(
    ("account", "may", "words"),
    [
        pytest.param(OPERATOR_ACCOUNT, False, "get secrets -n default", id="look for a key"),
        pytest.param(
            OPERATOR_ACCOUNT, True, f"get secrets/k8gentai-trust-keys -n {SYSTEM}", id="its own"
        ),
        pytest.param(OPERATOR_ACCOUNT, False, f"get secrets/x -n {SYSTEM}", id="its own alone"),
        pytest.param(OPERATOR_ACCOUNT, False, "list secrets -A", id="look around in Secrets"),
        pytest.param(OPERATOR_ACCOUNT, False, "watch secrets -A", id="follow Secrets"),
        pytest.param(OPERATOR_ACCOUNT, False, "create secrets -n default", id="make Secrets"),
        pytest.param(OPERATOR_ACCOUNT, False, "patch secrets -A", id="change Secrets"),
        pytest.param(
            OPERATOR_ACCOUNT,
            True,
            f"patch secret/k8gentai-trust-keys -n {SYSTEM}",
            id="rotate keys",
        ),
        pytest.param(OPERATOR_ACCOUNT, False, "create pods -A", id="make bare pods"),
        pytest.param(OPERATOR_ACCOUNT, False, "create pods --subresource=exec -A", id="exec"),
        pytest.param(
            OPERATOR_ACCOUNT,
            False,
            "create serviceaccounts --subresource=token -A",
            id="take tokens",
        ),
        pytest.param(OPERATOR_ACCOUNT, False, "create rolebindings -A", id="grant anything"),
        pytest.param(OPERATOR_ACCOUNT, False, "delete agents.k8gentai.dev -A", id="delete agents"),
        pytest.param(TRUST_ACCOUNT, True, f"get cm/k8gentai-trust -n {SYSTEM}", id="trust reads"),
        pytest.param(TRUST_ACCOUNT, False, f"get cm/other -n {SYSTEM}", id="only what it needs"),
        pytest.param(TRUST_ACCOUNT, False, f"get secrets -n {SYSTEM}", id="trust and Secrets"),
    ],
)
def test_accounts_may_do_what_they_need_and_no_more(
    account: str,
    may: bool,  # noqa: FBT001 - a column of the table
    words: str,
) -> None:
    answer = run("auth", "can-i", *words.split(), f"--as={account}")

    assert answer.stdout.strip() == ("yes" if may else "no"), answer.stderr


def test_the_owner_of_a_namespace_lets_the_operator_look_at_its_secrets(
    namespace: Namespace,
) -> None:
    asked = ("auth", "can-i", "get", "secrets", "-n", namespace.name, f"--as={OPERATOR_ACCOUNT}")
    assert run(*asked).stdout.strip() == "no"
    whom = f"--serviceaccount={SYSTEM}:{OPERATOR.name}"

    namespace.kubectl("create", "rolebinding", "look", "--clusterrole=k8gentai-secrets", whom)

    until(lambda: run(*asked).stdout.strip() == "yes", "the permission")


def test_what_it_logs_is_a_json_object_a_line() -> None:
    lines = kubectl("-n", SYSTEM, "logs", f"deployment/{OPERATOR.name}").splitlines()

    assert lines
    for line in lines:
        assert {"time", "level", "logger", "message"} <= json.loads(line).keys()


def test_it_counts_what_it_does(namespace: Namespace, shared: Shared) -> None:
    namespace.apply(agent("counted", shared.stack, replicas=0))
    namespace.wait_ready("agent/counted")

    counted = system.python(f"deployment/{OPERATOR.name}", METRICS)

    assert 'k8gentai_reconciles_total{kind="Agent",outcome="settled"}' in counted
    assert 'k8gentai_objects{kind="Agent"}' in counted
