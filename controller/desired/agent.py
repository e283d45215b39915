"""What an Agent implies."""

from collections.abc import Iterable
from typing import Final

from controller.api.agent import Agent, Framework
from controller.api.names import Kind
from controller.api.stack import Model as StackModel
from controller.api.stack import Stack
from controller.desired.access import access_of, guard_of, permitted, resource
from controller.desired.availability import Availability
from controller.desired.capabilities import CAPABILITIES, LACKED_BY_FRAMEWORK
from controller.desired.identity import (
    policy_entry,
    proofs,
    queue_access,
    server_token_file,
    token_access,
)
from controller.desired.metadata import Role, key_of, workload_name
from controller.desired.network import agent_traffic
from controller.desired.parts import ALL_TOKENS, QUEUE_TOKEN, image_of
from controller.desired.references import module_of
from controller.desired.workload import (
    Worker,
    consumers,
    durable_of,
    worker_children,
    worker_execution,
    worker_module,
    worker_pods,
    worker_replicas,
    worker_retry,
)
from controller.model import (
    AgentView,
    Desired,
    EntryRef,
    Image,
    Key,
    KvEntry,
    QueueFacts,
    Site,
    Stage,
)
from runtime.contract.access import decide
from runtime.contract.agent_config import (
    AgentBinding,
    AgentConfig,
    Budget,
    Declarative,
    Model,
    SideEffects,
    ToolBinding,
)
from runtime.contract.agent_config import Framework as RuntimeFramework
from runtime.contract.catalogue import AgentEntry, WhenBusy
from runtime.contract.keys import agent_entry, workload_entry
from runtime.contract.subjects import Bucket, StackSubjects
from runtime.contract.trust_config import Role as QueueRole
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName, Value

IMAGE_BY_FRAMEWORK: Final = {
    Framework.LANGGRAPH: Image.WORKER_LANGGRAPH,
    Framework.LLAMA_STACK: Image.WORKER_LLAMA_STACK,
    Framework.CREWAI: Image.WORKER_CREWAI,
    Framework.AG2: Image.WORKER_AG2,
    Framework.BEEAI: Image.WORKER_BEEAI,
}


def desired_agent(
    view: AgentView, stack: Stack, site: Site, *, stage: Stage, availability: Availability
) -> Desired:
    """Everything that an Agent with nothing against it implies.

    Args:
        view: of the Agent; nothing in it is a problem.
        stack: its Stack.
        site: where things are.
        stage: how far it is on its way out; its workers stay as long as work may come to an end.
        availability: what its catalogue entry tells of it.
    """
    subjects = StackSubjects(key_of(stack).object_name)
    config = agent_config(view, stack, site)
    text = config.model_dump_json(by_alias=True, exclude_none=True, indent=2)
    worker = Worker(
        role=Role.AGENT,
        owner=view.owner,
        stack=stack,
        image=agent_image(view.owner, site),
        config=text,
        source=view.source,
        audience_by_file=QUEUE_TOKEN if stack.spec.auth is None else ALL_TOKENS,
        replicas=worker_replicas(view, stage),
        traffic=agent_traffic(stack, view.key.namespace, site),
        identity=view.identity,
    )
    deployment, revision = worker_pods(worker, site)
    children = worker_children(worker, deployment, site, config=text, revision=revision)
    return Desired(
        children=children,
        bound=(children[-1].ref,),
        consumers=consumers(view.owner, subjects),
        entries=(
            policy_entry(subjects, worker.name, agent_workload(view, revision)),
            catalogue_entry(
                view,
                subjects,
                stage=stage,
                availability=availability,
                capabilities=proved(view.owner, image_of(children, "worker"), site),
            ),
        ),
        revision=revision,
    )


def agent_image(agent: Agent, site: Site) -> str:
    """The image the workers of `agent` run: the user's, or that of the framework."""
    module = agent.spec.source.module
    own = module.image if module is not None else None
    return own or site.image(IMAGE_BY_FRAMEWORK[agent.spec.framework])


def proved(agent: Agent, image: str, site: Site) -> tuple[str, ...]:
    """What its framework was shown to do in our image; of another one nobody knows."""
    framework = agent.spec.framework
    is_ours = image == site.image(IMAGE_BY_FRAMEWORK[framework])
    lacked = LACKED_BY_FRAMEWORK[framework] if is_ours else CAPABILITIES
    return tuple(word for word in CAPABILITIES if word not in lacked)


def agent_config(view: AgentView, stack: Stack, site: Site) -> AgentConfig:
    """`agent.json`: everything its worker needs to know."""
    spec, key = view.owner.spec, view.key
    declarative = spec.source.declarative
    budget = spec.budget
    return AgentConfig(
        agent=key.object_name,
        queue=queue_access(site, Role.AGENT, view.owner, stack, view.identity),
        durable=durable_of(view.owner),
        framework=RuntimeFramework(spec.framework),
        description=spec.description,
        declarative=declarative
        and Declarative(
            instructions=declarative.instructions, max_iterations=declarative.max_iterations
        ),
        module=worker_module(view, module_of(view.owner), agent_image(view.owner, site), site),
        model=agent_model(view, stack, site),
        tools=tuple(
            ToolBinding(
                tool=tool.key.object_name,
                side_effects=SideEffects(target.spec.side_effects),
                timeout_seconds=target.spec.execution.timeout_seconds,
                approval_required=use.approval.required,
                approval_seconds=use.approval.timeout_seconds,
            )
            for use, tool in zip(spec.tools, view.tools, strict=True)
            if (target := tool.usable) is not None
        ),
        agents=tuple(
            AgentBinding(agent=asked.key.object_name, description=callee.spec.description)
            for asked in view.agents
            if (callee := asked.usable) is not None
        ),
        execution=worker_execution(spec.execution),
        client_seconds=spec.execution.client_timeout_seconds,
        retry=worker_retry(view.owner),
        budget=Budget(tokens=budget.tokens, tool_calls=budget.tool_calls),
        task_seconds=stack.spec.retention.task_seconds,
        require_grant=stack.spec.auth is not None,
        tokens=token_access(site, Role.AGENT, view.owner, stack, view.identity),
    )


def agent_model(view: AgentView, stack: Stack, site: Site) -> Model:
    """The model of the agent, reached through the server of its Stack."""
    account = workload_name(Role.AGENT, view.key)
    shown = server_token_file(site, account, view.identity)
    model = Model(
        id="",
        base_url=f"{site.server_url(key_of(stack).object_name)}/v1",
        token_file=None if stack.spec.auth is None else shown,
    )
    if not stack.spec.language_models:
        return model
    chosen = chosen_model(view.owner, stack)
    _, provided = site.model_endpoint(chosen.base_url or "", chosen.model)
    return model.model_copy(update={"id": f"{chosen.name}/{provided}"})


def chosen_model(agent: Agent, stack: Stack) -> StackModel:
    """The entry of the Stack's language models that the agent names, or the first."""
    ref = agent.spec.model_ref
    models = stack.spec.language_models
    return models[0] if ref is None else next(one for one in models if one.name == ref.name)


def agent_workload(view: AgentView, revision: str) -> Workload:
    """What its workers may do on the queue, and how those of `revision` prove themselves."""
    return Workload(
        role=QueueRole.AGENT,
        name=view.key.object_name,
        durable=durable_of(view.owner),
        calls=permitted(view, Kind.TOOL),
        asks=permitted(view, Kind.AGENT),
        suspended=view.owner.spec.suspend or None,
        **proofs(Role.AGENT, view.key, view.identity, pods=view.pods, current=revision),
    )


def narrowed(view: AgentView, subjects: StackSubjects) -> tuple[KvEntry, ...]:
    """What workers of an earlier spec may do on the queue, without what is denied by now.

    Policies, and `spec.suspend`, count at once, also while something else in the spec is wrong.
    """
    account = workload_name(Role.AGENT, view.key)
    old = _told(view, EntryRef(subjects.bucket(Bucket.POLICY), workload_entry(account)), Workload)
    if old is None:
        return ()
    calls, asks = _still(view, old.calls, old.asks)
    still = {"calls": calls, "asks": asks, "suspended": view.owner.spec.suspend or None}
    return (policy_entry(subjects, account, old.model_copy(update=still)),)


def _still(
    view: AgentView, tools: Iterable[ObjectName], agents: Iterable[ObjectName]
) -> tuple[tuple[ObjectName, ...], tuple[ObjectName, ...]]:
    """Of these Tools and Agents those that policies let it call by now."""
    keys = (
        *(Key(Kind.TOOL, name.namespace, name.name) for name in tools),
        *(Key(Kind.AGENT, name.namespace, name.name) for name in agents),
    )
    access, caller = access_of(view, *keys), resource(view.key)
    may = [key for key in keys if decide(access, caller, resource(key)).allowed]
    return (
        tuple(key.object_name for key in may if key.kind is Kind.TOOL),
        tuple(key.object_name for key in may if key.kind is Kind.AGENT),
    )


def model_name(view: AgentView) -> str:
    """The name clients call it by: bare in the namespace of its Stack, else with its own."""
    key = view.key
    is_at_home = key.namespace == view.stack.key.namespace
    return key.name if is_at_home else f"{key.namespace}.{key.name}"


def is_open(name: ObjectName, subjects: StackSubjects, queue: QueueFacts) -> bool:
    """Whether the catalogue, as it was read, still lets clients send the Agent new tasks."""
    ref = EntryRef(subjects.bucket(Bucket.CATALOGUE), agent_entry(name))
    value = queue.entries.get(ref)
    if value is None:
        return False
    try:
        return AgentEntry.decode(value).accepting
    except ValueError:
        return True  # nobody knows what others read in it, so it is written anew first


def catalogue_entry(
    view: AgentView,
    subjects: StackSubjects,
    *,
    stage: Stage,
    availability: Availability,
    capabilities: tuple[str, ...] = (),
) -> KvEntry:
    """What clients and the server are told of the Agent."""
    spec, created = view.owner.spec, view.owner.metadata.creation_timestamp
    entry = AgentEntry(
        agent=view.key.object_name,
        model=model_name(view),
        framework=RuntimeFramework(spec.framework),
        description=spec.description,
        version=str(view.owner.metadata.generation),
        service_account=workload_name(Role.AGENT, view.key),
        tools=permitted(view, Kind.TOOL),
        agents=permitted(view, Kind.AGENT),
        guard=guard_of(view.key, view.stack.key, view.policies),
        capabilities=capabilities,
        accepting=stage is Stage.STAYING and not spec.suspend and availability.is_programmed,
        leaving=stage is not Stage.STAYING,
        cancelling=stage is Stage.CANCELLING,
        ready=availability.is_ready,
        available=availability.is_available,
        reason=availability.reason,
        message=availability.message,
        when_busy=WhenBusy(spec.execution.when_busy),
        timeout_seconds=spec.execution.timeout_seconds,
        max_input_bytes=spec.execution.max_input_bytes,
        created=created.timestamp() if created else 0,
    )
    return _written(entry, subjects)


def told_before(view: AgentView, subjects: StackSubjects) -> AgentEntry | None:
    """What the catalogue has of the Agent; None if it has nothing that can be read."""
    bucket = subjects.bucket(Bucket.CATALOGUE)
    return _told(view, EntryRef(bucket, agent_entry(view.key.object_name)), AgentEntry)


def _told[V: Value](view: AgentView, ref: EntryRef, kind: type[V]) -> V | None:
    if not isinstance(view.queue, QueueFacts):
        return None
    value = view.queue.entries.get(ref)
    if value is None:
        return None
    try:
        return kind.decode(value)
    except ValueError:
        return None  # of a newer operator, or damaged: as it is written, it stays


def retold(
    view: AgentView, entry: AgentEntry, availability: Availability, subjects: StackSubjects
) -> KvEntry:
    """The same Agent with another word on how it is, and on who may call it."""
    tools, agents = _still(view, entry.tools, entry.agents)
    news = {
        "accepting": entry.accepting and not view.owner.spec.suspend,
        "guard": guard_of(view.key, view.stack.key, view.policies),
        "tools": tools,
        "agents": agents,
        "ready": availability.is_ready,
        "available": availability.is_available,
        "reason": availability.reason,
        "message": availability.message,
    }
    return _written(entry.model_copy(update=news), subjects)


def _written(entry: AgentEntry, subjects: StackSubjects) -> KvEntry:
    bucket = subjects.bucket(Bucket.CATALOGUE)
    return KvEntry(bucket, agent_entry(entry.agent), entry.encode())
