"""`k8gentai dead` as people call it, on a real queue that holds dead letters."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from controller.dead import Installation, NoLetter, in_a_cluster, in_the_pod, on_this_machine
from controller.desired.trust import TRUST_FILE, TRUST_NAME
from controller.local.site import NAMESPACE, config_dir, token_file
from controller.tests.fakes import FakeCluster
from runtime.contract.dead_letter import DeadLetter
from runtime.contract.messages import Message, Role, Task
from runtime.contract.subjects import Stream
from runtime.contract.trust_config import Role as WorkloadRole
from runtime.contract.trust_config import TrustConfig, TrustedStack
from runtime.contract.value import ObjectName
from runtime.tests.nats import OPERATOR, RunningStack, running_stack, trust_config

ROOT = Path(__file__).parents[2]
STACK = ObjectName(namespace="team", name="default")
MATH = ObjectName(namespace="team", name="math")
OTHER = ObjectName(namespace="team", name="other")
NOWHERE = TrustConfig(
    issuers=(),
    operator=OPERATOR,
    account_seed_file="",
    user_seed_file="",
    xkey_seed_file="",
    stacks=(TrustedStack(stack=STACK, url="nats://127.0.0.1:1"),),
)
POD = {
    "K8GENTAI_NAMESPACE": NAMESPACE,
    "K8GENTAI_SERVICE_ACCOUNT": "k8gentai-operator",
    "K8GENTAI_IMAGE_PREFIX": "k8gentai",
    "K8GENTAI_IMAGE_TAG": "1",
}


@dataclass(frozen=True)
class Said:
    """What the command wrote, and how it ended."""

    code: int | None
    out: str
    err: str


async def k8gentai(*words: str) -> Said:
    environment = {name: value for name, value in os.environ.items() if "K8GENTAI" not in name}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "controller.cli", *words),
        cwd=ROOT,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return Said(process.returncode, out.decode(), err.decode())


def written(folder: Path, config: TrustConfig) -> Path:
    """The folder of an embedded platform, as far as it matters here."""
    place = config_dir(folder, ObjectName(namespace=NAMESPACE, name=TRUST_NAME))
    place.mkdir(parents=True)
    (place / TRUST_FILE).write_bytes(config.encode())
    token_file(folder, OPERATOR).parent.mkdir(parents=True)
    return folder


def letter(number: int) -> DeadLetter:
    task = Task(
        id=f"t{number}",
        stack=STACK,
        agent=MATH,
        origin="o",
        input=(Message(role=Role.USER, text=f"question {number}"),),
        created=1,
        deadline=2,
    )
    return DeadLetter(
        stream=Stream.TASKS,
        sequence=100 + number,
        reason=f"gave up after {number} attempts",
        deliveries=number,
        work=task.id,
        data=task.encode(),
    )


@pytest.fixture
async def nats(tmp_path: Path) -> AsyncIterator[RunningStack]:
    async with running_stack(STACK, tmp_path) as running:
        yield running


async def bury(nats: RunningStack, *letters: DeadLetter) -> None:
    """Publish dead letters as the dispatcher does."""
    subject = nats.subjects.dead(Stream.TASKS, MATH)
    async with nats.link_as(await nats.serving(WorkloadRole.DISPATCHER)) as link:
        for each in letters:
            await link.outbox.publish(
                subject, each.data, msg_id=each.msg_id, headers=each.headers()
            )


def running_platform(nats: RunningStack, folder: Path, *stacks: TrustedStack) -> Path:
    """The folder that `up` would have made for this queue."""
    config = trust_config(nats)
    state = written(folder, config.model_copy(update={"stacks": (*config.stacks, *stacks)}))
    nats.issuer.write_token(token_file(state, OPERATOR), OPERATOR, 600)
    return state


@pytest.mark.integration
@pytest.mark.fault(6)
async def test_dead_letters_are_listed_newest_first_and_shown(
    nats: RunningStack, tmp_path: Path
) -> None:
    state = running_platform(nats, tmp_path / "state")
    none = await k8gentai("dead", "list", "--state", str(state))
    assert (none.code, none.out, none.err) == (0, "", "team/default has no dead letters\n")

    await bury(nats, *(letter(number) for number in range(1, 21)))
    listed = await k8gentai("dead", "list", "--state", str(state), "--limit", "19")
    assert listed.code == 0, listed.err
    lines = listed.out.splitlines()
    assert [line.split()[0] for line in lines] == ["ID", *map(str, range(20, 1, -1))]
    assert lines[1].split()[2:] == ["team/math", "20", *["gave", "up", "after", "20", "attempts"]]
    assert listed.err == "there are older ones than these 19; --limit shows more\n"

    shown = await k8gentai("dead", "show", "7", "--state", str(state), "--stack", "team/default")
    assert shown.code == 0, shown.err
    assert "for        team/math, task t7\n" in shown.out
    assert "input      user: question 7\n" in shown.out

    gone = await k8gentai("dead", "show", "21", "--state", str(state))
    assert (gone.code, gone.out) == (1, "")
    assert gone.err.startswith("error: team/default has no dead letter 21; `k8gentai dead list`")


@pytest.mark.integration
async def test_what_is_no_letter_keeps_nobody_from_reading_the_others(
    nats: RunningStack, tmp_path: Path
) -> None:
    state = running_platform(nats, tmp_path / "state")
    await nats.put(nats.subjects.dead(Stream.TASKS, MATH), b"what is this?")
    await bury(nats, letter(1))
    listed = await k8gentai("dead", "list", "--state", str(state))
    assert [line.split()[0] for line in listed.out.splitlines()] == ["ID", "2"]
    assert listed.err == (
        "1 cannot be read: no dead letter: the header K8gentai-Dead-Stream is missing\n"
    )


@pytest.mark.integration
async def test_of_several_stacks_one_has_to_be_named(nats: RunningStack, tmp_path: Path) -> None:
    other = TrustedStack(stack=OTHER, url="nats://127.0.0.1:1")
    state = running_platform(nats, tmp_path / "state", other)
    unnamed = await k8gentai("dead", "list", "--state", str(state))
    assert unnamed.code == 1
    assert unnamed.err == (
        "error: no Stack is named: --stack takes one of those there are: team/default, team/other\n"
    )
    named = await k8gentai("dead", "list", "--state", str(state), "--stack", "team/default")
    assert named.code == 0
    away = await k8gentai("dead", "list", "--state", str(state), "--stack", "team/other")
    assert away.code == 1
    assert away.err.startswith("error: the queue at nats://127.0.0.1:1 cannot be reached: ")


@pytest.mark.parametrize(
    ("words", "why"),
    [
        pytest.param(["show", "0"], "'0' is no number from 1", id="number"),
        pytest.param(["list", "--stack", "a/b/c"], "'a/b/c' names no object", id="stack"),
    ],
)
async def test_a_wrong_command_is_told(words: list[str], why: str) -> None:
    said = await k8gentai("dead", *words)
    assert said.code == 2
    assert why in said.err


def test_a_folder_of_no_platform_is_told(tmp_path: Path) -> None:
    with pytest.raises(
        NoLetter, match=f"^nothing runs with the state folder {tmp_path}: `k8gentai up` says"
    ):
        on_this_machine(tmp_path)


def test_on_a_machine_without_a_platform_both_ways_are_named() -> None:
    with pytest.raises(NoLetter) as told:
        in_the_pod({})
    assert "--state" in str(told.value)
    assert "kubectl exec -n k8gentai-system deploy/k8gentai-operator" in str(told.value)


async def test_the_operators_pod_has_what_it_takes() -> None:
    """The Stacks from the ConfigMap of the trust plane, the proof from its own volume."""
    settings = in_the_pod(POD)
    cluster = FakeCluster()
    with pytest.raises(NoLetter, match="the ConfigMap k8gentai-trust is not there yet"):
        await in_a_cluster(settings, cluster)
    cluster.config_maps[(NAMESPACE, TRUST_NAME)] = {TRUST_FILE: NOWHERE.encode().decode()}
    assert await in_a_cluster(settings, cluster) == Installation(
        NOWHERE, Path("/var/run/secrets/k8gentai/token")
    )
