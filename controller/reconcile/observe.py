"""Reading the world, once, into a frozen view. Nothing is decided here."""

import asyncio
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime

from controller.api.agent import Agent
from controller.api.fields import Ref
from controller.api.identity_policy import IdentityPolicy
from controller.api.names import Kind
from controller.api.parse import InvalidSpec, parse
from controller.api.resource import Envelope, Resource
from controller.api.stack import Stack
from controller.api.tool import Tool
from controller.desired.access import readable, standing_policies
from controller.desired.agent import is_open
from controller.desired.claims import holders
from controller.desired.identity import identity_rule, queue_url
from controller.desired.metadata import Role, key_of, workload_name
from controller.desired.references import (
    config_map_of,
    found,
    key_of_ref,
    secrets_of,
    stack_of,
    unreadable,
    without_queue,
)
from controller.desired.streams import dispatcher_consumers
from controller.desired.workload import consumers
from controller.errors import NotPermitted
from controller.model import (
    CLUSTER_SPIFFE_ID,
    Claim,
    IdentityRule,
    Key,
    Manifest,
    Member,
    NamedSecret,
    PolicyView,
    QueueFacts,
    QueueQuery,
    Reference,
    ServerFacts,
    StackView,
    Unavailable,
    UnreadableView,
    WorkloadView,
)
from controller.reconcile.claims import read_claims
from controller.reconcile.world import RunsPlace, World
from runtime.contract.keys import agent_entry, functions_entry, tool_entry, workload_entry
from runtime.contract.subjects import Bucket, StackSubjects, Stream


async def observe[R: Resource](world: World, key: Key, model: type[R]) -> R | UnreadableView | None:
    """The object as it is; None if there is none."""
    body = await world.read(key)
    if body is None:
        return None
    try:
        return parse(model, body)
    except InvalidSpec as error:
        children = await world.children(key)
        envelope = parse(Envelope, body)
        reported = body.get("status") or {}
        return UnreadableView(
            key=key, envelope=envelope, error=error, children=children, reported=reported
        )


async def observe_workload[R: (Agent, Tool)](
    world: World, key: Key, model: type[R], now: datetime
) -> WorkloadView[R] | UnreadableView | None:
    """Everything one reconcile of an Agent or a Tool needs; None if there is none."""
    owner = await observe(world, key, model)
    if owner is None or isinstance(owner, UnreadableView):
        return owner
    stack, tools, agents, policies = await asyncio.gather(
        _stack(world, owner),
        _tools(world, owner),
        _agents(world, owner),
        read_policies(world),
    )
    source, children, pods, identity = await asyncio.gather(
        _source(world, owner),
        world.children(key),
        world.cluster.pods(key),
        _identity(world, policies, key, stack_of(owner)),
    )
    view = WorkloadView(
        key=key,
        owner=owner,
        stack=stack,
        source=source,
        children=children,
        pods=pods,
        tools=tools,
        agents=agents,
        policies=policies,
        identity=identity,
    )
    if stack.target is None:
        return view
    url = queue_url(stack.target, world.site)
    query = workload_query(owner, StackSubjects(stack.key.object_name))
    view = replace(view, queue=await world.queue(url, query))
    return await _with_unfinished(world, view, url, now)


async def _stack_identity(world: World, key: Key) -> IdentityRule:
    return await _identity(world, await read_policies(world), key)


async def _identity(
    world: World, policies: tuple[IdentityPolicy, ...], *targets: Key
) -> IdentityRule:
    """How an object's workloads are to prove who they are; the nearest of `targets` first."""
    # A cluster without a SPIRE, of which the operator was not told, is not asked for one.
    is_asked = bool(policies) and world.site.spire is not None
    is_installed = is_asked and await world.cluster.serves(*CLUSTER_SPIFFE_ID)
    return identity_rule(targets, policies, world.site, is_installed=is_installed)


async def _stack(world: World, owner: Agent | Tool) -> Reference[Stack]:
    """The Stack of `owner`, whose queue is where it says unless another Stack has that NATS."""
    field, namespace = "spec.stackRef", owner.metadata.namespace
    stack = await _reference(world, field, stack_of(owner), Stack, namespace)
    if stack.usable is None:
        return stack
    other = holders(await _claims(world, stack.usable)).get(stack.key)
    return stack if other is None else without_queue(field, stack, other.key)


async def _reference[R: (Agent, Stack, Tool)](
    world: World, field: str, key: Key, model: type[R], namespace: str
) -> Reference[R]:
    body = await world.read(key)
    try:
        target = None if body is None else parse(model, body)
    except InvalidSpec as error:
        return unreadable(field, key, error)
    labels: Mapping[str, str] = {}
    if key.namespace != namespace:
        labels = await world.cluster.namespace_labels(namespace)
    return found(field, key, target, namespace=namespace, labels=labels)


async def _tools(world: World, owner: Agent | Tool) -> tuple[Reference[Tool], ...]:
    refs = (use.tool_ref for use in owner.spec.tools) if isinstance(owner, Agent) else ()
    return await _bound(world, owner, "spec.tools[{}].toolRef", refs, Tool)


async def _agents(world: World, owner: Agent | Tool) -> tuple[Reference[Agent], ...]:
    refs = (use.agent_ref for use in owner.spec.agents) if isinstance(owner, Agent) else ()
    return await _bound(world, owner, "spec.agents[{}].agentRef", refs, Agent)


async def _bound[R: (Agent, Tool)](
    world: World, owner: Agent | Tool, field: str, refs: Iterable[Ref], model: type[R]
) -> tuple[Reference[R], ...]:
    """What `refs` name; `field` has a gap for the place of each."""
    namespace = owner.metadata.namespace
    return tuple(
        await asyncio.gather(
            *(
                _reference(
                    world,
                    field.format(place),
                    key_of_ref(model.kind, ref, namespace),
                    model,
                    namespace,
                )
                for place, ref in enumerate(refs)
            )
        )
    )


async def _source(world: World, owner: Agent | Tool) -> Mapping[str, str] | None:
    use = config_map_of(owner)
    if use is None:
        return None
    return await world.cluster.config_map(owner.metadata.namespace, use.name)


def workload_query(owner: Agent | Tool, subjects: StackSubjects) -> QueueQuery:
    """What an Agent or Tool has of the queue, and the stream it needs for that."""
    key = key_of(owner)
    name = key.object_name
    cursors = consumers(owner, subjects)
    is_agent = isinstance(owner, Agent)
    account = workload_name(Role.AGENT if is_agent else Role.TOOL, key)
    listings = (agent_entry(name),) if is_agent else (tool_entry(name), functions_entry(name))
    return QueueQuery(
        streams=(cursors[0].stream,),
        consumers=tuple((one.stream, one.durable, one.filter_subject) for one in cursors),
        entries=(
            (subjects.bucket(Bucket.POLICY), workload_entry(account)),
            *((subjects.bucket(Bucket.CATALOGUE), listing) for listing in listings),
        ),
    )


async def _with_unfinished[R: (Agent, Tool)](
    world: World, view: WorkloadView[R], url: str, now: datetime
) -> WorkloadView[R]:
    """With how many tasks of a deleted Agent have not ended, once none of them is in the queue.

    A task of a busy conversation waits outside the queue. Where these cannot be counted, nothing
    is known of the queue at all.
    """
    queue = view.queue
    is_asked = view.key.kind is Kind.AGENT and view.owner.metadata.is_deleting
    if not is_asked or not isinstance(queue, QueueFacts):
        return view
    if any(backlog.total for backlog in queue.backlogs.values()):
        return view
    subjects = StackSubjects(view.stack.key.object_name)
    place = RunsPlace(
        url=url,
        bucket=subjects.bucket(Bucket.RUNS),
        is_open=is_open(view.key.object_name, subjects, queue),
        has_workers=bool(view.children or view.pods),
    )
    found = await world.unfinished(view.key, place, now)
    if isinstance(found, Unavailable):
        return replace(view, queue=found)
    return replace(view, unfinished=found)


async def observe_stack(world: World, key: Key, now: datetime) -> StackView | UnreadableView | None:
    """Everything one reconcile of a Stack needs; None if there is none."""
    owner = await observe(world, key, Stack)
    if owner is None or isinstance(owner, UnreadableView):
        return owner
    is_sweep = world.sweeps(key, now)
    url = queue_url(owner, world.site)
    (children, pods), secrets, server, queue, claims, identity = await asyncio.gather(
        asyncio.gather(world.children(key), world.cluster.pods(key)),
        _secrets(world, owner),
        _server(world, owner),
        world.queue(url, stack_query(owner, is_sweep=is_sweep)),
        _claims(world, owner),
        _stack_identity(world, key),
    )
    # After the queue: whoever has made something in it by then is among the members.
    members = await _members(world) if is_sweep and isinstance(queue, QueueFacts) else ()
    if is_sweep and isinstance(queue, QueueFacts):
        world.swept(key, now)
    return StackView(
        key=key,
        owner=owner,
        url=url,
        children=children,
        pods=pods,
        queue=queue,
        secrets=secrets,
        server=server,
        members=members,
        claims=claims,
        identity=identity,
    )


def stack_query(owner: Stack, *, is_sweep: bool) -> QueueQuery:
    """What a Stack has of the queue; in a sweep also what its Agents and Tools have."""
    key = key_of(owner)
    subjects = StackSubjects(key.object_name)
    policy, catalogue = subjects.bucket(Bucket.POLICY), subjects.bucket(Bucket.CATALOGUE)
    own = [(policy, workload_entry(workload_name(role, key))) for role in _STACK_ROLES]
    return QueueQuery(
        streams=tuple(subjects.stream(stream) for stream in Stream),
        buckets=tuple(subjects.bucket(bucket) for bucket in Bucket),
        consumers=tuple(
            (one.stream, one.durable, one.filter_subject) for one in dispatcher_consumers(owner)
        ),
        all_consumers_of=(subjects.stream(Stream.TASKS), subjects.stream(Stream.CALLS))
        if is_sweep
        else (),
        entries=((policy, "workloads.>"), (catalogue, ">")) if is_sweep else tuple(own),
    )


_STACK_ROLES = (Role.SERVER, Role.DISPATCHER)


async def _secrets(world: World, owner: Stack) -> tuple[NamedSecret, ...]:
    wanted = tuple(secrets_of(owner))
    try:
        found = await asyncio.gather(
            *(world.cluster.secret_digests(owner.metadata.namespace, ref.name) for _, ref in wanted)
        )
    except NotPermitted:
        return ()  # its pods tell what is missing
    return tuple(
        NamedSecret(field, ref.name, ref.key, (digests or {}).get(ref.key))
        for (field, ref), digests in zip(wanted, found, strict=True)
    )


async def _server(world: World, owner: Stack) -> ServerFacts | None:
    """What the server says, if it was seen to answer when it was last looked at."""
    if owner.metadata.is_deleting or not owner.spec.server.replicas:
        return None
    url = world.site.server_url(key_of(owner).object_name)
    return await world.servers.observe(url, proving=owner.spec.auth is not None)


async def _claims(world: World, owner: Stack) -> tuple[Claim, ...]:
    """Who takes which NATS, if `owner` names one that may be another Stack's."""
    if owner.spec.messaging.external is None or owner.metadata.is_deleting:
        return ()
    return await read_claims(world)


async def _members(world: World) -> tuple[Member, ...]:
    agents, tools = await asyncio.gather(
        world.cluster.list(Kind.AGENT), world.cluster.list(Kind.TOOL)
    )
    return (
        *(_member(body, Kind.AGENT, Agent) for body in agents),
        *(_member(body, Kind.TOOL, Tool) for body in tools),
    )


def _member(body: Manifest, kind: Kind, model: type[Agent] | type[Tool]) -> Member:
    metadata = parse(Envelope, body).metadata
    key = Key(kind, metadata.namespace, metadata.name)
    try:
        return Member(key, metadata.uid, stack_of(parse(model, body)))
    except InvalidSpec:
        return Member(key, metadata.uid, None)


async def observe_policy(world: World, key: Key) -> PolicyView | UnreadableView | None:
    """Everything one reconcile of an IdentityPolicy needs; None if there is none."""
    owner = await observe(world, key, IdentityPolicy)
    if owner is None or isinstance(owner, UnreadableView):
        return owner
    stacks, agents, tools, policies = await asyncio.gather(
        world.cluster.list(Kind.STACK),
        world.cluster.list(Kind.AGENT),
        world.cluster.list(Kind.TOOL),
        read_policies(world),
    )
    by_kind = {Kind.STACK: stacks, Kind.AGENT: agents, Kind.TOOL: tools}
    return PolicyView(
        key=key,
        owner=owner,
        existing=frozenset(_keys(by_kind)),
        stacks=readable(Stack, stacks),
        agents=readable(Agent, agents),
        tools=readable(Tool, tools),
        policies=policies,
    )


def _keys(by_kind: Mapping[Kind, Iterable[Manifest]]) -> Iterator[Key]:
    for kind, bodies in by_kind.items():
        for body in bodies:
            metadata = parse(Envelope, body).metadata
            yield Key(kind, metadata.namespace, metadata.name)


async def read_policies(world: World) -> tuple[IdentityPolicy, ...]:
    """Every policy that is not being deleted."""
    return standing_policies(await world.cluster.list(Kind.IDENTITY_POLICY))
