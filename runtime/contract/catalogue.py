"""What the catalogue holds: agents and tools as clients, agents and the server see them."""

from enum import StrEnum
from typing import Any

from runtime.contract.access import Guard
from runtime.contract.agent_config import Framework, SideEffects
from runtime.contract.value import ObjectName, Value, Versioned


class WhenBusy(StrEnum):
    """What happens to a task whose conversation is busy with another one."""

    QUEUE = "Queue"
    REJECT = "Reject"
    INTERRUPT = "Interrupt"


class AgentState(StrEnum):
    """How an Agent is, for whoever may ask it.

    Shape:
        NOT_READY    what is asked waits until it is, and no person is needed for that.
        UNAVAILABLE  no worker of it can start before somebody puts something right.
        CLOSED       it takes no new work.
    """

    READY = "Ready"
    NOT_READY = "NotReady"
    UNAVAILABLE = "Unavailable"
    CLOSED = "Closed"


class AgentEntry(Versioned):
    """One Agent, written by the operator under `subjects.agent_entry`.

    Shape:
        model      the name clients call it by: `math`, or `<namespace>.math` outside the Stack's
                   own namespace.
        accepting  whether new tasks are taken; false while it is deleted or suspended, or was
                   never made because of a problem in its spec.
        leaving    it takes none because it is deleted.
        cancelling every task of it that has not ended is to end as Cancelled: it is deleted, by
                   `deletionPolicy: Cancel` or because `drainSeconds` are about to pass.
        ready      the status of its Ready condition; `reason` is its word, `message` why, without
                   what pods say.
        available  false while no worker of it can start, as far as is known.
        version    of its spec: the generation, as text.
        tools      the Tools that it may call; `agents`, the other Agents.
        service_account  that its workers run as; null in an entry from before it was written.
        guard      the policy that counts for it, null without one: then everybody may call it.
        capabilities   what tests of the platform have proved of its framework, in words; empty
                   for an image of a user's own.
    """

    agent: ObjectName
    model: str
    framework: Framework
    description: str = ""
    version: str = "0"
    service_account: ObjectName | None = None
    tools: tuple[ObjectName, ...] = ()
    agents: tuple[ObjectName, ...] = ()
    guard: Guard | None = None
    capabilities: tuple[str, ...] = ()
    accepting: bool = True
    leaving: bool = False
    cancelling: bool = False
    ready: bool = False
    available: bool = True
    reason: str = ""
    message: str = ""
    when_busy: WhenBusy = WhenBusy.QUEUE
    timeout_seconds: int = 600
    max_input_bytes: int = 524288
    created: float = 0

    @property
    def state(self) -> AgentState:
        """How it is, in one word."""
        if not self.available and not self.leaving:
            return AgentState.UNAVAILABLE
        if not self.accepting:
            return AgentState.CLOSED
        return AgentState.READY if self.ready else AgentState.NOT_READY


class FunctionSpec(Value):
    """One function of a Tool: `input_schema` is the JSON schema of its arguments object."""

    name: str
    description: str = ""
    input_schema: dict[str, Any]


class ToolFunctions(Versioned):
    """What a Tool can do, written by its worker under `subjects.functions_entry`.

    Shape:
        revision  of the worker's configuration; the operator shows only the current one.
        digest    `sha256:<hex>` over the functions, so that a drift is seen at a glance.
        problem   what of the wanted cannot be called and why, in one sentence; null when all can.
    """

    tool: ObjectName
    revision: str
    digest: str
    functions: tuple[FunctionSpec, ...]
    problem: str | None = None

    @property
    def is_known(self) -> bool:
        """Whether the worker has found out what the Tool can do: it may be out of reach so far."""
        return bool(self.functions) or self.problem is None


class ToolEntry(Versioned):
    """One Tool, written by the operator under `subjects.tool_entry`.

    Shape:
        ready   the status of its Ready condition; `reason` is its word, `message` why, for clients.
                An earlier operator has written neither of the two.
    """

    tool: ObjectName
    description: str = ""
    side_effects: SideEffects = SideEffects.IDEMPOTENT
    ready: bool = False
    reason: str = ""
    message: str = ""
    functions: tuple[FunctionSpec, ...] = ()
