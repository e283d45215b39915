"""Which agents there are for whoever asks: the others are as if they were not."""

from collections.abc import Iterable
from contextvars import ContextVar

from runtime.contract.access import User, agent, decide
from runtime.contract.catalogue import AgentEntry

_IS_MISSED: ContextVar[bool] = ContextVar("agents that are not there for nobody", default=False)


def may_call(entry: AgentEntry, caller: User) -> bool:
    """Whether policies let `caller` call this agent."""
    if entry.guard is None:
        return True
    target = agent(entry.agent)
    allowed = decide({target: entry.guard}, caller, target).allowed
    if not allowed and caller.principal is None:
        _IS_MISSED.set(True)
    return allowed


def visible(agents: Iterable[AgentEntry], caller: User) -> tuple[AgentEntry, ...]:
    """Those that `caller` may call."""
    return tuple(entry for entry in agents if may_call(entry, caller))


def hint() -> str:
    """What to say to whoever asks for what is not there; "" where it is no matter of who asks."""
    if not _IS_MISSED.get():
        return ""
    return (
        " Some agents are for users alone, and this request has none: it brings no token, or the "
        "Stack has no spec.auth."
    )
