"""What Kubernetes says of pods, and what we tell it in Events."""

import base64
from datetime import UTC, datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
import yaml

from controller.api.names import Kind
from controller.clients.kubernetes_json import (
    collection_path,
    digests,
    event_again,
    event_body,
    is_applied_by_us,
    object_path,
    owner_selector,
    plain,
    read_pod,
    text_by_key,
)
from controller.model import (
    CHILD_KINDS,
    CLUSTER_SPIFFE_ID,
    ChildRef,
    Container,
    Key,
    KubeEvent,
    Pod,
)

RBAC = Path(__file__).parents[3] / "config" / "base" / "operator_rbac.yaml"
MATH = Key(Kind.AGENT, "team", "math")
NOW = datetime(2026, 11, 22, 17, 0, 0, 250000, UTC)
EVENT = KubeEvent(about=MATH, uid="u", type="Warning", reason="RefNotFound", message="no Stack")


def pod(**status: Any) -> dict[str, Any]:
    labels = {"app.kubernetes.io/component": "worker"}
    annotations = {"k8gentai.dev/revision": "r1"}
    metadata = {"name": "agent-math-1", "labels": labels, "annotations": annotations}
    return {"metadata": metadata, "status": status}


def condition(kind: str, status: str, message: str = "") -> dict[str, str]:
    return {"type": kind, "status": status, "message": message}


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        pytest.param(
            pod(),
            Pod(name="agent-math-1", component="worker", revision="r1"),
            id="just made",
        ),
        pytest.param(
            {"metadata": {"name": "bare"}},
            Pod(name="bare", component=""),
            id="without labels and status",
        ),
        pytest.param(
            pod(conditions=[condition("Ready", "True"), condition("PodScheduled", "True", "x")]),
            Pod(name="agent-math-1", component="worker", revision="r1", ready=True),
            id="ready",
        ),
        pytest.param(
            pod(conditions=[condition("PodScheduled", "False", "0/3 nodes: too small")]),
            Pod(
                name="agent-math-1",
                component="worker",
                revision="r1",
                unscheduled="0/3 nodes: too small",
            ),
            id="no node takes it",
        ),
    ],
)
def test_a_pod_is_read(body: dict[str, Any], expected: Pod) -> None:
    assert read_pod(body) == expected


def test_a_pod_that_was_asked_to_stop_says_so() -> None:
    body = pod()
    body["metadata"]["deletionTimestamp"] = "2026-11-22T17:00:00Z"

    assert read_pod(body).deleting


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        pytest.param(
            {"name": "worker", "ready": True, "state": {"running": {}}},
            Container(name="worker", ready=True),
            id="runs",
        ),
        pytest.param(
            {
                "name": "worker",
                "state": {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}},
            },
            Container(
                name="worker", ready=False, waiting="ImagePullBackOff", message="no such image"
            ),
            id="cannot be pulled",
        ),
        pytest.param(
            {
                "name": "worker",
                "restartCount": 3,
                "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
                "lastState": {"terminated": {"exitCode": 78, "message": "spec.x is wrong"}},
            },
            Container(
                name="worker",
                ready=False,
                restarts=3,
                waiting="CrashLoopBackOff",
                message="back-off",
                exit_code=78,
                last_words="spec.x is wrong",
            ),
            id="backs off",
        ),
        pytest.param(
            {
                "name": "worker",
                "state": {"terminated": {"exitCode": 1}},
                "lastState": {"terminated": {"exitCode": 78, "message": "before"}},
            },
            Container(name="worker", ready=False, exit_code=1),
            id="the last end counts, not the one before",
        ),
    ],
)
def test_a_container_is_read(status: dict[str, Any], expected: Container) -> None:
    assert read_pod(pod(containerStatuses=[status])).containers == (expected,)


def test_containers_that_come_first_are_read_first() -> None:
    first, second = {"name": "first"}, {"name": "second"}

    found = read_pod(pod(initContainerStatuses=[first], containerStatuses=[second]))

    assert [container.name for container in found.containers] == ["first", "second"]


def test_the_same_event_has_the_same_name_and_another_another() -> None:
    def name(event: KubeEvent) -> str:
        return str(event_body(event, instance="pod", now=NOW)["metadata"]["name"])

    again = KubeEvent(about=MATH, uid="u", type="Warning", reason="RefNotFound", message="no Stack")
    others = [
        KubeEvent(about=MATH, uid="v", type="Warning", reason="RefNotFound", message="no Stack"),
        KubeEvent(about=MATH, uid="u", type="Normal", reason="RefNotFound", message="no Stack"),
        KubeEvent(about=MATH, uid="u", type="Warning", reason="Ready", message="no Stack"),
        KubeEvent(about=MATH, uid="u", type="Warning", reason="RefNotFound", message="no Tool"),
    ]

    assert name(EVENT) == name(again)
    assert len({name(event) for event in (EVENT, *others)}) == 5


def test_an_event_says_who_tells_what_about_whom() -> None:
    body = event_body(EVENT, instance="operator-1", now=NOW)

    assert body["regarding"]["kind"] == "Agent"
    assert (body["type"], body["reason"], body["note"]) == ("Warning", "RefNotFound", "no Stack")
    assert body["eventTime"] == "2026-11-22T17:00:00.250000Z"
    assert body["reportingInstance"] == "operator-1"


@pytest.mark.parametrize(
    ("series", "count"), [(None, 2), ({"count": 2}, 3), ({"count": 41}, 42)], ids=str
)
def test_an_event_told_again_counts_up(series: dict[str, int] | None, count: int) -> None:
    told = event_again({"series": series} if series else {}, NOW)["series"]

    assert told == {"count": count, "lastObservedTime": "2026-11-22T17:00:00.250000Z"}


@pytest.mark.parametrize(
    ("manager", "operation", "ours"),
    [
        ("k8gentai", "Apply", True),
        ("k8gentai", "Update", False),
        ("kubectl", "Apply", False),
    ],
)
def test_what_we_applied_is_known_by_its_manager(
    manager: str,
    operation: str,
    ours: bool,
) -> None:
    fields = [{"manager": "other", "operation": "Update"}]
    fields.append({"manager": manager, "operation": operation})

    assert is_applied_by_us({"metadata": {"managedFields": fields}}) is ours
    assert not is_applied_by_us({"metadata": {}})


def test_paths_are_those_of_the_api_server() -> None:
    agents = "/apis/k8gentai.dev/v1alpha1/namespaces/team/agents"
    assert object_path(MATH.ref) == f"{agents}/math"
    assert collection_path("v1", "Pod", "team") == "/api/v1/namespaces/team/pods"
    of_cluster = ChildRef("spire.spiffe.io/v1alpha1", "ClusterSPIFFEID", "", "a")
    assert object_path(of_cluster) == "/apis/spire.spiffe.io/v1alpha1/clusterspiffeids/a"
    assert collection_path("apps/v1", "Deployment", None) == "/apis/apps/v1/deployments"
    # A name may come from a user's spec: it stays one segment of the path.
    sneaky = ChildRef("v1", "ConfigMap", "team", "../secrets/k")
    assert object_path(sneaky) == "/api/v1/namespaces/team/configmaps/..%2Fsecrets%2Fk"


def test_children_are_selected_by_kind_name_and_namespace_of_their_owner() -> None:
    assert owner_selector(MATH) == (
        "k8gentai.dev/owner-kind=agent,k8gentai.dev/owner-name=math,"
        "k8gentai.dev/owner-namespace=team"
    )


def test_manifests_are_made_of_plain_dictionaries_and_lists() -> None:
    frozen = MappingProxyType({"a": (MappingProxyType({"b": 1}), "c"), "d": None})

    assert plain(frozen) == {"a": [{"b": 1}, "c"], "d": None}


def test_a_config_map_is_text_and_base64() -> None:
    assert text_by_key({"data": {"a.py": "x"}, "binaryData": {"b": "/w=="}}) == {
        "a.py": "x",
        "b": "/w==",
    }
    assert text_by_key({}) == {}


@pytest.mark.parametrize(("api_version", "kind"), [*CHILD_KINDS, CLUSTER_SPIFFE_ID])
def test_the_operator_may_do_with_children_what_it_does(api_version: str, kind: str) -> None:
    """A watch that is forbidden stops kopf, for every kind."""
    path = collection_path(api_version, kind, None)
    group = api_version.rpartition("/")[0]
    role = next(one for one in yaml.safe_load_all(RBAC.read_text()) if one["kind"] == "ClusterRole")
    verbs = {
        verb
        for rule in role["rules"]
        if group in rule["apiGroups"] and path.rpartition("/")[2] in rule["resources"]
        for verb in rule["verbs"]
    }

    assert verbs == {"get", "list", "watch", "create", "patch", "delete"}


def test_a_secret_is_told_by_digests_that_cannot_be_guessed() -> None:
    """They stand in a Deployment, which people may read who may not read the Secret."""

    def a_secret(token: bytes, *, name: str = "k", uid: str = "uid-1") -> dict[str, Any]:
        data = {"token": base64.b64encode(token).decode()}
        return {"metadata": {"namespace": "team", "name": name, "uid": uid}, "data": data}

    told = digests(a_secret(b"12345"), b"a key")

    assert told.keys() == {"token"}
    assert told == digests(a_secret(b"12345", uid="made again"), b"a key")
    assert told != digests(a_secret(b"12346"), b"a key")
    assert told != digests(a_secret(b"12345", name="another"), b"a key")
    assert told != digests(a_secret(b"12345"), b"another key")
    assert digests({"metadata": {"namespace": "team", "name": "k"}}, b"a key") == {}
