"""With a policy that says SPIRE, workloads prove themselves by SVIDs, and by nothing else."""

import asyncio
import json
import secrets
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from e2e.asking import Asking, eventually
from e2e.conftest import a_namespace
from e2e.kubectl import Body, Namespace, kubectl, until
from e2e.manifests import EFFECTS, READ_EFFECTS, agent, config_map, stack, tool

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(240)]

ROOT = Path(__file__).parents[1]
CLUSTER = ROOT / "hack" / "cluster" / "cluster.sh"
SAMPLE = ROOT / "config" / "samples" / "identity" / "policy.yaml"
JWT_SECONDS = 60
FULL = "spiffe://k8gentai.local/ns/{}/{}"
WORKLOADS = ("agent/math", "agent/spare", "tool/add", "stack/default", "dispatcher/default")
OURS = "app.kubernetes.io/part-of=k8gentai"
SOCKET = "/var/run/secrets/k8gentai/spire-agent.sock"
READY = ("stack/default", "tool/add", "agent/math", "agent/spare")
STAYING = ("stack/default", "tool/add", "agent/math")

SLOW = 1_000_000
ADDS = f'''
import time

def add(a: float, b: float) -> float:
    """Add two numbers.

    Args:
        a: the first number
        b: the second number
    """
    with open("{EFFECTS}", "a") as effects:
        effects.write(f"{{a:g}} {{b:g}}\\n")
    time.sleep({JWT_SECONDS + 10} if a > {SLOW} else 0)
    return a + b
'''
FETCH = f"""
import sys, time
from runtime.identity.token import NoProof
from runtime.identity.workload_api import fetch_jwt_svid
for _ in range(int(sys.argv[2])):
    try:
        print("an SVID", len(fetch_jwt_svid("{SOCKET}", "k8gentai", sys.argv[1]).token.split(".")))
        break
    except NoProof as error:
        told = error
        time.sleep(1)
else:
    print(told)
"""
SECRETS = """
import pathlib
for found in sorted(pathlib.Path("/var/run/secrets").rglob("*")):
    print(found)
"""


def policy(provider: str) -> Body:
    """The sample, with SVIDs that do not live long."""
    made: Body = yaml.safe_load(SAMPLE.read_text())
    assert made["spec"]["workloadIdentity"]["provider"] == "SPIRE"
    made["spec"]["workloadIdentity"] = {"provider": provider, "jwtSeconds": JWT_SECONDS}
    return made


@pytest.fixture(scope="module")
def home(leaving: list[str]) -> Iterator[Namespace]:
    """A Stack with a tool and an agent, all of them under a policy of SPIRE."""
    with a_namespace("spire", leaving) as home:
        home.apply(
            policy("SPIRE"),
            stack("default"),
            config_map("adds", adds=ADDS),
            tool("add", "adds:add", "adds", {"name": "default"}),
            agent("math", {"name": "default"}, {"name": "add"}),
            agent("spare", {"name": "default"}),
        )
        home.wait_ready(*READY, seconds=120)
        yield home


async def asked(home: Namespace, *, least: int = 0) -> str:
    """What the agent is asked gets the right answer, and has one effect; gives that."""
    a, b = least + secrets.randbelow(900_000) + 1, secrets.randbelow(900_000) + 1
    with home.reached("stack-default", 8321) as address:
        asking = Asking(f"http://{address}")
        response = await asking.begin("math", f"What is {a} plus {b}?")
        answer = await asking.ended(response, seconds=120)
    assert answer.status == "completed"
    assert str(a + b) in answer.output_text
    return f"{float(a):g} {float(b):g}"


def volumes(home: Namespace) -> Iterator[Body]:
    """Of every pod that comes to the queue; NATS itself does not."""
    for pod in home.every("pods", OURS):
        if pod["metadata"]["labels"]["app.kubernetes.io/component"] != "messaging":
            yield from pod["spec"]["volumes"]


def spiffe_ids(home: Namespace) -> list[Body]:
    """The ClusterSPIFFEIDs of what is in the namespace."""
    label = f"k8gentai.dev/owner-namespace={home.name}"
    found: list[Body] = json.loads(kubectl("get", "clusterspiffeids", "-o=json", "-l", label))[
        "items"
    ]
    return found


def spire(*words: str) -> str:
    """What `cluster.sh` prints."""
    done = subprocess.run([str(CLUSTER), *words], capture_output=True, text=True, check=True)
    return done.stdout


def effects(home: Namespace) -> list[str]:
    """What the tool has done, a line each."""
    return home.python("deployment/tool-add", READ_EFFECTS).splitlines()


def is_without_svid(home: Namespace) -> bool:
    """Whether the agent's worker has said that there is no SPIRE agent."""
    return "there is no SPIRE agent" in home.kubectl("logs", "deployment/agent-math")


def entries(home: Namespace) -> list[str]:
    """The paths of the SPIRE server's registration entries for the namespace."""
    shown = spire("spire", "entry", "show", "-output", "json")
    paths = (one["spiffe_id"]["path"] for one in json.loads(shown)["entries"])
    return sorted(path for path in paths if path.startswith(f"/ns/{home.name}/"))


def admitted(who: str) -> int:
    """How often the trust plane has let `who` in."""
    log = kubectl(
        "-n", "k8gentai-system", "logs", "-l", "app.kubernetes.io/name=k8gentai-trust", "--tail=-1"
    )
    lines = (line for line in log.splitlines() if f'"{who}"' in line)
    return sum("connection admitted" in line for line in lines)


async def test_an_agent_its_tool_and_their_stack_answer_by_svids(home: Namespace) -> None:
    await asked(home)

    assert home.get("agent/math")["status"]["spiffeID"] == FULL.format(home.name, "agent/math")
    condition = home.condition("agent/math", "IdentityReady")
    assert condition is not None
    assert condition["reason"] == "IdentityReady"
    assert entries(home) == sorted(f"/ns/{home.name}/{one}" for one in WORKLOADS)
    for workload in WORKLOADS:
        assert admitted(FULL.format(home.name, workload))


@pytest.mark.fault(36)
def test_no_pod_has_a_token_of_its_service_account(home: Namespace) -> None:
    assert not [volume for volume in volumes(home) if "projected" in volume]
    drivers = [volume["csi"]["driver"] for volume in volumes(home) if "csi" in volume]
    assert drivers == ["csi.spiffe.io"] * len(WORKLOADS)
    for pod in ("deployment/agent-math", "deployment/tool-add", "deployment/server-default"):
        found = home.python(pod, SECRETS).split()
        assert found == ["/var/run/secrets/k8gentai", SOCKET]


@pytest.mark.fault(24)
@pytest.mark.fault(25)
async def test_work_that_outlives_every_svid_is_done_once(home: Namespace) -> None:
    """The SVIDs that the agent and its tool came with end in the middle of the call.

    And when the first new ones are due, SPIRE is down.
    """
    who = [FULL.format(home.name, one) for one in ("agent/math", "tool/add")]
    before, done = [admitted(one) for one in who], len(effects(home))

    asking = asyncio.create_task(asked(home, least=SLOW))
    await eventually(lambda: len(effects(home)) > done, "the tool has been called")
    await asyncio.to_thread(spire, "spire-down")
    await eventually(lambda: is_without_svid(home), "a worker could not renew its SVID")
    await asyncio.to_thread(spire, "spire")
    effect = await asking

    assert effects(home).count(effect) == 1
    assert all(admitted(one) > times for one, times in zip(who, before, strict=True))


def test_who_has_the_labels_and_not_the_service_account_gets_no_svid(home: Namespace) -> None:
    mine = FULL.format(home.name, "agent/math")
    template = home.get("deployment/agent-math")["spec"]["template"]
    container = template["spec"]["containers"][0]
    labels = {
        name: value
        for name, value in template["metadata"]["labels"].items()
        if name.startswith("app.kubernetes.io/")
    }
    command = {"command": ["python", "-c", FETCH, mine, "8"], "readinessProbe": None}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "impostor", "labels": labels},
        "spec": {
            **template["spec"],
            "serviceAccountName": "default",
            "serviceAccount": "default",
            "restartPolicy": "Never",
            "containers": [container | command],
        },
    }
    home.apply(pod)

    assert home.python("deployment/agent-math", FETCH, mine, "1").strip() == "an SVID 3"
    until(
        lambda: home.get("pod/impostor")["status"]["phase"] == "Succeeded", "the impostor gave up"
    )
    assert f"the SPIRE agent has no SVID for {mine}" in home.kubectl("logs", "impostor")
    home.delete("pod/impostor")


def test_what_is_deleted_leaves_no_identity(home: Namespace) -> None:
    spare = f"/ns/{home.name}/agent/spare"
    assert spare in entries(home)

    home.delete("agent/spare", seconds=90)

    assert not [one for one in spiffe_ids(home) if one["metadata"]["name"].endswith("spare")]
    until(lambda: spare not in entries(home), "SPIRE has forgotten it", 30)


async def test_back_to_tokens_all_of_it_rolls_over(home: Namespace) -> None:
    home.apply(policy("ServiceAccount"))

    def is_over() -> bool:
        found = list(volumes(home))
        return sum("projected" in one for one in found) == len(WORKLOADS) - 1 and not any(
            "csi" in one for one in found
        )

    await asyncio.to_thread(until, is_over, "every pod has a token again", 120)
    home.wait_ready(*STAYING)
    await asked(home)
    assert not spiffe_ids(home)
    await asyncio.to_thread(until, lambda: not entries(home), "SPIRE has forgotten them", 30)
