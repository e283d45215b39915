"""`agent.json` and `tool.json`: what the operator writes for a worker, and how it proves itself."""

from enum import StrEnum
from typing import Any

from runtime.contract.value import ObjectName, Value, Versioned


class WorkloadApi(Value):
    """Where a workload gets its SVIDs.

    Shape:
        socket     path of the Unix socket of the SPIFFE Workload API.
        spiffe_id  the workload's own; of several that its pod may have, no other is taken.
        audience   of the JWT-SVIDs that prove it to the queue.
    """

    socket: str
    spiffe_id: str
    audience: str


class Queue(Value):
    """How a process of ours reaches the queue of its Stack and proves who it is.

    Shape:
        url              of the NATS server.
        token_file       holds the workload's JWT; read again at each connect, never kept.
        workload_api     gives JWT-SVIDs instead; exactly one of the two is there.
        service_account  the identity that the JWT proves; it names the inbox.
    """

    stack: ObjectName
    url: str
    token_file: str | None = None
    workload_api: WorkloadApi | None = None
    service_account: ObjectName


class TokenAccess(Value):
    """How a process of ours reaches the transaction token service.

    Shape:
        url         http(s)://host:port without a path.
        token_file  holds the JWT that proves to it who we are; read again at each use, never kept.
        workload_api  gives JWT-SVIDs instead; exactly one of the two is there.

    Units:
        `grant_seconds`: how long a server lets the grant of a task be good: for as long as its run
        may take, all waiting included. The service allows seven days at most.
    """

    url: str
    trust_domain: str
    token_file: str | None = None
    workload_api: WorkloadApi | None = None
    grant_seconds: int | None = None


class Framework(StrEnum):
    """The frameworks an Agent may be written in."""

    LANGGRAPH = "LangGraph"
    CREWAI = "CrewAI"
    AG2 = "AG2"
    LLAMA_STACK = "LlamaStack"
    BEEAI = "BeeAI"


class SideEffects(StrEnum):
    """What happens to a call whose outcome a crash has hidden."""

    NONE = "None"
    IDEMPOTENT = "Idempotent"
    AT_MOST_ONCE = "AtMostOnce"


class OnCrash(StrEnum):
    """What the next attempt does after a worker was lost in the middle of a run."""

    RESUME = "Resume"
    RESTART = "Restart"
    FAIL = "Fail"


class Execution(Value):
    """How one piece of work runs.

    Units:
        `timeout_seconds` for the whole work, over all attempts; a delivery that shows no sign of
        life for `ack_wait_seconds` goes to another worker. `concurrency` counts per worker process,
        for tasks of clients and for those of other agents each.
    """

    timeout_seconds: int = 600
    ack_wait_seconds: float = 10
    concurrency: int = 4
    max_input_bytes: int = 524288


class Retry(Value):
    """When work is given up: `max_attempts` counts started attempts, the first included."""

    max_attempts: int = 5
    on_crash: OnCrash = OnCrash.RESUME


class Budget(Value):
    """What one task may use; null is no limit."""

    tokens: int | None = None
    tool_calls: int | None = None


class Model(Value):
    """The model of an agent: `id` as the OpenAI-compatible endpoint at `base_url` knows it.

    An empty `id` means that the Stack has no model; only a user's own code does without one.

    Shape:
        token_file  holds the JWT by which the worker proves to the server who asks; read again at
                    each request. Null for a server that lets everybody in.
    """

    id: str
    base_url: str
    token_file: str | None = None


class ToolBinding(Value):
    """A Tool that an agent may call, and under which terms.

    Units:
        `approval_seconds`: how long a call waits for a person, where `approval_required`.
    """

    tool: ObjectName
    side_effects: SideEffects = SideEffects.IDEMPOTENT
    timeout_seconds: int = 600
    approval_required: bool = False
    approval_seconds: int = 3600


class AgentBinding(Value):
    """An Agent that an agent may call, and what it is good for, in words for the model."""

    agent: ObjectName
    description: str = ""


class Declarative(Value):
    """An agent given by its instructions alone."""

    instructions: str
    max_iterations: int = 10


class Origin(StrEnum):
    """Where a user's code comes from, and so what to do when something is wrong with it."""

    CONFIG_MAP = "ConfigMap"
    IMAGE = "Image"
    """An image of the user's own."""
    WORKER = "Worker"
    """The worker's own image, since nothing else was named."""
    FOLDER = "Folder"
    """A folder named on a command line: there is no spec."""


class Module(Value):
    """A user's own code.

    Shape:
        entrypoint  `module:name`.
        path        folder with the module, put first on the import path; null for an image that
                    has it installed.
        revision    names the code: a digest of what is in the folder, or the image; null if nobody
                    knows. A tag that is moved is another image under the same name.
    """

    entrypoint: str
    path: str | None = None
    origin: Origin = Origin.CONFIG_MAP
    revision: str | None = None


class AgentConfig(Versioned):
    """Everything the worker of an Agent needs to know; exactly one of `declarative`, `module`.

    Units:
        `task_seconds`: for how long, all times together, a run may be parked; the ledger
        keeps results for twice that, so none expires before its run has ended.
        `client_seconds`: for how long a run waits for outputs of its client, each time.

    Shape:
        durable  of the tasks of clients; that of what other agents have asked for is named after
                 it (`subjects.asked_durable`).
        require_grant  a task without one that is good is no work; `tokens` says where to ask.
    """

    agent: ObjectName
    queue: Queue
    durable: str
    framework: Framework
    description: str = ""
    declarative: Declarative | None = None
    module: Module | None = None
    model: Model
    tools: tuple[ToolBinding, ...] = ()
    agents: tuple[AgentBinding, ...] = ()
    execution: Execution = Execution()
    retry: Retry = Retry()
    budget: Budget = Budget()
    client_seconds: int = 3600
    task_seconds: int = 86400
    require_grant: bool = False
    tokens: TokenAccess | None = None


class McpServer(Value):
    """An MCP server over streamable HTTP; `tools` limits what is offered, null offers all."""

    url: str
    tools: tuple[str, ...] | None = None


class HttpApi(Value):
    """Operations of an HTTP API; exactly one of `url`, `path` says where its OpenAPI document is.

    Shape:
        base_url    in place of the addresses that the document gives.
        operations  limits what is offered, by operationId; null offers all.
    """

    url: str | None = None
    path: str | None = None
    base_url: str | None = None
    operations: tuple[str, ...] | None = None


class ToolConfig(Versioned):
    """Everything the worker of a Tool needs to know; exactly one of `python`, `mcp`, `http`.

    Shape:
        input_schema  JSON schema that replaces the discovered one of a Python function.
        revision      digest of what the worker is made from; goes with the discovered functions.
        require_grant  a call without one that is good is no work; `tokens` says where to ask.
    """

    tool: ObjectName
    queue: Queue
    durable: str
    description: str = ""
    python: Module | None = None
    mcp: McpServer | None = None
    http: HttpApi | None = None
    side_effects: SideEffects = SideEffects.IDEMPOTENT
    input_schema: dict[str, Any] | None = None
    execution: Execution = Execution()
    retry: Retry = Retry()
    revision: str = ""
    require_grant: bool = False
    tokens: TokenAccess | None = None


DISPATCH_ACK_WAIT_SECONDS = 10.0
"""Without a sign of life for so long, what a dispatcher was given goes to another one."""


class StackConfig(Versioned):
    """Everything the dispatcher and the server of a Stack need to know.

    Shape:
        tokens  where the server gets a grant for each task; null for one that lets everybody in.

    Units:
        `event_seconds` are kept after a run ended, `lease_seconds` is how long a silent leader of
        the dispatchers stays leader.
    """

    queue: Queue
    event_seconds: int = 3600
    lease_seconds: float = 5
    tokens: TokenAccess | None = None
