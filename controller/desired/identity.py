"""Who each workload is, who vouches for it, and what the trust plane is told of it."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from controller.api.agent import Agent
from controller.api.conditions import IdentityReadyReason
from controller.api.identity_policy import IdentityPolicy, IdentityProvider, TargetKind
from controller.api.names import Component, child_labels, selector_labels
from controller.api.resource import Resource
from controller.api.stack import Stack
from controller.api.tool import Tool
from controller.desired.access import winner
from controller.desired.metadata import Role, key_of, workload_name
from controller.desired.parts import AUDIENCE, folder
from controller.desired.render import manifest
from controller.model import (
    CLUSTER_SPIFFE_ID,
    SERVER_TOKEN,
    SERVER_TOKEN_DIR,
    Child,
    ChildRef,
    IdentityRule,
    Key,
    KvEntry,
    Pod,
    Problem,
    Proving,
    Site,
)
from runtime.contract.agent_config import Queue, TokenAccess, WorkloadApi
from runtime.contract.keys import workload_entry
from runtime.contract.spiffe import SpiffeId, WorkloadKind
from runtime.contract.subjects import Bucket, StackSubjects
from runtime.contract.trust_config import Workload
from runtime.contract.txn_token import ASSERTION_AUDIENCE
from runtime.contract.value import ObjectName

VOLUME: Final = "identity"
SOCKET: Final = "spire-agent.sock"
"""How the SPIRE agent calls its socket in the folder that the CSI driver shows to pods."""
LEAST_PROJECTED_SECONDS: Final = 600
"""Kubernetes makes no projected token that is good for less."""

BY_ACCOUNT: Final = IdentityRule()
"""Where no policy says otherwise: by a token of the ServiceAccount."""

_KIND_BY_ROLE: Final = {
    Role.AGENT: WorkloadKind.AGENT,
    Role.TOOL: WorkloadKind.TOOL,
    Role.SERVER: WorkloadKind.STACK,
    Role.DISPATCHER: WorkloadKind.DISPATCHER,
}
_CONTAINER_BY_ROLE: Final = {
    Role.AGENT: "worker",
    Role.TOOL: "worker",
    Role.SERVER: "server",
    Role.DISPATCHER: "dispatcher",
}


def identity_rule(
    targets: Iterable[Key], policies: Iterable[IdentityPolicy], site: Site, *, is_installed: bool
) -> IdentityRule:
    """How a workload is to prove who it is.

    Args:
        targets: the object it is of, and before its Stack, since the nearer one counts.
        policies: that may count for one of them.
        site: knows the SPIRE of the installation.
        is_installed: the cluster has SPIRE's ClusterSPIFFEIDs.
    """
    given = tuple(one for one in policies if one.spec.workload_identity is not None)
    found = (winner(TargetKind(one.kind.value), one.namespace, one.name, given) for one in targets)
    policy = next((one for one in found if one is not None), None)
    if policy is None or (wanted := policy.spec.workload_identity) is None:
        return BY_ACCOUNT
    spire = site.spire if is_installed else None
    provider = wanted.provider
    if provider is None:
        provider = IdentityProvider.SPIRE if spire else IdentityProvider.SERVICE_ACCOUNT
    if provider is IdentityProvider.SERVICE_ACCOUNT:
        seconds = max(wanted.jwt_seconds, LEAST_PROJECTED_SECONDS)
        return IdentityRule(provider=provider, jwt_seconds=seconds)
    problem = ""
    if spire is None:
        problem = _no_spire(policy, site)
    elif wanted.trust_domain not in (None, spire.trust_domain):
        problem = (
            f"IdentityPolicy {policy.metadata.name}, spec.workloadIdentity.trustDomain: the SPIRE "
            f"here is of {spire.trust_domain}, not of {wanted.trust_domain}; leave it out"
        )
    return IdentityRule(
        provider=provider,
        trust_domain=spire.trust_domain if spire else "",
        jwt_seconds=wanted.jwt_seconds,
        problem=problem,
    )


def _no_spire(policy: IdentityPolicy, site: Site) -> str:
    field = f"IdentityPolicy {policy.metadata.name}, spec.workloadIdentity.provider"
    if site.spire is None:
        what = "the operator was not told of a SPIRE; tell it (ConfigMap k8gentai-spire)"
    else:
        what = "the cluster has no ClusterSPIFFEIDs; install SPIRE and its controller manager"
    return f"{field}: {what}, or choose ServiceAccount"


def identity_problems(rule: IdentityRule) -> tuple[Problem, ...]:
    """What keeps a workload from proving itself as it is to; what runs stays as it is meanwhile."""
    return (Problem(IdentityReadyReason.SPIRE_MISSING, rule.problem),) if rule.problem else ()


def spiffe_id(role: Role, owner: Key, rule: IdentityRule) -> str | None:
    """The SPIFFE ID of a workload; None if it proves itself in another way."""
    if not rule.is_spire or not rule.trust_domain:
        return None
    kind = _KIND_BY_ROLE[role]
    return str(SpiffeId(trust_domain=rule.trust_domain, kind=kind, owner=owner.object_name))


def spiffe_id_ref(role: Role, owner: Key) -> ChildRef:
    """The ClusterSPIFFEID of a workload. No namespace has a dot in its name, so none is taken."""
    account = workload_name(role, owner)
    return ChildRef(*CLUSTER_SPIFFE_ID, "", f"k8gentai.{account.namespace}.{account.name}")


def spiffe_id_children(
    role: Role, owner: Resource, component: Component, rule: IdentityRule, site: Site
) -> tuple[Child, ...]:
    """What SPIRE is to register the workload by; nothing if it has no SPIFFE ID.

    Whoever may make pods with these labels in the namespace has to run them as its ServiceAccount,
    too, and gets an SVID in the one container that is ours.
    """
    key = key_of(owner)
    identity = spiffe_id(role, key, rule)
    if identity is None:
        return ()
    rendered = manifest(
        "cluster_spiffe_id.yaml.j2",
        metadata={
            "name": spiffe_id_ref(role, key).name,
            "labels": child_labels(key.kind, key.namespace, key.name, component),
        },
        spiffe_id=identity,
        namespace=key.namespace,
        labels=selector_labels(key.kind, key.name, component),
        account=workload_name(role, key).name,
        container=_CONTAINER_BY_ROLE[role],
        jwt_seconds=rule.jwt_seconds,
        class_name=site.spire and site.spire.class_name,
    )
    return (Child(rendered),)


def proving(role: Role, owner: Key, rule: IdentityRule, *, replicas: int, ready: int) -> Proving:
    """A workload that proves who it is by `rule`."""
    return Proving(
        account=workload_name(role, owner).name,
        spiffe_id=spiffe_id(role, owner, rule),
        ref=spiffe_id_ref(role, owner),
        replicas=replicas,
        ready=ready,
    )


def identity_volume(rule: IdentityRule, audience_by_file: Mapping[str, str]) -> dict[str, Any]:
    """The volume with which a workload proves itself: the Workload API's socket, or its tokens."""
    if rule.is_spire:
        return {"name": VOLUME, "csi": {"driver": "csi.spiffe.io", "readOnly": True}}
    tokens = [
        {"path": file, "audience": audience, "expirationSeconds": rule.jwt_seconds}
        for file, audience in audience_by_file.items()
    ]
    sources = [{"serviceAccountToken": token} for token in tokens]
    return {"name": VOLUME, "projected": {"sources": sources}}


def token_volume(rule: IdentityRule, audience_by_file: Mapping[str, str]) -> dict[str, Any] | None:
    """The volume of the token that a workload with SVIDs shows servers, which verify none.

    None where it shows servers nothing, or has the token beside its others.
    """
    audience = audience_by_file.get(SERVER_TOKEN)
    if audience is None or not rule.is_spire:
        return None
    seconds = max(rule.jwt_seconds, LEAST_PROJECTED_SECONDS)
    token = {"path": SERVER_TOKEN, "audience": audience, "expirationSeconds": seconds}
    return {"name": SERVER_TOKEN, "projected": {"sources": [{"serviceAccountToken": token}]}}


def server_token_file(site: Site, account: ObjectName, rule: IdentityRule) -> str:
    """Where a workload finds what it shows servers: not beside a socket, whose folder is full."""
    if rule.is_spire:
        return f"{SERVER_TOKEN_DIR}/{SERVER_TOKEN}"
    return site.server_token_file(account)


def policy_entry(subjects: StackSubjects, account: ObjectName, workload: Workload) -> KvEntry:
    """What the workload that runs as `account` may do on the queue of its Stack."""
    return KvEntry(subjects.bucket(Bucket.POLICY), workload_entry(account), workload.encode())


def proofs(
    role: Role, owner: Key, rule: IdentityRule, *, pods: Iterable[Pod], current: str
) -> dict[str, Any]:
    """By what the trust plane is to know a workload.

    While pods of another revision than `current` are there, their tokens count as well: with a
    SPIRE that does not work, what runs would be locked out before anything takes its place.
    """
    identity = spiffe_id(role, owner, rule)
    is_rolling = any(pod.revision != current for pod in pods)
    return {"spiffe_id": identity, "service_account_token": identity is None or is_rolling}


def queue_url(stack: Stack, site: Site) -> str:
    """The address of a Stack's queue: its own NATS, or the one it names."""
    external = stack.spec.messaging.external
    return external.url if external else site.queue_url(key_of(stack).object_name)


def token_access(
    site: Site, role: Role, owner: Agent | Tool | Stack, stack: Stack, rule: IdentityRule
) -> TokenAccess | None:
    """How a workload asks for transaction tokens; None where everybody is let in."""
    if stack.spec.auth is None:
        return None
    key = key_of(owner)
    file = site.assertion_file(workload_name(role, key))
    svids = _svids(file, spiffe_id(role, key, rule), ASSERTION_AUDIENCE)
    return TokenAccess(
        url=site.tokens_url,
        trust_domain=site.trust_domain,
        token_file=file if svids is None else None,
        workload_api=svids,
        # Once in the queue, and once for what the run waits for outside.
        grant_seconds=2 * stack.spec.retention.task_seconds if role is Role.SERVER else None,
    )


def queue_access(
    site: Site, role: Role, owner: Agent | Tool | Stack, stack: Stack, rule: IdentityRule
) -> Queue:
    """How a workload reaches the queue of its Stack and proves who it is."""
    key = key_of(owner)
    account = workload_name(role, key)
    file = site.token_file(account)
    svids = _svids(file, spiffe_id(role, key, rule), AUDIENCE)
    return Queue(
        stack=key_of(stack).object_name,
        url=queue_url(stack, site),
        token_file=file if svids is None else None,
        workload_api=svids,
        service_account=account,
    )


def _svids(token_file: str, identity: str | None, audience: str) -> WorkloadApi | None:
    """Where SVIDs come from, which take the place of `token_file`; None without a SPIFFE ID."""
    if identity is None:
        return None
    socket = f"{folder(token_file)}/{SOCKET}"
    return WorkloadApi(socket=socket, spiffe_id=identity, audience=audience)
