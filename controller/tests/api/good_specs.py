"""Good objects of each kind, as a user writes them."""

from collections.abc import Mapping
from typing import Any, Final

from controller.api.names import API_VERSION, Kind


def resource(kind: Kind, name: str, spec: Mapping[str, Any]) -> dict[str, Any]:
    """An object as a user writes it."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind.value,
        "metadata": {"name": name, "namespace": "default"},
        "spec": dict(spec),
    }


SELECTED: Final = {
    "from": "Selector",
    "selector": {
        "matchLabels": {"team": "a"},
        "matchExpressions": [{"key": "tier", "operator": "In", "values": ["x"]}],
    },
}
WORKERS: Final = {
    "replicas": 2,
    "scaling": {
        "minReplicas": 0,
        "maxReplicas": 10,
        "targetBacklogPerReplica": 4,
        "targetAgeSeconds": 5,
        "idleSeconds": 60,
        "engine": "KEDA",
    },
    "retryPolicy": {"maxAttempts": 5, "onCrash": "Resume"},
    "deletionPolicy": "Drain",
    "drainSeconds": 600,
    "podTemplate": {"spec": {"containers": [{"name": "worker", "env": []}]}},
}
"""What Agents and Tools have in common."""
GOOD: Final[Mapping[Kind, dict[str, Any]]] = {
    Kind.STACK: resource(
        Kind.STACK,
        "default",
        {
            "server": {
                "replicas": 1,
                "workers": 1,
                "heartbeatSeconds": 20,
                "flavour": "LlamaStack",
                "image": "",
                "resources": {
                    "requests": {"cpu": 1, "memory": "512Mi"},
                    "limits": {"memory": "1.5Gi"},
                },
            },
            "models": [
                {
                    "name": "small",
                    "provider": "remote::vllm",
                    "model": "qwen3",
                    "baseUrl": "http://vllm:8000/v1",
                    "apiKeySecretRef": {"name": "k", "key": "token"},
                    "embedding": {"dimensions": 64},
                },
                {"name": "large:70b", "provider": "remote::ollama", "model": "a/b:c"},
                {
                    "name": "vectors",
                    "provider": "remote::vllm",
                    "model": "bge-m3",
                    "embedding": {"dimensions": 1024},
                },
            ],
            "storage": {"sqlite": {"size": "1Gi"}},
            "messaging": {"managed": {"replicas": 3, "storage": "2Gi", "syncInterval": "always"}},
            "auth": {
                "issuer": "https://keycloak/realms/agents",
                "audience": "k8gentai",
                "caBundle": "-----BEGIN CERTIFICATE-----\n…\n-----END CERTIFICATE-----\n",
            },
            "retention": {
                "taskSeconds": 86400,
                "eventSeconds": 3600,
                "deadLetterSeconds": 604800,
            },
            "allowedNamespaces": SELECTED,
        },
    ),
    Kind.AGENT: resource(
        Kind.AGENT,
        "math",
        {
            "stackRef": {"name": "default"},
            "framework": "LangGraph",
            "description": "Does sums.",
            "source": {"declarative": {"instructions": "You do sums.", "maxIterations": 10}},
            "modelRef": {"name": "small"},
            "tools": [
                {
                    "toolRef": {"name": "add"},
                    "approval": {"required": False, "timeoutSeconds": 3600, "onTimeout": "Deny"},
                },
                {"toolRef": {"name": "subtract", "namespace": "shared"}},
            ],
            "agents": [{"agentRef": {"name": "researcher"}}],
            "execution": {
                "timeoutSeconds": 600,
                "ackWaitSeconds": 10,
                "concurrency": 4,
                "clientTimeoutSeconds": 3600,
                "whenBusy": "Queue",
                "maxInputBytes": 524288,
            },
            "budget": {"tokens": 100000, "toolCalls": 100},
            "triggers": [
                {"schedule": "0 7 * * *", "input": "What is new?"},
                {"schedule": "*/5,30 8-18/2 1 jan-jun mon,wed", "input": "Again?"},
                {"schedule": "@daily", "input": "And now?"},
            ],
            "allowedNamespaces": {"from": "Same"},
            "suspend": False,
            **WORKERS,
        },
    ),
    Kind.TOOL: resource(
        Kind.TOOL,
        "add",
        {
            "stackRef": {"name": "default"},
            "python": {"entrypoint": "arithmetic:add", "configMapRef": {"name": "arithmetic"}},
            "sideEffects": "Idempotent",
            "inputSchema": {"type": "object", "properties": {"a": {"type": "integer"}}},
            "schemaDigest": f"sha256:{'0a' * 32}",
            "execution": {
                "timeoutSeconds": 30,
                "ackWaitSeconds": 10,
                "concurrency": 4,
                "maxInputBytes": 1000,
            },
            "allowedNamespaces": SELECTED,
            **WORKERS,
        },
    ),
    Kind.IDENTITY_POLICY: resource(
        Kind.IDENTITY_POLICY,
        "analysts-do-sums",
        {
            "targetRefs": [
                {"group": "k8gentai.dev", "kind": "Agent", "name": "math"},
                {"kind": "Tool", "name": "math"},
            ],
            "workloadIdentity": {
                "provider": "SPIRE",
                "trustDomain": "k8gentai.local",
                "jwtSeconds": 300,
            },
            "access": [
                {
                    "from": {"users": {"claims": {"groups": ["analysts"]}}},
                    "to": {"agents": ["math"]},
                    "scopes": ["sums"],
                },
                {"from": {"agents": ["math"]}, "to": {"tools": ["add"]}, "scopes": ["sums"]},
            ],
            "transactionToken": {"seconds": 120, "maxHops": 5},
            "exchange": [
                {
                    "tool": "github",
                    "issuer": "https://keycloak/realms/agents",
                    "audience": "github",
                    "scopes": ["repo:read"],
                }
            ],
        },
    ),
}
"""All there is, as the design shows it."""

ALSO_GOOD: Final[tuple[dict[str, Any], ...]] = (
    resource(Kind.STACK, "smallest", {}),
    resource(
        Kind.STACK,
        "outside",
        {
            "server": {"replicas": 3, "flavour": "OGX"},
            "storage": {
                "postgres": {
                    "urlSecretRef": {"name": "db", "key": "url"},
                    "caSecretRef": {"name": "db", "key": "ca.crt"},
                }
            },
            "messaging": {"external": {"url": "nats://one:4222,tls://two.example:4222"}},
        },
    ),
    resource(Kind.STACK, "one-of-each", {"storage": {"sqlite": {}}, "messaging": {"managed": {}}}),
    resource(
        Kind.AGENT,
        "a" * 40,
        {
            "stackRef": {"name": "default", "namespace": "platform"},
            "framework": "BeeAI",
            "source": {"module": {"entrypoint": "team.agents:graphs.math", "image": "r.io/a:1"}},
            "replicas": None,
        },
    ),
    resource(
        Kind.AGENT,
        "for-some",
        {
            "stackRef": {"name": "default"},
            "framework": "AG2",
            "source": {"module": {"entrypoint": "m:g", "configMapRef": {"name": "m.v1"}}},
            "agents": [{"agentRef": {"name": "math", "namespace": "team"}}],
            "allowedNamespaces": SELECTED,
        },
    ),
    resource(
        Kind.AGENT,
        "in-the-image",
        {
            "stackRef": {"name": "default"},
            "framework": "CrewAI",
            "source": {"module": {"entrypoint": "crew:build"}},
            "allowedNamespaces": {"from": "All"},
        },
    ),
    resource(
        Kind.TOOL,
        "elsewhere",
        {"stackRef": {"name": "default"}, "mcp": {"url": "http://mcp:8000/mcp", "tools": ["add"]}},
    ),
    resource(
        Kind.TOOL,
        "beside",
        {
            "stackRef": {"name": "default"},
            "mcp": {
                "workload": {"image": "r.io/mcp", "command": ["python", "-m", "x"], "port": 8080}
            },
            "sideEffects": "None",
            "replicas": 0,
        },
    ),
    resource(
        Kind.TOOL,
        "imaged",
        {
            "stackRef": {"name": "default", "namespace": "platform"},
            "python": {"entrypoint": "a.b:c.d", "image": "r.io/tools@sha256:00"},
            "sideEffects": "AtMostOnce",
            "deletionPolicy": "Cancel",
        },
    ),
    resource(
        Kind.TOOL,
        "weather",
        {
            "stackRef": {"name": "default"},
            "http": {"openapi": {"url": "https://w.example/api.json"}, "operations": ["a/get"]},
        },
    ),
    resource(
        Kind.TOOL,
        "forecast",
        {
            "stackRef": {"name": "default"},
            "http": {
                "openapi": {"configMapRef": {"name": "forecast", "key": "api.json"}},
                "baseUrl": "http://forecast:8080/v2",
            },
        },
    ),
    resource(
        Kind.IDENTITY_POLICY,
        "everybody.in",
        {
            "targetRefs": [{"kind": "Stack", "name": "default"}],
            "access": [{"from": {"users": {}}, "to": {"agents": ["math"]}}],
        },
    ),
)
