"""Objects as users write them."""

from collections.abc import Mapping
from typing import Any

from controller.api.names import API_VERSION

QUEUE_URL = "nats://nats-default.team.svc:4222"


def manifest(
    kind: str, name: str, spec: Mapping[str, Any], namespace: str = "team"
) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
        "spec": dict(spec),
    }


def stack(name: str = "default", namespace: str = "team", **spec: Any) -> dict[str, Any]:
    model = {
        "name": "small",
        "provider": "remote::vllm",
        "model": "qwen3",
        "baseUrl": "http://vllm:8000/v1",
    }
    return manifest("Stack", name, {"models": [model], **spec}, namespace)


def agent(name: str = "math", namespace: str = "team", **spec: Any) -> dict[str, Any]:
    given = {
        "stackRef": {"name": "default"},
        "framework": "LangGraph",
        "source": {"declarative": {"instructions": "You do sums."}},
        **spec,
    }
    return manifest("Agent", name, given, namespace)


def tool(name: str = "add", namespace: str = "team", **spec: Any) -> dict[str, Any]:
    given = {
        "stackRef": {"name": "default"},
        "python": {"entrypoint": "arithmetic:add", "configMapRef": {"name": "arithmetic"}},
        **spec,
    }
    return manifest("Tool", name, given, namespace)


def policy(name: str = "sums", namespace: str = "team", **spec: Any) -> dict[str, Any]:
    given = {"targetRefs": [{"kind": "Agent", "name": "math"}], **spec}
    return manifest("IdentityPolicy", name, given, namespace)
