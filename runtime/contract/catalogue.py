"""What the catalogue holds: agents and tools as clients, agents and the server see them."""

from enum import StrEnum
from typing import Any

from runtime.contract.agent_config import Framework, SideEffects
from runtime.contract.messages import Versioned
from runtime.contract.value import ObjectName, Value


class WhenBusy(StrEnum):
    """What happens to a task whose conversation is busy with another one."""

    QUEUE = "Queue"
    REJECT = "Reject"
    INTERRUPT = "Interrupt"


class AgentEntry(Versioned):
    """One Agent, written by the operator under `subjects.agent_entry`.

    Shape:
        model      the name clients call it by: `math`, or `<namespace>.math` outside the Stack's
                   own namespace.
        accepting  whether new tasks are taken; false while it is deleted or suspended.
        leaving    it takes none because it is deleted.
        cancelling every task of it that has not ended is to end as Cancelled: it is deleted, by
                   `deletionPolicy: Cancel` or because `drainSeconds` are about to pass.
        ready      the status of its Ready condition.
        version    of its spec: the generation, as text.
        tools      the Tools that it may call.
        capabilities   what tests of the platform have proved of its framework, in words; empty
                   for an image of a user's own.
    """

    agent: ObjectName
    model: str
    framework: Framework
    description: str = ""
    version: str = "0"
    tools: tuple[ObjectName, ...] = ()
    capabilities: tuple[str, ...] = ()
    accepting: bool = True
    leaving: bool = False
    cancelling: bool = False
    ready: bool = False
    when_busy: WhenBusy = WhenBusy.QUEUE
    timeout_seconds: int = 600
    max_input_bytes: int = 524288
    created: float = 0


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
    """One Tool, written by the operator under `subjects.tool_entry`."""

    tool: ObjectName
    description: str = ""
    side_effects: SideEffects = SideEffects.IDEMPOTENT
    ready: bool = False
    functions: tuple[FunctionSpec, ...] = ()
