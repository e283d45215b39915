import json
from typing import Any

import pytest

from controller.api.names import ANNOTATION_REVISION
from controller.model import Container, Key, Pod, Provider, Retention, ServerFacts
from controller.tests import samples
from controller.tests.reconcile.scene import Scene, is_true, running, told
from runtime.contract.subjects import Bucket, Stream
from runtime.contract.trust_config import Role as QueueRole
from runtime.contract.trust_config import TrustConfig, Workload

KEYCLOAK = "https://keycloak.example/realms/agents"
SERVER = "http://stack-default.team.svc:8321"


def trust(scene: Scene) -> TrustConfig:
    child = scene.cluster.child("ConfigMap", "k8gentai-trust", "k8gentai-system")
    return TrustConfig.decode(child["data"]["trust.json"])


async def test_from_apply_to_ready(scene: Scene) -> None:
    stack = scene.cluster.put(samples.stack())

    await scene.rest(stack)

    assert told(scene, stack, "Ready") == (
        "True",
        "Ready",
        "1 of 1 API server ready; 3 of 3 NATS servers ready; 1 of 1 dispatcher ready",
    )
    assert {(ref.kind, ref.name) for ref in scene.cluster.owned if ref.namespace == "team"} == {
        ("ServiceAccount", "nats-default"),
        ("ConfigMap", "nats-default"),
        ("Service", "nats-default"),
        ("Service", "peers-default"),
        ("NetworkPolicy", "nats-default"),
        ("StatefulSet", "nats-default"),
        ("ServiceAccount", "server-default"),
        ("ConfigMap", "server-default"),
        ("PersistentVolumeClaim", "server-default"),
        ("NetworkPolicy", "server-default"),
        ("Service", "stack-default"),
        ("Deployment", "server-default"),
        ("ServiceAccount", "dispatcher-default"),
        ("ConfigMap", "dispatcher-default"),
        ("NetworkPolicy", "dispatcher-default"),
        ("Deployment", "dispatcher-default"),
    }
    assert set(scene.queue.streams) == {f"team_default_{stream}" for stream in Stream}
    assert set(scene.queue.buckets) == {f"team_default_{bucket}" for bucket in Bucket}
    roles = {
        ref.key: Workload.decode(value).role
        for ref, value in scene.queue.entries.items()
        if ref.bucket == "team_default_policy"
    }
    assert roles == {
        "workloads.team.server-default": QueueRole.SERVER,
        "workloads.team.dispatcher-default": QueueRole.DISPATCHER,
    }


async def test_the_server_starts_while_the_queue_does(scene: Scene) -> None:
    """It takes longest to start; the dispatcher has to wait for what it pulls from."""
    stack = scene.cluster.put(samples.stack())
    scene.nats_is_down()

    await scene.reconcile(stack)

    workloads = {
        ref.name for ref in scene.cluster.owned if ref.kind in ("Deployment", "StatefulSet")
    }
    assert workloads == {"nats-default", "server-default"}
    assert told(scene, stack, "Programmed")[:2] == ("Unknown", "Pending")


async def test_the_trust_plane_is_told_before_the_queue_is_asked(scene: Scene) -> None:
    stack = scene.cluster.put(samples.stack())
    scene.nats_is_down()

    await scene.reconcile(stack)

    told_stacks = [(str(one.stack), one.url) for one in trust(scene).stacks]
    assert told_stacks == [("team/default", samples.QUEUE_URL)]
    calls = scene.outside.calls.made
    assert calls.index("apply ConfigMap k8gentai-system/k8gentai-trust") < calls.index(
        "read in vain"
    )


async def test_all_stacks_are_in_the_trust_planes_configuration(scene: Scene) -> None:
    first, second = scene.cluster.put(samples.stack()), scene.cluster.put(samples.stack("other"))

    await scene.rest(first)
    assert [one.stack.name for one in trust(scene).stacks] == ["default", "other"]

    scene.delete(second)
    await scene.rest(second)
    assert [one.stack.name for one in trust(scene).stacks] == ["default"]


async def test_a_stack_that_became_unreadable_is_still_trusted(scene: Scene) -> None:
    """Its workers run on: nobody must lock them out for a typing error."""
    stack = scene.cluster.put(samples.stack())
    await scene.rest(stack)
    body = scene.cluster.objects[stack]
    scene.cluster.objects[stack] = {**body, "spec": {"models": "none"}}

    await scene.reconcile(stack)

    assert [one.stack.name for one in trust(scene).stacks] == ["default"]
    assert told(scene, stack, "Ready")[:2] == ("False", "Invalid")

    scene.delete(stack)
    await scene.reconcile(stack)
    assert trust(scene).stacks == ()
    assert {ref.name for ref in scene.cluster.owned} == {"k8gentai-trust"}


async def test_what_the_server_says_is_shown(scene: Scene) -> None:
    stack = scene.cluster.put(samples.stack())
    await scene.rest(stack)
    assert (await scene.reconcile(stack)).again_in is not None  # it is ready but has not spoken

    scene.outside.servers.answers[SERVER] = ServerFacts(
        version="0.7.3",
        models=("agents/math", "small/qwen3"),
        providers=(
            Provider("inference", "small", "remote::vllm", "OK"),
            Provider("responses", "amf", "inline::amf", "Not Implemented"),
        ),
    )
    progress = await scene.reconcile(stack)

    status = scene.cluster.objects[stack]["status"]
    assert status["version"] == {"operator": "0.1.0", "server": "0.7.3"}
    assert status["models"] == [
        {"name": "math", "identifier": "agents/math"},
        {"name": "small", "identifier": "small/qwen3"},
    ]
    assert status["healthyProviders"] == "2/2"
    assert (status["url"], status["access"]) == (SERVER, "Open")
    assert progress.again_in is None


async def test_a_provider_that_is_not_well_degrades_the_stack(scene: Scene) -> None:
    stack = scene.cluster.put(samples.stack())
    await scene.rest(stack)
    ill = Provider("inference", "small", "remote::vllm", "Error", "connection refused")
    scene.outside.servers.answers[SERVER] = ServerFacts("0.7.3", (), (ill,))

    await scene.reconcile(stack)

    assert told(scene, stack, "Degraded") == (
        "True",
        "DependencyNotReady",
        "provider small: connection refused",
    )
    assert is_true(scene, stack, "Ready")
    assert scene.cluster.events[-1].type == "Warning"


async def test_a_missing_secret_is_told_and_nothing_is_started(scene: Scene) -> None:
    model = {
        "name": "large",
        "provider": "remote::openai",
        "model": "gpt",
        "apiKeySecretRef": {"name": "keys", "key": "token"},
    }
    stack = scene.cluster.put(samples.stack(models=[model]))

    await scene.reconcile(stack)

    assert told(scene, stack, "Ready") == (
        "False",
        "RefNotFound",
        (
            "spec.models[0].apiKeySecretRef: there is no key token in a Secret keys in namespace "
            "team; create it"
        ),
    )
    assert [ref for ref in scene.cluster.owned if ref.kind == "Deployment"] == []

    scene.cluster.secrets["team", "keys"] = {"token": "1"}
    await scene.rest(stack)

    container = scene.cluster.child("Deployment", "server-default")["spec"]["template"]["spec"][
        "containers"
    ][0]
    assert {
        "name": "MODEL_KEY_0",
        "valueFrom": {"secretKeyRef": {"name": "keys", "key": "token"}},
    } in container["env"]
    config = scene.cluster.child("ConfigMap", "server-default")["data"]["run.yaml"]
    assert json.dumps("${env.MODEL_KEY_0}") in config


POSTGRES = {
    "urlSecretRef": {"name": "db", "key": "url"},
    "caSecretRef": {"name": "db", "key": "ca.crt"},
}


async def test_a_database_that_nobody_has_named_is_told_key_by_key(scene: Scene) -> None:
    scene.cluster.secrets["team", "db"] = {"url": "1"}
    stack = scene.cluster.put(samples.stack(storage={"postgres": POSTGRES}))

    await scene.reconcile(stack)

    assert told(scene, stack, "ResolvedRefs") == (
        "False",
        "RefNotFound",
        (
            "spec.storage.postgres.caSecretRef: there is no key ca.crt in a Secret db in "
            "namespace team; create it"
        ),
    )


async def test_a_changed_secret_starts_the_server_anew_and_nothing_else(scene: Scene) -> None:
    scene.cluster.secrets["team", "db"] = {"url": "1", "ca.crt": "1", "unused": "1"}
    stack = scene.cluster.put(samples.stack(storage={"postgres": POSTGRES}))
    await scene.rest(stack)

    def templates() -> list[Any]:
        names = ("server-default", "dispatcher-default")
        return [scene.cluster.child("Deployment", one)["spec"]["template"] for one in names]

    server, dispatcher = templates()
    scene.cluster.secrets["team", "db"]["unused"] = "2"
    await scene.rest(stack)
    assert templates() == [server, dispatcher]

    scene.cluster.secrets["team", "db"]["url"] = "2"
    await scene.rest(stack)
    after, still = templates()
    assert still == dispatcher
    assert after["spec"] == server["spec"]
    revisions = [one["metadata"]["annotations"][ANNOTATION_REVISION] for one in (server, after)]
    assert revisions[0] != revisions[1]


async def test_where_it_may_not_look_at_secrets_its_pods_tell_what_is_missing(scene: Scene) -> None:
    scene.cluster.sealed.add("team")
    stack = scene.cluster.put(samples.stack(storage={"postgres": POSTGRES}))
    await scene.rest(stack)
    assert is_true(scene, stack, "ResolvedRefs")

    revision = scene.cluster.objects[stack]["status"]["revision"]
    why, word = 'secret "db" not found', "CreateContainerConfigError"
    server = Container(name="server", ready=False, waiting=word, message=why)
    pod = Pod(name="s", component="server", revision=revision, containers=(server,))
    scene.cluster.running[stack] = (pod,)
    scene.cluster.settle(ready=False)
    await scene.reconcile(stack)
    assert told(scene, stack, "Ready")[2] == f"server cannot start: {why}"

    scene.cluster.sealed.clear()
    await scene.reconcile(stack)
    assert "no key url in a Secret db" in told(scene, stack, "ResolvedRefs")[2]


async def test_a_stack_that_moves_to_postgres_leaves_its_volume_and_may_grow(scene: Scene) -> None:
    scene.cluster.secrets["team", "db"] = {"url": "1", "ca.crt": "1"}
    stack = scene.cluster.put(samples.stack())
    await scene.rest(stack)
    before = scene.cluster.child("Deployment", "server-default")["spec"]
    assert before["strategy"] == {"type": "Recreate"}
    assert [ref.kind for ref in scene.cluster.owned].count("PersistentVolumeClaim") == 1

    moved = samples.stack(server={"replicas": 2}, storage={"postgres": POSTGRES})
    await scene.rest(scene.cluster.put(moved))

    after = scene.cluster.child("Deployment", "server-default")["spec"]
    assert (after["replicas"], after["strategy"]["type"]) == (2, "RollingUpdate")
    assert {volume["name"] for volume in after["template"]["spec"]["volumes"]} == {
        "config",
        "identity",
        "tmp",
    }
    assert [ref for ref in scene.cluster.owned if ref.kind == "PersistentVolumeClaim"] == []
    assert scene.cluster.child("Deployment", "dispatcher-default")["spec"]["replicas"] == 2


EXTERNAL = "nats://nats.example:4222"


async def test_an_external_queue_is_used_and_left_clean(scene: Scene) -> None:
    stack = scene.cluster.put(samples.stack(messaging={"external": {"url": EXTERNAL}}))
    await scene.rest(stack)
    queue = scene.outside.streams.at(EXTERNAL)
    assert set(queue.streams) == {f"team_default_{stream}" for stream in Stream}
    assert [ref for ref in scene.cluster.owned if ref.kind == "StatefulSet"] == []

    scene.delete(stack)
    await scene.rest(stack)

    assert (queue.streams, queue.buckets, queue.consumers, queue.entries) == ({}, {}, {}, {})
    assert scene.outside.streams.forgotten == [EXTERNAL]


async def test_two_stacks_cannot_share_a_nats(scene: Scene) -> None:
    """Each would refuse the other's workloads."""
    external = {"external": {"url": f"{EXTERNAL},nats://second"}}
    older = scene.cluster.put(samples.stack("z", messaging=external))
    newer = scene.cluster.put(samples.stack("a", messaging={"external": {"url": EXTERNAL}}))

    await scene.rest(newer, older)

    assert is_true(scene, older, "Ready")
    assert told(scene, newer, "Accepted") == (
        "False",
        "Conflict",
        (
            "spec.messaging.external.url: Stack team/z uses this NATS already; "
            "give each Stack a NATS of its own"
        ),
    )
    assert is_true(scene, newer, "Stalled")
    assert [one.stack.name for one in trust(scene).stacks] == ["z"]
    assert {ref.name for ref in scene.cluster.owned if ref.kind == "Deployment"} == {
        "server-z",
        "dispatcher-z",
    }

    scene.delete(older)
    await scene.rest(older, newer)

    assert is_true(scene, newer, "Ready")
    assert [one.stack.name for one in trust(scene).stacks] == ["a"]


async def test_a_stack_that_moves_to_anothers_nats_runs_on_where_it_was(scene: Scene) -> None:
    taken = {"external": {"url": EXTERNAL}}
    keys = [scene.cluster.put(samples.stack("z", messaging=taken)), *await running(scene)]
    await scene.rest(*keys)
    before = dict(scene.cluster.owned)

    scene.cluster.put(samples.stack(messaging=taken))
    await scene.rest(*keys)

    stack, tool, agent = keys[1:]
    assert told(scene, stack, "Accepted")[:2] == ("False", "Conflict")
    for workload in (tool, agent):
        assert told(scene, workload, "ResolvedRefs")[2] == (
            "spec.stackRef: Stack team/default is not accepted (Stack team/z uses its NATS "
            "already); correct it first"
        )
    assert [(one.stack.name, one.url) for one in trust(scene).stacks] == [
        ("default", samples.QUEUE_URL),
        ("z", EXTERNAL),
    ]
    assert scene.cluster.owned == before


async def test_a_nats_stays_with_a_stack_that_became_unreadable(scene: Scene) -> None:
    external = {"external": {"url": EXTERNAL}}
    older = scene.cluster.put(samples.stack("z", messaging=external))
    await scene.rest(older)
    body = scene.cluster.objects[older]
    scene.cluster.objects[older] = {**body, "spec": {"models": "none"}}
    newer = scene.cluster.put(samples.stack("a", messaging=external))

    await scene.rest(older, newer)

    assert told(scene, newer, "Accepted")[:2] == ("False", "Conflict")
    assert [one.stack.name for one in trust(scene).stacks] == ["z"]


async def test_an_external_queue_that_does_not_answer_holds_a_deletion_up_for_a_minute(
    scene: Scene,
) -> None:
    stack = scene.cluster.put(samples.stack(messaging={"external": {"url": EXTERNAL}}))
    await scene.rest(stack)
    scene.outside.streams.down.add(EXTERNAL)
    scene.delete(stack)

    assert not (await scene.reconcile(stack)).finished
    assert "does not answer" in told(scene, stack, "Programmed")[2]
    scene.wait(60)
    assert (await scene.reconcile(stack)).finished


async def test_streams_of_somebody_else_are_left_alone(scene: Scene) -> None:
    first = scene.cluster.put(samples.stack(messaging={"external": {"url": EXTERNAL}}))
    await scene.rest(first)
    queue = scene.outside.streams.at(EXTERNAL)
    name = "team_default_TASKS"
    foreign = queue.streams[name]
    queue.streams[name] = type(foreign)(
        name=name,
        owner="",
        subjects=("orders.>",),
        retention=Retention.LIMITS,
        discard=foreign.discard,
    )

    await scene.reconcile(first)

    assert queue.streams[name].subjects == ("orders.>",)
    status, reason, message = told(scene, first, "Programmed")
    assert (status, reason) == ("False", "StreamConflict")
    assert message == (
        "the queue has team_default_TASKS already, and it is not of Stack team/default; "
        "take it away, or choose another name or namespace"
    )
    assert is_true(scene, first, "Stalled")

    scene.delete(first)
    await scene.reconcile(first)
    assert set(queue.streams) == {name}


async def test_a_stack_sweeps_up_what_is_of_nobody(scene: Scene) -> None:
    stack, tool, agent = await running(scene)
    before = set(scene.queue.entries)
    scene.cluster.objects.pop(agent)  # somebody took the finalizer away
    scene.wait(60)

    await scene.reconcile(stack)

    gone = before - set(scene.queue.entries)
    assert {ref.key for ref in gone} == {"agents.team.math", "workloads.team.agent-math"}
    left = [(ref.stream, ref.durable.partition("-")[0]) for ref in scene.queue.consumers]
    assert sorted(left) == [
        ("team_default_ADVISORIES", "dispatcher"),
        ("team_default_CALLS", "add"),
        ("team_default_CALLS", "dispatcher"),
    ]
    assert tool in scene.cluster.objects


async def test_a_sweep_spares_whoever_cannot_be_read(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    before = dict(scene.queue.entries)
    body = scene.cluster.objects[agent]
    scene.cluster.objects[agent] = {**body, "spec": {"framework": "LangGraph"}}
    scene.wait(60)

    await scene.reconcile(stack)

    assert scene.queue.entries == before


def access(scene: Scene, key: Key) -> str:
    return str(scene.cluster.objects[key]["status"]["access"])


async def test_a_stack_says_whose_users_it_lets_in(scene: Scene) -> None:
    stack, _, agent = await running(scene)
    before = [access(scene, key) for key in (stack, agent)]

    scene.cluster.put(samples.stack(auth={"issuer": KEYCLOAK}))
    await scene.reconcile(stack)
    await scene.reconcile(agent)

    assert before == ["Open", "Open"]
    assert [access(scene, key) for key in (stack, agent)] == ["Authenticated"] * 2
    assert scene.cluster.objects[stack]["status"]["issuer"] == KEYCLOAK
    assert scene.outside.servers.proved[SERVER]


@pytest.mark.parametrize("field", ["issuer", "audience"])
async def test_an_issuer_is_written_out(scene: Scene, field: str) -> None:
    auth = {"issuer": KEYCLOAK} | {field: "https://a.${env.DOMAIN}"}
    stack = scene.cluster.put(samples.stack(auth=auth))

    await scene.reconcile(stack)

    assert told(scene, stack, "Accepted") == (
        "False",
        "Invalid",
        f"spec.auth.{field}: must not contain '${{'; write the value itself",
    )
    assert {ref.name for ref in scene.cluster.owned} == {"k8gentai-trust"}
