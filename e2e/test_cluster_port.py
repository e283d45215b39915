"""The `Cluster` port on a real API server: what is applied, left alone, refused, told."""

import base64
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
from kubernetes_asyncio.client import ApiClient, Configuration

from controller.api.names import (
    API_VERSION,
    FIELD_MANAGER,
    LABEL_OWNER_NAME,
    Component,
    Kind,
    child_labels,
    selector_labels,
)
from controller.clients.kubernetes import KubernetesCluster, connected
from controller.errors import ChildRefused, ClusterUnavailable, NotOurs
from controller.model import Child, ChildRef, Key, KubeEvent
from e2e.kubectl import Body, Namespace, until

pytestmark = pytest.mark.cluster

PAUSE = "registry.invalid/nobody/has:this"


@pytest.fixture
async def cluster() -> AsyncIterator[KubernetesCluster]:
    """The port, as whoever runs the tests."""
    async with connected() as port:
        yield port


def owner(namespace: Namespace) -> Key:
    return Key(Kind.TOOL, namespace.name, "add")


def metadata(namespace: Namespace, name: str, **more: Any) -> Body:
    key = owner(namespace)
    labels = child_labels(key.kind, key.namespace, key.name, Component.TOOL_WORKER)
    return {"namespace": namespace.name, "name": name, "labels": labels, **more}


def config_map(namespace: Namespace, **data: str) -> Child:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata(namespace, "tool-add")}
    return Child({**body, "data": data})


def deployment(namespace: Namespace, **container: Any) -> Child:
    labels = selector_labels(Kind.TOOL, "add", Component.TOOL_WORKER)
    pod = {
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": 65532,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "terminationGracePeriodSeconds": 0,
        "containers": [
            {
                "name": "worker",
                "image": "localhost/k8gentai/runtime:dev",
                "command": ["python", "-c", "import time; time.sleep(600)"],
                "securityContext": {
                    "allowPrivilegeEscalation": False,
                    "capabilities": {"drop": ["ALL"]},
                },
                **container,
            }
        ],
    }
    template = {
        "metadata": {
            "labels": metadata(namespace, "")["labels"],
            "annotations": {"k8gentai.dev/revision": "r1"},
        },
        "spec": pod,
    }
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    about = metadata(namespace, "tool-add")
    return Child({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": about, "spec": spec})


def tool(namespace: Namespace) -> Body:
    return {
        "apiVersion": "k8gentai.dev/v1alpha1",
        "kind": "Tool",
        "metadata": {"namespace": namespace.name, "name": "add"},
        "spec": {"stackRef": {"name": "nobody"}, "python": {"entrypoint": "a:b", "image": "x"}},
    }


async def test_what_is_applied_is_there_and_what_is_no_longer_named_goes(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    for force in (False, True, False):
        await cluster.apply(config_map(namespace, a="1", b="2"), force=force)
    namespace.kubectl("patch", "cm/tool-add", "--type=merge", '-p={"data":{"c":"3","a":"9"}}')

    await cluster.apply(config_map(namespace, a="1"), force=True)

    assert await cluster.config_map(namespace.name, "tool-add") == {"a": "1", "c": "3"}
    (child,) = await cluster.children(owner(namespace))
    assert ChildRef.of(child) == config_map(namespace).ref
    managers = {one["manager"] for one in child["metadata"]["managedFields"]}
    assert FIELD_MANAGER in managers


async def test_what_somebody_else_has_made_is_left_alone(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    namespace.kubectl("create", "configmap", "tool-add", "--from-literal=theirs=1")

    with pytest.raises(NotOurs, match=r"ConfigMap .*/tool-add is there already"):
        await cluster.apply(config_map(namespace, ours="1"), force=False)

    assert await cluster.config_map(namespace.name, "tool-add") == {"theirs": "1"}
    assert not await cluster.children(owner(namespace))


async def test_what_is_ours_and_lost_its_labels_comes_back(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    child = config_map(namespace, a="1")
    await cluster.apply(child, force=False)
    names = [f"{name}-" for name in child.manifest["metadata"]["labels"]]
    namespace.kubectl("label", "configmap/tool-add", *names)
    assert not await cluster.children(owner(namespace))

    await cluster.apply(child, force=False)

    assert await cluster.children(owner(namespace))


async def test_what_kubernetes_does_not_accept_is_said_in_its_words(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    with pytest.raises(ChildRefused, match="imagePullPolicy"):
        await cluster.apply(deployment(namespace, imagePullPolicy="Perhaps"), force=False)


async def test_children_are_those_of_the_owner_alone_and_say_what_they_are(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    await cluster.apply(config_map(namespace), force=False)
    await cluster.apply(deployment(namespace, image=PAUSE), force=False)
    about = metadata(namespace, "other")
    about["labels"][LABEL_OWNER_NAME] = "other"
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": about}
    await cluster.apply(Child(other), force=False)

    found = {ChildRef.of(child): child for child in await cluster.children(owner(namespace))}

    workload = ChildRef("apps/v1", "Deployment", namespace.name, "tool-add")
    assert found.keys() == {config_map(namespace).ref, workload}
    assert found[workload]["metadata"]["generation"] == 1
    assert "status" in found[workload]


async def test_a_child_that_is_deleted_goes_with_its_pods_and_twice_is_fine(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    child = deployment(namespace, image=PAUSE)
    await cluster.apply(child, force=False)
    until(lambda: namespace.every("pods"), "a pod")

    for _ in range(2):
        await cluster.delete(child.ref)

    assert not await cluster.children(owner(namespace))
    until(lambda: not namespace.every("pods"), "no pod")


async def test_pods_tell_why_they_do_not_run(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    await cluster.apply(deployment(namespace, image=PAUSE, imagePullPolicy="Never"), force=False)
    until(lambda: b"ErrImageNeverPull" in _pods_as_text(namespace), "it cannot be pulled")

    (pod,) = await cluster.pods(owner(namespace))

    assert (pod.component, pod.revision) == ("tool-worker", "r1")
    assert not pod.ready
    (container,) = pod.containers
    assert container.waiting == "ErrImageNeverPull"
    assert PAUSE in container.message


async def test_pods_tell_their_last_words(cluster: KubernetesCluster, namespace: Namespace) -> None:
    script = "open('/dev/termination-log', 'w').write('spec.python is wrong'); exit(78)"
    await cluster.apply(deployment(namespace, command=["python", "-c", script]), force=False)
    until(lambda: b'"exitCode": 78' in _pods_as_text(namespace), "it has ended")

    (pod,) = await cluster.pods(owner(namespace))

    (container,) = pod.containers
    assert (container.exit_code, container.last_words) == (78, "spec.python is wrong")


async def test_pods_tell_why_no_node_takes_them(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    huge = deployment(namespace, resources={"requests": {"cpu": "4000"}})
    await cluster.apply(huge, force=False)
    until(lambda: b"Unschedulable" in _pods_as_text(namespace), "no node takes it")

    (pod,) = await cluster.pods(owner(namespace))

    assert "Insufficient cpu" in pod.unscheduled


def _pods_as_text(namespace: Namespace) -> bytes:
    return json.dumps(namespace.every("pods")).encode()


async def test_a_status_is_written_as_a_whole_and_only_to_the_object_meant(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    key = owner(namespace)
    namespace.apply(tool(namespace))
    namespace.wait_reason("tool/add", "ResolvedRefs", "RefNotFound")
    uid = namespace.get("tool/add")["metadata"]["uid"]

    await cluster.report(key, uid, {"observedGeneration": 1, "backlog": 7})
    found = await cluster.read(key)
    assert found is not None
    assert found["status"] == {"observedGeneration": 1, "backlog": 7}

    await cluster.report(key, "00000000-0000-4000-8000-000000000000", {"backlog": 8})
    found = await cluster.read(key)
    assert found is not None
    assert found["status"]["backlog"] == 7

    await cluster.report(Key(Kind.TOOL, namespace.name, "gone"), uid, {"backlog": 8})
    assert await cluster.read(Key(Kind.TOOL, namespace.name, "gone")) is None


async def test_objects_are_listed_as_they_are_now(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    assert not await cluster.list(Kind.TOOL, namespace.name)

    namespace.apply(tool(namespace))

    (here,) = await cluster.list(Kind.TOOL, namespace.name)
    everywhere = await cluster.list(Kind.TOOL)
    alone = await cluster.read(owner(namespace))
    assert alone is not None
    for found in (here, alone):
        assert (found["apiVersion"], found["kind"]) == (API_VERSION, "Tool")
        assert found["metadata"]["uid"] in {one["metadata"]["uid"] for one in everywhere}


async def test_an_event_that_is_told_again_counts_up(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    event = KubeEvent(
        about=owner(namespace), uid="u1", type="Warning", reason="RefNotFound", message="x" * 2000
    )
    for _ in range(3):
        await cluster.emit(event)

    (told,) = namespace.every("events.v1.events.k8s.io")
    assert told["series"]["count"] == 3
    assert told["regarding"]["name"] == "add"
    assert told["note"] == "x" * 1024


async def test_an_event_that_cannot_be_told_is_no_error(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    about = Key(Kind.TOOL, f"{namespace.name}-nowhere", "add")
    await cluster.emit(KubeEvent(about=about, uid="u", type="Normal", reason="Ready", message=""))


async def test_what_users_made_is_read_and_absence_is_told_apart(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    namespace.kubectl("create", "secret", "generic", "k", "--from-literal=token=secret")
    binary = {"namespace": namespace.name, "name": "code"}
    namespace.apply(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": binary,
            "data": {"a.py": "text"},
            "binaryData": {"b.bin": base64.b64encode(b"\xff").decode()},
        }
    )

    before = await cluster.secret_digests(namespace.name, "k")
    namespace.kubectl("patch", "secret", "k", "-p", '{"stringData": {"token": "another"}}')
    after = await cluster.secret_digests(namespace.name, "k")
    assert before is not None
    assert after is not None
    assert before.keys() == after.keys() == {"token"}
    assert before != after
    assert await cluster.secret_digests(namespace.name, "none") is None
    code = await cluster.config_map(namespace.name, "code")
    assert code == {"a.py": "text", "b.bin": "/w=="}
    assert await cluster.config_map(namespace.name, "none") is None
    labels = await cluster.namespace_labels(namespace.name)
    assert labels["kubernetes.io/metadata.name"] == namespace.name
    assert await cluster.namespace_labels("there-is-no-such-namespace") == {}


async def test_a_secret_of_the_installation_is_made_once(
    cluster: KubernetesCluster, namespace: Namespace
) -> None:
    first = await cluster.secret(namespace.name, "seeds", {"account.seed": lambda: "one"})
    second = await cluster.secret(namespace.name, "seeds", {"account.seed": lambda: "two"})
    more = {"account.seed": lambda: "three", "xkey.seed": lambda: "four"}
    third = await cluster.secret(namespace.name, "seeds", more)

    assert first == second == {"account.seed": "one"}
    assert third == {"account.seed": "one", "xkey.seed": "four"}


async def test_a_cluster_that_does_not_answer_is_unavailable() -> None:
    add = Key(Kind.TOOL, "anywhere", "add")
    async with ApiClient(Configuration(host="https://127.0.0.1:1")) as api:
        cluster = KubernetesCluster(api)

        with pytest.raises(ClusterUnavailable, match="did not answer"):
            await cluster.read(add)
        await cluster.emit(KubeEvent(about=add, uid="u", type="Normal", reason="R", message=""))
