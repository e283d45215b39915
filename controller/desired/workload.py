"""The worker of an Agent or a Tool: what the two have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any, Final

from controller.api.agent import Agent
from controller.api.fields import ExecutionSpec, PythonModule
from controller.api.names import Component, selector_labels
from controller.api.stack import Stack
from controller.api.tool import McpWorkload, Tool
from controller.desired.identity import identity_volume, spiffe_id_children, token_volume
from controller.desired.metadata import (
    Role,
    digest,
    digest_of_files,
    key_of,
    metadata,
    workload_name,
)
from controller.desired.network import Traffic, network_policy, stack_labels
from controller.desired.parts import (
    HEALTH_PORT,
    QUEUE_TOKEN,
    config_map,
    folder,
    service_account,
    with_pod_template,
    with_revision,
)
from controller.desired.references import config_map_of
from controller.desired.render import manifest, yaml_quoted
from controller.model import (
    SERVER_TOKEN_DIR,
    Child,
    Consumer,
    IdentityRule,
    Manifest,
    Site,
    Stage,
    WorkloadView,
)
from runtime.contract.agent_config import Execution, Module, OnCrash, Origin, Retry
from runtime.contract.subjects import StackSubjects, Stream, asked_durable, durable
from runtime.contract.value import ObjectName

COMPONENT_BY_ROLE: Final = {Role.AGENT: Component.WORKER, Role.TOOL: Component.TOOL_WORKER}
CONFIG_FILE_BY_ROLE: Final = {Role.AGENT: "agent.json", Role.TOOL: "tool.json"}

MOST_DELIVERIES: Final = 1000
"""A backstop: attempts are counted in the run record, so that rollouts dead-letter nothing."""
FEWEST_PENDING: Final = 1000
"""Deliveries that may be under way at once, so that nobody notices the limit."""
ASKED_PENDING: Final = -1
"""No limit: a worker full of runs that wait hands back what is not deep enough in a chain, and what
it has handed back must not keep deeper tasks from it. Only runs that wait can ask for more."""
STOP_SECONDS: Final = 5
"""What a worker needs to go once its work is done."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Worker:
    """What the worker of one Agent or Tool is made from.

    Shape:
        stack    it belongs to.
        config   text of its configuration, without the revision.
        traffic  with whom it may speak.
        source   what the user's ConfigMap holds. `sidecar`: the MCP server that runs beside it.
        audience_by_file  its tokens, where it has any.
        identity how it proves who it is.
    """

    role: Role
    owner: Agent | Tool
    stack: Stack
    image: str
    config: str
    source: Mapping[str, str] | None = None
    sidecar: McpWorkload | None = None
    audience_by_file: Mapping[str, str] = QUEUE_TOKEN
    replicas: int
    traffic: Traffic
    identity: IdentityRule

    @property
    def name(self) -> ObjectName:
        """What its Deployment, ServiceAccount and ConfigMap are called."""
        return workload_name(self.role, key_of(self.owner))

    @property
    def component(self) -> Component:
        """What it does."""
        return COMPONENT_BY_ROLE[self.role]


def worker_replicas(view: WorkloadView[Any], stage: Stage) -> int:
    """How many workers there have to be; while work is drained, at least one."""
    spec = view.owner.spec
    if isinstance(view.owner, Agent) and view.owner.spec.suspend:
        return 0
    wanted: int = spec.replicas if spec.replicas is not None else max(1, spec.scaling.min_replicas)
    return wanted if stage is Stage.STAYING else max(1, wanted)


def worker_module(
    view: WorkloadView[Any], module: PythonModule | None, image: str, site: Site
) -> Module | None:
    """The user's code as the worker, which runs `image`, finds it."""
    if module is None:
        return None
    if module.config_map_ref is None:
        origin = Origin.WORKER if module.image is None else Origin.IMAGE
        return Module(entrypoint=module.entrypoint, origin=origin, revision=image)
    source = ObjectName(namespace=view.key.namespace, name=module.config_map_ref.name)
    return Module(
        entrypoint=module.entrypoint,
        path=site.source_dir(source),
        revision=digest_of_files(view.source or {}),
    )


def worker_execution(spec: ExecutionSpec) -> Execution:
    """How the worker runs one piece of work."""
    return Execution(
        timeout_seconds=spec.timeout_seconds,
        ack_wait_seconds=spec.ack_wait_seconds,
        concurrency=spec.concurrency,
        max_input_bytes=spec.max_input_bytes,
    )


def worker_retry(owner: Agent | Tool) -> Retry:
    """When the worker gives up."""
    policy = owner.spec.retry_policy
    return Retry(max_attempts=policy.max_attempts, on_crash=OnCrash(policy.on_crash))


def durable_of(owner: Agent | Tool) -> str:
    """The durable that is this object's alone; one re-created under its name gets another."""
    return durable(owner.metadata.name, owner.metadata.namespace, owner.metadata.uid)


def consumer_owner(owner: Agent | Tool) -> str:
    """How a consumer says whose it is."""
    return f"{key_of(owner)} {owner.metadata.uid}"


def consumers(owner: Agent | Tool, subjects: StackSubjects) -> tuple[Consumer, ...]:
    """The cursors on the queue from which the workers of `owner` pull.

    An Agent has two: what other agents ask of it is not behind what clients want.
    """
    name = key_of(owner).object_name
    is_agent = isinstance(owner, Agent)
    spec = owner.spec
    first = Consumer(
        stream=subjects.stream(Stream.TASKS if is_agent else Stream.CALLS),
        durable=durable_of(owner),
        filter_subject=subjects.tasks(name) if is_agent else subjects.calls_of(name),
        owner=consumer_owner(owner),
        ack_wait=timedelta(seconds=spec.execution.ack_wait_seconds),
        max_deliver=MOST_DELIVERIES,
        max_ack_pending=max(FEWEST_PENDING, spec.execution.concurrency * spec.scaling.max_replicas),
    )
    if not is_agent:
        return (first,)
    asked = replace(
        first,
        durable=asked_durable(first.durable),
        filter_subject=subjects.asked(name),
        max_ack_pending=ASKED_PENDING,
    )
    return first, asked


def worker_pods(worker: Worker, site: Site) -> tuple[Manifest, str]:
    """The Deployment of a worker, and its revision: a digest of all its pods are configured with.

    A change of the revision rolls out. The number of replicas is no part of it.
    """
    deployment = _deployment(worker, site)
    pod = yaml_quoted(deployment["spec"]["template"])
    return deployment, digest(worker.config, digest_of_files(worker.source or {}), pod)


def worker_children(
    worker: Worker, deployment: Manifest, site: Site, *, config: str, revision: str
) -> tuple[Child, ...]:
    """Identity, ConfigMap with `config`, NetworkPolicy and, last, Deployment of a worker."""
    name, owner, component = worker.name.name, worker.owner, worker.component
    data = {CONFIG_FILE_BY_ROLE[worker.role]: config}
    return (
        service_account(name, owner, component),
        *spiffe_id_children(worker.role, owner, component, worker.identity, site),
        config_map(name, owner, component, data),
        *network_policy(name, owner, component, worker.traffic, site),
        with_revision(deployment, revision),
    )


def _deployment(worker: Worker, site: Site) -> dict[str, Any]:
    key, name, owner = key_of(worker.owner), worker.name, worker.owner
    meta = metadata(name.name, owner, worker.component)
    spec = owner.spec
    config_dir = site.config_dir(name)
    rendered = manifest(
        "worker.yaml.j2",
        metadata=meta,
        replicas=worker.replicas,
        selector=selector_labels(key.kind, key.name, worker.component),
        labels={**meta["labels"], **stack_labels(key_of(worker.stack))},
        account=name.name,
        grace_seconds=min(spec.execution.timeout_seconds, spec.drain_seconds) + STOP_SECONDS,
        image=worker.image,
        command=["python", "-m", "runtime", "worker", f"{worker.role}/{key.namespace}/{key.name}"],
        config_file=f"{config_dir}/{CONFIG_FILE_BY_ROLE[worker.role]}",
        config_dir=config_dir,
        config_map=name.name,
        token_dir=folder(site.token_file(name)),
        health_port=HEALTH_PORT,
        identity=identity_volume(worker.identity, worker.audience_by_file),
        server_token=token_volume(worker.identity, worker.audience_by_file),
        server_token_dir=SERVER_TOKEN_DIR,
        source=_source(worker, site),
        sidecar=worker.sidecar,
    )
    return with_pod_template(rendered, spec.pod_template)


def _source(worker: Worker, site: Site) -> dict[str, str] | None:
    use = config_map_of(worker.owner)
    if use is None:
        return None
    path = site.source_dir(ObjectName(namespace=worker.owner.metadata.namespace, name=use.name))
    return {"path": path, "config_map": use.name}
