"""What a spec refers to, and whether it may."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from controller.api.agent import Agent
from controller.api.conditions import ResolvedRefsReason
from controller.api.fields import (
    AllowedNamespaces,
    LabelRequirement,
    LabelSelector,
    NamespacesFrom,
    PythonModule,
    Ref,
    SecretKeyRef,
    SelectorOperator,
)
from controller.api.identity_policy import IdentityPolicy
from controller.api.names import Kind
from controller.api.parse import InvalidSpec
from controller.api.resource import Resource
from controller.api.stack import Stack
from controller.api.tool import Tool
from controller.desired.claims import servers
from controller.model import NATS_SERVER, POLICIES, ChildRef, Key, Problem, Reference

type Labels = Mapping[str, str]


def key_of_ref(kind: Kind, ref: Ref, namespace: str) -> Key:
    """The object that `ref`, in an object of `namespace`, names."""
    return Key(kind, ref.namespace or namespace, ref.name)


def stack_of(owner: Agent | Tool) -> Key:
    """The Stack that `owner` belongs to."""
    return key_of_ref(Kind.STACK, owner.spec.stack_ref, owner.metadata.namespace)


def tools_of(agent: Agent) -> tuple[Key, ...]:
    """The Tools that `agent` may call, in the order of its spec."""
    namespace = agent.metadata.namespace
    return tuple(key_of_ref(Kind.TOOL, one.tool_ref, namespace) for one in agent.spec.tools)


def agents_of(agent: Agent) -> tuple[Key, ...]:
    """The Agents that `agent` may call, in the order of its spec."""
    namespace = agent.metadata.namespace
    return tuple(key_of_ref(Kind.AGENT, one.agent_ref, namespace) for one in agent.spec.agents)


def policies(namespace: str) -> ChildRef:
    """In place of all policies of a namespace: one that comes, changes or goes changes this."""
    return ChildRef("", POLICIES, namespace, "")


def module_of(owner: Agent | Tool) -> PythonModule | None:
    """The user's own code, if the spec has any."""
    return owner.spec.source.module if isinstance(owner, Agent) else owner.spec.python


@dataclass(frozen=True, slots=True)
class ConfigMapUse:
    """A ConfigMap of the user's that a worker reads: `field` names it, `key` must be in it."""

    field: str
    name: str
    key: str | None = None


def config_map_of(owner: Agent | Tool) -> ConfigMapUse | None:
    """The ConfigMap with the user's code or document, if the spec names one."""
    module = module_of(owner)
    if module is not None and module.config_map_ref is not None:
        field = "spec.source.module" if isinstance(owner, Agent) else "spec.python"
        return ConfigMapUse(f"{field}.configMapRef", module.config_map_ref.name)
    http = owner.spec.http if isinstance(owner, Tool) else None
    if http is not None and (ref := http.openapi.config_map_ref) is not None:
        return ConfigMapUse("spec.http.openapi.configMapRef", ref.name, ref.key)
    return None


def references(resource: Resource) -> frozenset[ChildRef]:
    """Everything whose change may change what `resource` implies, ConfigMaps and Secrets too.

    A NATS that a Stack names is no object of Kubernetes; it changes hands when a Stack that names
    it too changes or goes. Of policies nobody says whom they are about but they themselves.
    """
    return frozenset(_references(resource))


def _references(resource: Resource) -> Iterator[ChildRef]:
    namespace = resource.metadata.namespace
    if isinstance(resource, Agent | Tool):
        stack = stack_of(resource)
        yield stack.ref
        yield from (policies(one) for one in (namespace, stack.namespace))
        if (use := config_map_of(resource)) is not None:
            yield ChildRef("v1", "ConfigMap", namespace, use.name)
    if isinstance(resource, Agent):
        for named in (*tools_of(resource), *agents_of(resource)):
            yield named.ref
            yield policies(named.namespace)
    if isinstance(resource, Stack):
        yield policies(namespace)
        external = resource.spec.messaging.external
        for server in servers(external.url) if external else ():
            yield ChildRef("", NATS_SERVER, "", server)
        for _, secret in secrets_of(resource):
            yield ChildRef("v1", "Secret", namespace, secret.name)
    if isinstance(resource, IdentityPolicy):
        yield policies(namespace)
        for target in resource.spec.target_refs:
            yield Key(Kind(target.kind.value), namespace, target.name).ref


def secrets_of(stack: Stack) -> Iterator[tuple[str, SecretKeyRef]]:
    """The keys of Secrets that `stack` names, each with the field that does."""
    for place, model in enumerate(stack.spec.models):
        if model.api_key_secret_ref is not None:
            yield f"spec.models[{place}].apiKeySecretRef", model.api_key_secret_ref
    postgres = stack.spec.storage.postgres
    if postgres is not None:
        yield "spec.storage.postgres.urlSecretRef", postgres.url_secret_ref
        if postgres.ca_secret_ref is not None:
            yield "spec.storage.postgres.caSecretRef", postgres.ca_secret_ref


def found[R: (Agent, Stack, Tool)](
    field: str, key: Key, target: R | None, *, namespace: str, labels: Labels
) -> Reference[R]:
    """The reference in `field` of an object of `namespace`, whose labels are `labels`."""
    if target is None or target.metadata.is_deleting:
        return Reference(key, target, _missing(field, key, is_deleting=target is not None))
    if key.namespace != namespace and not permits(target.spec.allowed_namespaces, labels):
        message = (
            f"{field}: {key} does not permit the namespace {namespace}; "
            f"its owner can, by spec.allowedNamespaces of the {key.kind}"
        )
        return Reference(key, target, Problem(ResolvedRefsReason.REF_NOT_PERMITTED, message))
    return Reference(key, target)


def unreadable[R: (Agent, Stack, Tool)](field: str, key: Key, error: InvalidSpec) -> Reference[R]:
    """The reference to an object whose own spec breaks the schema."""
    message = f"{field}: {key} is not valid ({error}); correct it first"
    return Reference(key, None, Problem(ResolvedRefsReason.REF_NOT_FOUND, message))


def without_queue(field: str, stack: Reference[Stack], other: Key) -> Reference[Stack]:
    """The reference to a Stack that names the NATS of `other`."""
    message = (
        f"{field}: {stack.key} is not accepted ({other} uses its NATS already); correct it first"
    )
    return replace(stack, problem=Problem(ResolvedRefsReason.REF_NOT_FOUND, message))


def _missing(field: str, key: Key, *, is_deleting: bool) -> Problem:
    if is_deleting:
        message = f"{field}: {key} is being deleted; name another one"
    else:
        message = (
            f"{field}: there is no {key.kind} {key.name} in namespace {key.namespace}; "
            "create it or name another one"
        )
    return Problem(ResolvedRefsReason.REF_NOT_FOUND, message)


def config_map_problem(
    use: ConfigMapUse, namespace: str, source: Mapping[str, str] | None
) -> Problem | None:
    """What is wrong with the ConfigMap, `source` being what it holds, None where there is none."""
    if source is None:
        what = f"there is no ConfigMap {use.name} in namespace {namespace}; create it"
    elif use.key is not None and use.key not in source:
        there = ", ".join(sorted(source)) or "nothing"
        what = f"the ConfigMap {use.name} has no key {use.key}, it has {there}; name it by key"
    else:
        return None
    return Problem(ResolvedRefsReason.REF_NOT_FOUND, f"{use.field}: {what}")


def permits(allowed: AllowedNamespaces, labels: Labels) -> bool:
    """Whether an object of another namespace, which has `labels`, may refer to this one."""
    match allowed.from_:
        case NamespacesFrom.SAME:
            return False
        case NamespacesFrom.ALL:
            return True
        case NamespacesFrom.SELECTOR:
            return allowed.selector is not None and selects(allowed.selector, labels)


def selects(selector: LabelSelector, labels: Labels) -> bool:
    """Whether `labels` have everything the selector asks for; an empty one asks for nothing."""
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _meets(want, labels) for want in selector.match_expressions
    )


def _meets(want: LabelRequirement, labels: Labels) -> bool:
    match want.operator:
        case SelectorOperator.IN:
            return labels.get(want.key) in want.values
        case SelectorOperator.NOT_IN:
            return labels.get(want.key) not in want.values
        case SelectorOperator.EXISTS:
            return want.key in labels
        case SelectorOperator.DOES_NOT_EXIST:
            return want.key not in labels
