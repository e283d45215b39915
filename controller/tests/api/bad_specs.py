"""What makes a good object bad: one table for the models and for a real API server."""

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, override

from controller.api.names import Kind
from controller.tests.api.good_specs import GOOD

GONE: Final = object()
"""As a value of `Bad`: the field is taken away."""


@dataclass(frozen=True, slots=True)
class Bad:
    """The good object of `kind`, with `value` at `path`, is refused.

    Shape:
        message  what the models say, word for word.
        field    the path an error must name, if it is not `path`.
        rule     whether a rule says so: then the API server uses the same words.
    """

    kind: Kind
    path: str
    value: object
    message: str
    field: str = ""
    rule: bool = False

    @property
    def at(self) -> str:
        return self.field or self.path

    def body(self) -> dict[str, Any]:
        return changed(GOOD[self.kind], self.path, self.value)

    @override
    def __str__(self) -> str:
        value = "gone" if self.value is GONE else ascii(self.value)
        return f"{self.kind} {self.path} {value[:40]}"


def changed(body: Mapping[str, Any], path: str, value: object) -> dict[str, Any]:
    """A copy of `body` with `value` at `path`, such as "spec.tools[0].toolRef"."""
    copied = copy.deepcopy(dict(body))
    *steps, last = [
        int(step) if step.isdigit() else step for step in re.findall(r"[^.\[\]]+", path)
    ]
    node: Any = copied
    for step in steps:
        node = node[step] if isinstance(step, int) else node.setdefault(step, {})
    if value is GONE:
        del node[last]
    else:
        node[last] = value
    return copied


_NAME = (
    "metadata.name of {} must be at most 40 lower-case letters, digits and '-', begin with a "
    "letter and end with a letter or digit; choose another name"
)
_LABEL = "must be lower-case letters, digits and '-', beginning with a letter, not {!r}"
_CRON = (
    "schedule must be five fields of cron such as '0 7 * * *', or one of @hourly, @daily, @weekly, "
    "@monthly and @yearly"
)
_TWICE = "{} names the same object twice; remove one entry"

_STACK: Final = (
    Bad(Kind.STACK, "metadata.name", "dev.default", _NAME.format("Stack"), rule=True),
    Bad(
        Kind.STACK,
        "spec.server.replicas",
        2,
        "server.replicas must be 1 with sqlite; set storage.postgres for more",
        rule=True,
    ),
    Bad(
        Kind.STACK,
        "spec",
        {"server": {"replicas": 2}},
        "server.replicas must be 1 with sqlite; set storage.postgres for more",
        field="spec.server.replicas",
        rule=True,
    ),
    Bad(
        Kind.STACK,
        "spec.server.flavour",
        "Llama",
        "must be one of 'LlamaStack' or 'OGX', not 'Llama'",
    ),
    Bad(
        Kind.STACK,
        "spec.server.resources.requests.memory",
        "much",
        "must be a quantity, for example '500m' or '2Gi', not 'much'",
    ),
    Bad(
        Kind.STACK,
        "spec.server.resources.requests.cpu",
        -1,
        "must be a quantity, for example '500m' or '2Gi', not '-1'",
    ),
    Bad(
        Kind.STACK, "spec.models[1].name", "small", "small is listed twice", field="spec.models[1]"
    ),
    Bad(
        Kind.STACK,
        "spec.models[0].provider",
        "vllm",
        "must be a provider type, for example 'remote::vllm', not 'vllm'",
    ),
    Bad(
        Kind.STACK,
        "spec.models[0].baseUrl",
        "vllm:8000",
        "must be an address that begins with http:// or https://, not 'vllm:8000'",
    ),
    Bad(Kind.STACK, "spec.models[0].apiKeySecretRef.key", GONE, "is required"),
    Bad(
        Kind.STACK,
        "spec.models[2].embedding",
        {},
        "is required",
        field="spec.models[2].embedding.dimensions",
    ),
    Bad(Kind.STACK, "spec.storage", {}, "set exactly one of sqlite and postgres", rule=True),
    Bad(
        Kind.STACK,
        "spec.storage.postgres",
        {"urlSecretRef": {"name": "db", "key": "url"}},
        "set exactly one of sqlite and postgres",
        field="spec.storage",
        rule=True,
    ),
    Bad(
        Kind.STACK,
        "spec.messaging.external",
        {"url": "nats://nats:4222"},
        "set exactly one of managed and external",
        field="spec.messaging",
        rule=True,
    ),
    Bad(
        Kind.STACK,
        "spec.messaging",
        {"external": {"url": "http://nats:4222"}},
        "must be addresses without credentials that begin with nats:// or tls://, "
        "not 'http://nats:4222'",
        field="spec.messaging.external.url",
    ),
    Bad(
        Kind.STACK,
        "spec.messaging",
        {"external": {"url": "nats://me:secret@nats:4222"}},
        "must be addresses without credentials that begin with nats:// or tls://, "
        "not 'nats://me:secret@nats:4222'",
        field="spec.messaging.external.url",
    ),
    Bad(
        Kind.STACK,
        "spec.messaging.managed.replicas",
        2,
        "replicas must be 1, 3 or 5, so that a majority can decide; take the next one",
        rule=True,
    ),
    Bad(
        Kind.STACK,
        "spec.messaging.managed.syncInterval",
        "2 minutes",
        "must be 'always' or an interval such as '2m', not '2 minutes'",
    ),
    Bad(
        Kind.STACK,
        "spec.auth.issuer",
        "keycloak",
        "must be an address that begins with http:// or https://, not 'keycloak'",
    ),
    Bad(
        Kind.STACK,
        "spec.auth.issuer",
        "http://keycloak/realms/agents",
        "issuer must begin with https://, since whoever is between could let anybody in; http:// "
        "is taken of 127.0.0.1 and localhost alone",
        rule=True,
    ),
    Bad(Kind.STACK, "spec.retention.taskSeconds", 0, "must be at least 1, not 0"),
    Bad(
        Kind.STACK,
        "spec.allowedNamespaces.selector",
        GONE,
        "selector must be given when from is Selector, and only then",
        rule=True,
    ),
    Bad(
        Kind.STACK,
        "spec.allowedNamespaces.from",
        "All",
        "selector must be given when from is Selector, and only then",
        field="spec.allowedNamespaces.selector",
        rule=True,
    ),
    Bad(
        Kind.STACK,
        "spec.allowedNamespaces.selector.matchExpressions[0].operator",
        "Exists",
        "values must be given with the operators In and NotIn, and with no other",
        field="spec.allowedNamespaces.selector.matchExpressions[0].values",
        rule=True,
    ),
)
_AGENT: Final = (
    Bad(Kind.AGENT, "metadata.name", "a" * 41, _NAME.format("Agent"), rule=True),
    Bad(Kind.AGENT, "metadata.name", "1st", _NAME.format("Agent"), rule=True),
    Bad(Kind.AGENT, "spec", GONE, "is required"),
    Bad(Kind.AGENT, "spec", "math", "must be an object, not 'math'"),
    Bad(Kind.AGENT, "spec.stackRef", GONE, "is required"),
    Bad(Kind.AGENT, "spec.stackRef", "default", "must be an object, not 'default'"),
    Bad(Kind.AGENT, "spec.stackRef.name", "Größe", _LABEL.format("Größe")),
    Bad(
        Kind.AGENT,
        "spec.stackRef.namespace",
        "a/b",
        "must be a namespace: lower-case letters, digits and '-', not 'a/b'",
    ),
    Bad(Kind.AGENT, "spec.framework", GONE, "is required"),
    Bad(
        Kind.AGENT,
        "spec.framework",
        "AutoGen",
        "must be one of 'LangGraph', 'CrewAI', 'AG2', 'LlamaStack' or 'BeeAI', not 'AutoGen'",
    ),
    Bad(Kind.AGENT, "spec.description", "x" * 1025, "must have at most 1024 characters"),
    Bad(Kind.AGENT, "spec.source", {}, "set exactly one of declarative and module", rule=True),
    Bad(
        Kind.AGENT,
        "spec.source.module",
        {"entrypoint": "math_agent:graph"},
        "set exactly one of declarative and module",
        field="spec.source",
        rule=True,
    ),
    Bad(Kind.AGENT, "spec.source.declarative.instructions", "", "must have at least 1 character"),
    Bad(
        Kind.AGENT,
        "spec.source",
        {"module": {"entrypoint": "m:g", "configMapRef": {"name": "m"}, "image": "r.io/m:1"}},
        "set at most one of configMapRef and image",
        field="spec.source.module",
        rule=True,
    ),
    Bad(
        Kind.AGENT,
        "spec.source",
        {"module": {"entrypoint": "math_agent.py"}},
        "must be 'module:name', for example 'math_agent:graph', not 'math_agent.py'",
        field="spec.source.module.entrypoint",
    ),
    Bad(
        Kind.AGENT,
        "spec.source",
        {"module": {"entrypoint": "m:g", "image": "an image"}},
        "must be an image reference, for example 'registry.example/team/agent:1.0', not 'an image'",
        field="spec.source.module.image",
    ),
    Bad(
        Kind.AGENT,
        "spec.tools[1].toolRef",
        {"name": "add"},
        _TWICE.format("tools"),
        field="spec.tools",
        rule=True,
    ),
    Bad(Kind.AGENT, "spec.tools[1]", {"name": "add"}, "is required", field="spec.tools[1].toolRef"),
    Bad(Kind.AGENT, "spec.tools", {"add": {}}, "must be a list, not {'add': {}}"),
    Bad(
        Kind.AGENT,
        "spec.tools",
        [{"toolRef": {"name": f"t{number}"}} for number in range(65)],
        "must have at most 64 entries",
    ),
    Bad(
        Kind.AGENT,
        "spec.agents",
        [
            {"agentRef": {"name": "a", "namespace": "n"}},
            {"agentRef": {"name": "a", "namespace": "n"}},
        ],
        _TWICE.format("agents"),
        rule=True,
    ),
    Bad(Kind.AGENT, "spec.replicas", -1, "must be at least 0, not -1"),
    Bad(Kind.AGENT, "spec.replicas", "3", "must be an integer, not '3'"),
    Bad(
        Kind.AGENT,
        "spec.scaling.minReplicas",
        11,
        "minReplicas must not be above maxReplicas; lower it or raise maxReplicas",
        rule=True,
    ),
    Bad(Kind.AGENT, "spec.execution.ackWaitSeconds", 0, "must be at least 1, not 0"),
    Bad(Kind.AGENT, "spec.execution.maxInputBytes", 786433, "must be at most 786432, not 786433"),
    Bad(Kind.AGENT, "spec.execution.clientTimeoutSeconds", 0, "must be at least 1, not 0"),
    Bad(
        Kind.AGENT,
        "spec.execution.whenBusy",
        "Wait",
        "must be one of 'Queue', 'Reject' or 'Interrupt', not 'Wait'",
    ),
    Bad(Kind.AGENT, "spec.triggers[0].schedule", "at seven", _CRON, rule=True),
    Bad(Kind.AGENT, "spec.triggers[0].schedule", "60 7 * * *", _CRON, rule=True),
    Bad(Kind.AGENT, "spec.suspend", "yes", "must be true or false, not 'yes'"),
    Bad(Kind.AGENT, "spec.podTemplate", [], "must be an object, not []"),
)
_TOOL: Final = (
    Bad(Kind.TOOL, "metadata.name", "math.add", _NAME.format("Tool"), rule=True),
    Bad(
        Kind.TOOL,
        "spec.python",
        GONE,
        "set exactly one of python, mcp and http",
        field="spec",
        rule=True,
    ),
    Bad(
        Kind.TOOL,
        "spec.http",
        {"openapi": {"url": "https://w.example/api.json"}},
        "set exactly one of python, mcp and http",
        field="spec",
        rule=True,
    ),
    Bad(
        Kind.TOOL,
        "spec",
        {"stackRef": {"name": "default"}, "mcp": {}},
        "set exactly one of url and workload",
        field="spec.mcp",
        rule=True,
    ),
    Bad(
        Kind.TOOL,
        "spec",
        {"stackRef": {"name": "d"}, "mcp": {"workload": {"image": "i", "port": 65536}}},
        "must be at most 65535, not 65536",
        field="spec.mcp.workload.port",
    ),
    Bad(
        Kind.TOOL,
        "spec",
        {"stackRef": {"name": "d"}, "mcp": {"url": "http://m/mcp", "tools": ["a", "a"]}},
        "a is listed twice",
        field="spec.mcp.tools[1]",
    ),
    Bad(
        Kind.TOOL,
        "spec",
        {
            "stackRef": {"name": "d"},
            "http": {"openapi": {"url": "http://w/o.json", "configMapRef": {"name": "w"}}},
        },
        "set exactly one of url and configMapRef",
        field="spec.http.openapi",
        rule=True,
    ),
    Bad(
        Kind.TOOL,
        "spec",
        {
            "stackRef": {"name": "d"},
            "http": {"openapi": {"url": "http://w/o.json"}, "operations": ["get weather"]},
        },
        "must be an operationId: ASCII without spaces, not 'get weather'",
        field="spec.http.operations[0]",
    ),
    Bad(
        Kind.TOOL,
        "spec.sideEffects",
        "Many",
        "must be one of 'None', 'Idempotent' or 'AtMostOnce', not 'Many'",
    ),
    Bad(
        Kind.TOOL,
        "spec.schemaDigest",
        "sha256:0a",
        "must be a digest as in status.schemaDigest: sha256: and 64 digits, not 'sha256:0a'",
    ),
    Bad(Kind.TOOL, "spec.retryPolicy.maxAttempts", 0, "must be at least 1, not 0"),
)
_POLICY: Final = (
    Bad(Kind.IDENTITY_POLICY, "spec.targetRefs", [], "must have at least 1 entry"),
    Bad(
        Kind.IDENTITY_POLICY,
        "spec.targetRefs[1].kind",
        "Agent",
        "Agent, math is listed twice",
        field="spec.targetRefs[1]",
    ),
    Bad(
        Kind.IDENTITY_POLICY,
        "spec.targetRefs[0].kind",
        "Pod",
        "must be one of 'Stack', 'Agent' or 'Tool', not 'Pod'",
    ),
    Bad(
        Kind.IDENTITY_POLICY,
        "spec.targetRefs[0].group",
        "apps",
        "must be 'k8gentai.dev', not 'apps'",
    ),
    Bad(
        Kind.IDENTITY_POLICY,
        "spec.workloadIdentity.trustDomain",
        "spiffe://k8gentai",
        "must be a trust domain such as 'k8gentai.local', not 'spiffe://k8gentai'",
    ),
    Bad(
        Kind.IDENTITY_POLICY,
        "spec.access[0].from.agents",
        ["math"],
        "set exactly one of users and agents",
        field="spec.access[0].from",
        rule=True,
    ),
    Bad(
        Kind.IDENTITY_POLICY,
        "spec.access[0].to",
        {},
        "set exactly one of agents and tools",
        rule=True,
    ),
    Bad(
        Kind.IDENTITY_POLICY,
        "spec.access[0].from.users.claims.groups",
        [],
        "must have at least 1 entry",
    ),
    Bad(
        Kind.IDENTITY_POLICY,
        "spec.access[0].scopes[0]",
        "two words",
        "must be one scope: printable, without spaces, not 'two words'",
    ),
    Bad(Kind.IDENTITY_POLICY, "spec.transactionToken.maxHops", 0, "must be at least 1, not 0"),
    Bad(Kind.IDENTITY_POLICY, "spec.exchange[0].audience", GONE, "is required"),
)

BAD: Final[tuple[Bad, ...]] = (*_STACK, *_AGENT, *_TOOL, *_POLICY)
