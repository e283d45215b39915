"""What a Tool implies."""

from dataclasses import replace
from typing import Final

from controller.api.conditions import GOOD_REASONS, ReadyReason
from controller.api.stack import Stack
from controller.api.tool import Tool
from controller.desired.availability import told_to_clients
from controller.desired.identity import policy_entry, proofs, queue_access, token_access
from controller.desired.metadata import Role, key_of
from controller.desired.network import tool_traffic
from controller.desired.parts import GRANTED_TOKENS, QUEUE_TOKEN
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
    Desired,
    EntryRef,
    Health,
    Image,
    KvEntry,
    QueueFacts,
    Site,
    Stage,
    ToolView,
)
from runtime.contract.agent_config import HttpApi, McpServer, SideEffects, ToolConfig
from runtime.contract.catalogue import ToolEntry, ToolFunctions
from runtime.contract.keys import functions_entry, tool_entry
from runtime.contract.subjects import Bucket, StackSubjects
from runtime.contract.trust_config import Role as QueueRole
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName

MCP_PATH: Final = "/mcp"
"""Where an MCP server that is run for a tool answers, as the SDKs' servers do by default."""


def desired_tool(
    view: ToolView, stack: Stack, site: Site, *, stage: Stage, health: Health
) -> Desired:
    """Everything that a Tool with nothing against it implies.

    Args:
        view: of the Tool.
        stack: that of its spec.
        site: where everything is.
        stage: how far it is on its way out.
        health: how its workers are; its catalogue entry tells it.
    """
    subjects = StackSubjects(key_of(stack).object_name)
    config = tool_config(view, stack, site)
    mcp = view.owner.spec.mcp
    worker = Worker(
        role=Role.TOOL,
        owner=view.owner,
        stack=stack,
        image=tool_image(view.owner, site),
        config=_text(config),
        source=view.source,
        sidecar=mcp.workload if mcp is not None else None,
        replicas=worker_replicas(view, stage),
        audience_by_file=QUEUE_TOKEN if stack.spec.auth is None else GRANTED_TOKENS,
        traffic=tool_traffic(stack, view.key.namespace, site, addresses(view.owner)),
        identity=view.identity,
    )
    deployment, revision = worker_pods(worker, site)
    final = _text(config.model_copy(update={"revision": revision}))
    children = worker_children(worker, deployment, site, config=final, revision=revision)
    catalogue = subjects.bucket(Bucket.CATALOGUE)
    return Desired(
        children=children,
        bound=(children[-1].ref,),
        consumers=consumers(view.owner, subjects),
        entries=(
            policy_entry(subjects, worker.name, tool_workload(view, revision)),
            catalogue_entry(view, subjects, revision=revision, health=health),
        ),
        not_ours=(EntryRef(catalogue, functions_entry(view.key.object_name)),),
        revision=revision,
    )


def _text(config: ToolConfig) -> str:
    return config.model_dump_json(by_alias=True, exclude_none=True, indent=2)


def tool_image(tool: Tool, site: Site) -> str:
    """The image the workers of `tool` run: the user's, or ours."""
    python = tool.spec.python
    own = python.image if python is not None else None
    return own or site.image(Image.RUNTIME)


def tool_config(view: ToolView, stack: Stack, site: Site) -> ToolConfig:
    """`tool.json` but for its revision: everything its worker needs to know."""
    spec, key = view.owner.spec, view.key
    return ToolConfig(
        tool=key.object_name,
        queue=queue_access(site, Role.TOOL, view.owner, stack, view.identity),
        durable=durable_of(view.owner),
        python=worker_module(view, module_of(view.owner), tool_image(view.owner, site), site),
        mcp=mcp_server(view.owner),
        http=http_api(view.owner, site),
        side_effects=SideEffects(spec.side_effects),
        input_schema=spec.input_schema or None,
        execution=worker_execution(spec.execution),
        retry=worker_retry(view.owner),
        require_grant=stack.spec.auth is not None,
        tokens=token_access(site, Role.TOOL, view.owner, stack, view.identity),
    )


def mcp_server(tool: Tool) -> McpServer | None:
    """Where the worker finds its MCP server: at the given address, or in its own pod."""
    mcp = tool.spec.mcp
    if mcp is None:
        return None
    beside = f"http://127.0.0.1:{mcp.workload.port}{MCP_PATH}" if mcp.workload else ""
    return McpServer(url=mcp.url or beside, tools=mcp.tools or None)


def http_api(tool: Tool, site: Site) -> HttpApi | None:
    """Where the worker finds the document of its API, and what it offers of it."""
    http = tool.spec.http
    if http is None:
        return None
    namespace = tool.metadata.namespace
    ref, url, base_url = http.openapi.config_map_ref, http.openapi.url, http.base_url
    folder = ref and site.source_dir(ObjectName(namespace=namespace, name=ref.name))
    return HttpApi(
        url=url and site.reachable(url, namespace),
        path=ref and f"{folder}/{ref.key}",
        base_url=base_url and site.reachable(base_url, namespace),
        operations=http.operations or None,
    )


def addresses(tool: Tool) -> tuple[str, ...]:
    """What its worker asks over the network, as the spec names it: an MCP server or an API."""
    mcp, http = tool.spec.mcp, tool.spec.http
    named = (
        mcp.url if mcp else None,
        http.openapi.url if http else None,
        http.base_url if http else None,
    )
    return tuple(url for url in named if url is not None)


def tool_workload(view: ToolView, revision: str) -> Workload:
    """What its workers may do on the queue, and how those of `revision` prove themselves."""
    return Workload(
        role=QueueRole.TOOL,
        name=view.key.object_name,
        durable=durable_of(view.owner),
        **proofs(Role.TOOL, view.key, view.identity, pods=view.pods, current=revision),
    )


def discovered(view: ToolView, revision: str) -> ToolFunctions | None:
    """What the worker of this revision has found out about its functions; None if nothing yet."""
    if not isinstance(view.queue, QueueFacts):
        return None
    name = view.key.object_name
    bucket = StackSubjects(view.stack.key.object_name).bucket(Bucket.CATALOGUE)
    value = view.queue.entries.get(EntryRef(bucket, functions_entry(name)))
    if value is None:
        return None
    try:
        functions = ToolFunctions.decode(value)
    except ValueError:
        return None  # of a newer worker, or damaged: as good as not written yet
    return functions if functions.revision == revision else None


def explained(health: Health, functions: ToolFunctions | None) -> Health:
    """Workers that are not ready have said why, if they run and it is not of their own making."""
    if health.reason is not ReadyReason.PROGRESSING or not (functions and functions.problem):
        return health
    reason, message = ReadyReason.DEPENDENCY_NOT_READY, functions.problem
    return replace(health, reason=reason, message=message, told=None)


def catalogue_entry(
    view: ToolView, subjects: StackSubjects, *, revision: str, health: Health
) -> KvEntry:
    """What agents and the server are told of the Tool."""
    found = discovered(view, revision)
    told = explained(health, found)
    entry = ToolEntry(
        tool=view.key.object_name,
        side_effects=SideEffects(view.owner.spec.side_effects),
        ready=told.reason in GOOD_REASONS,
        reason=told.reason,
        message=told_to_clients(view.key, told),
        functions=found.functions if found else (),
    )
    bucket = subjects.bucket(Bucket.CATALOGUE)
    return KvEntry(bucket, tool_entry(view.key.object_name), entry.encode())
