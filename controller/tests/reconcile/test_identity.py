"""Workloads with SVIDs, from the policy to the status and back."""

import dataclasses
from typing import Any

import pytest

from controller.api.names import Kind
from controller.model import Key, Spire
from controller.tests import samples
from controller.tests.fakes import SITE
from controller.tests.reconcile.scene import Scene, is_true, running, told
from runtime.contract.agent_config import AgentConfig
from runtime.contract.keys import workload_entry
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName

MATH = Key(Kind.AGENT, "team", "math")
SVID = "spiffe://example.org/ns/team/agent/math"
NAME = "k8gentai.team.agent-math"
BY_SPIRE: dict[str, Any] = {"workloadIdentity": {"provider": "SPIRE", "jwtSeconds": 120}}
ALL_WELL: dict[str, int] = {"podsSelected": 1, "entriesToSet": 1}


@pytest.fixture
def scene() -> Scene:
    scene = Scene()
    spire = Spire(trust_domain="example.org", jwks_url="https://spire")
    scene.world.site = dataclasses.replace(SITE, spire=spire)
    return scene


def spiffe_ids(scene: Scene) -> dict[str, Any]:
    return {
        ref.name: body for ref, body in scene.cluster.owned.items() if ref.kind == "ClusterSPIFFEID"
    }


def registers(scene: Scene, stats: dict[str, int], name: str = NAME) -> None:
    """SPIRE's controller manager has looked."""
    for ref, body in scene.cluster.owned.items():
        if ref.name == name:
            scene.cluster.owned[ref] = {**body, "status": {"stats": stats}}


def entry(scene: Scene) -> Workload:
    key = workload_entry(ObjectName(namespace="team", name="agent-math"))
    value = next(value for ref, value in scene.queue.entries.items() if ref.key == key)
    return Workload.decode(value)


async def with_spire(scene: Scene) -> tuple[Key, Key, Key, Key]:
    """The agent of three that run has a policy, and SPIRE has registered it."""
    keys = await running(scene)
    policy = scene.cluster.put(samples.policy(**BY_SPIRE))
    await scene.rest(policy, *keys)
    registers(scene, ALL_WELL)
    await scene.rest(policy, *keys)
    return (policy, *keys)


async def test_a_policy_gives_its_target_an_svid_and_takes_the_token(scene: Scene) -> None:
    await with_spire(scene)

    (made,) = spiffe_ids(scene).values()
    assert made["spec"]["spiffeIDTemplate"] == SVID
    assert made["spec"]["jwtTtl"] == "120s"
    assert "ownerReferences" not in made["metadata"]
    pod = scene.cluster.child("Deployment", "agent-math")["spec"]["template"]["spec"]
    volume = next(one for one in pod["volumes"] if one["name"] == "identity")
    assert volume == {"name": "identity", "csi": {"driver": "csi.spiffe.io", "readOnly": True}}
    assert pod["automountServiceAccountToken"] is False
    config = AgentConfig.decode(
        scene.cluster.child("ConfigMap", "agent-math")["data"]["agent.json"]
    )
    assert config.queue.token_file is None
    assert config.queue.workload_api is not None
    assert (entry(scene).spiffe_id, entry(scene).service_account_token) == (SVID, False)
    assert is_true(scene, MATH, "Ready")
    assert told(scene, MATH, "IdentityReady")[2] == f"workers prove themselves as {SVID}"
    assert scene.cluster.objects[MATH]["status"]["spiffeID"] == SVID


async def test_a_policy_on_a_stack_is_for_all_of_it(scene: Scene) -> None:
    keys = await running(scene)
    refs = [{"kind": "Stack", "name": "default"}]
    policy = scene.cluster.put(samples.policy(targetRefs=refs, **BY_SPIRE))

    await scene.rest(policy, *keys)

    made = {body["spec"]["spiffeIDTemplate"] for body in spiffe_ids(scene).values()}
    assert made == {
        f"spiffe://example.org/ns/team/{path}"
        for path in ("agent/math", "tool/add", "stack/default", "dispatcher/default")
    }
    (dispatcher,) = (name for name in spiffe_ids(scene) if "dispatcher" in name)
    for name in spiffe_ids(scene):
        registers(scene, ALL_WELL, name)
    registers(scene, {"podsSelected": 1, "entryFailures": 1}, dispatcher)
    await scene.rest(policy, *keys)
    assert dispatcher in told(scene, keys[0], "IdentityReady")[2]


@pytest.mark.parametrize(
    ("stats", "status", "reason", "message"),
    [
        (None, "Unknown", "SpireEntryMissing", "has not looked at it yet"),
        ({"podsSelected": 0}, "Unknown", "SpireEntryMissing", "it selects no pod yet"),
        (
            {"podsSelected": 2, "entriesToSet": 1},
            "Unknown",
            "SpireEntryMissing",
            "1 of 2 pods are registered",
        ),
        (
            {"podsSelected": 1, "podEntryRenderFailures": 1},
            "False",
            "SpireEntryMissing",
            "can make no registration entry of it",
        ),
        (
            {**ALL_WELL, "entryFailures": 1},
            "False",
            "SpireEntryMissing",
            "refuses its registration entries",
        ),
        (
            {"podsSelected": 1, "entriesMasked": 1},
            "False",
            "SpireEntryMissing",
            "another ClusterSPIFFEID registers the same pods",
        ),
        ({"namespacesIgnored": 1}, "False", "SpireEntryMissing", "ignores the namespace"),
    ],
)
async def test_what_spire_lacks_is_told(
    scene: Scene, stats: dict[str, int] | None, status: str, reason: str, message: str
) -> None:
    keys = await with_spire(scene)
    if stats is None:
        body = next(iter(spiffe_ids(scene).values()))
        del body["status"]
    else:
        registers(scene, stats)

    await scene.rest(*keys)

    found = told(scene, MATH, "IdentityReady")
    assert found[:2] == (status, reason)
    assert message in found[2]
    assert NAME in found[2]
    assert told(scene, MATH, "Ready")[0] == status


async def test_registered_is_not_enough_as_long_as_no_worker_has_come(scene: Scene) -> None:
    policy, *keys = await with_spire(scene)
    scene.cluster.settle(ready=False)

    for key in (policy, *keys):
        await scene.reconcile(key)

    assert told(scene, MATH, "IdentityReady")[:2] == ("Unknown", "SvidMissing")


async def test_an_agent_without_workers_needs_no_pod(scene: Scene) -> None:
    await with_spire(scene)
    scene.cluster.put(samples.agent(tools=[{"toolRef": {"name": "add"}}], suspend=True))
    registers(scene, {"podsSelected": 0})

    await scene.rest(MATH)

    assert is_true(scene, MATH, "IdentityReady")


async def test_without_spire_what_runs_stays_as_it_is_and_the_status_says_why(
    scene: Scene,
) -> None:
    keys = await running(scene)
    before = scene.cluster.child("Deployment", "agent-math")["spec"]
    scene.cluster.has_spire = False
    policy = scene.cluster.put(samples.policy(**BY_SPIRE))

    await scene.rest(policy, *keys)

    status, reason, message = told(scene, MATH, "IdentityReady")
    assert (status, reason) == ("False", "SpireMissing")
    assert "install SPIRE and its controller manager, or choose ServiceAccount" in message
    assert told(scene, MATH, "Stalled")[1] == "SpireMissing"
    assert scene.cluster.child("Deployment", "agent-math")["spec"] == before
    assert entry(scene).service_account_token

    scene.cluster.has_spire = True
    await scene.rest(policy, *keys)
    registers(scene, ALL_WELL)
    await scene.rest(policy, *keys)
    assert is_true(scene, MATH, "Ready")


async def test_back_to_tokens_nothing_of_spire_is_left(scene: Scene) -> None:
    policy, *keys = await with_spire(scene)
    scene.cluster.objects.pop(policy)

    await scene.rest(*keys)

    assert not spiffe_ids(scene)
    pod = scene.cluster.child("Deployment", "agent-math")["spec"]["template"]["spec"]
    assert "projected" in next(one for one in pod["volumes"] if one["name"] == "identity")
    assert entry(scene).spiffe_id is None
    assert "spiffeID" not in scene.cluster.objects[MATH]["status"]
    assert is_true(scene, MATH, "Ready")


async def test_a_deleted_agent_leaves_no_identity(scene: Scene) -> None:
    await with_spire(scene)
    scene.delete(MATH)

    for _ in range(5):
        scene.wait(2)
        if (await scene.reconcile(MATH)).finished:
            break

    assert MATH not in scene.cluster.objects
    assert not spiffe_ids(scene)


async def test_one_taken_away_by_hand_is_made_again(scene: Scene) -> None:
    _, *keys = await with_spire(scene)
    ref = next(ref for ref in scene.cluster.owned if ref.kind == "ClusterSPIFFEID")
    scene.cluster.owned.pop(ref)

    await scene.rest(*keys)

    assert NAME in spiffe_ids(scene)
    assert any(str(ref) in event.message for event in scene.cluster.events)
