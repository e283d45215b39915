from typing import Any

import cluster
import pytest

WORKER: dict[str, Any] = {
    "metadata": {"name": "agent-bench", "ownerReferences": [{"kind": "Agent"}]},
    "spec": {
        "selector": {"matchLabels": {"a": "b"}},
        "template": {
            "metadata": {"annotations": {"revision": "1"}},
            "spec": {
                "serviceAccountName": "agent-bench",
                "securityContext": {"runAsNonRoot": True},
                "containers": [
                    {
                        "name": "worker",
                        "image": "langgraph:1",
                        "command": ["/venv/bin/python", "-m", "runtime", "worker", "agent/x/bench"],
                        "env": [{"name": "K8GENTAI_CONFIG", "value": "/etc/agent.json"}],
                        "ports": [{"name": "health", "containerPort": 8081}],
                        "readinessProbe": {"httpGet": {"path": "/ready", "port": "health"}},
                        "volumeMounts": [
                            {"name": "identity", "mountPath": "/token"},
                            {"name": "source", "mountPath": "/agent"},
                            {"name": "tmp", "mountPath": "/tmp"},
                        ],
                    }
                ],
                "volumes": [
                    {"name": "identity", "projected": {}},
                    {"name": "source", "configMap": {"name": "bench-agent"}},
                    {"name": "tmp", "emptyDir": {}},
                ],
            },
        },
    },
}


def test_the_bare_deployment_is_like_the_worker_without_the_platform() -> None:
    bare = cluster.bare_deployment(WORKER)
    pod = bare["spec"]["template"]["spec"]
    (container,) = pod["containers"]

    for kept in ("image", "readinessProbe", "ports"):
        assert container[kept] == WORKER["spec"]["template"]["spec"]["containers"][0][kept]
    assert container["command"][0] == "/venv/bin/python"
    assert container["command"][-2:] == ["/agent", "8081"]
    assert [mount["name"] for mount in container["volumeMounts"]] == ["source", "tmp"]
    assert [volume["name"] for volume in pod["volumes"]] == ["source", "tmp"]
    assert "env" not in container
    assert "serviceAccountName" not in pod
    assert bare["metadata"] == {"name": "bare-bench", "labels": {"app": "bare-bench"}}


@pytest.mark.parametrize("program", ["false", "no-such-kubectl --at all"])
def test_without_a_cluster_that_is_said(program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECTL", program)

    assert cluster.unavailable() == "no cluster answers"


def test_what_kubectl_says_is_passed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECTL", "sh -c 'cat >&2; exit 3' --")

    with pytest.raises(cluster.KubectlFailed, match=r"^get x: told$"):
        cluster.kubectl("get", "x", stdin="told")
