"""What Agents may call by now, as the operator has written it for whoever lets them in."""

import time

from runtime.contract.keys import agent_account, workload_entry
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName
from runtime.transport.port import Store

FRESH_SECONDS = 2.0


class Rights:
    """Reads the bucket `policy`.

    A connection has the rights that its workload had when it was opened, and so has the subject of
    a call. Whoever is about to do something for an Agent asks here what a new one would have.

    Units:
        What was read is believed for `fresh_seconds`; that somebody may not, never.
    """

    def __init__(self, policy: Store, *, fresh_seconds: float = FRESH_SECONDS) -> None:
        self._policy = policy
        self._fresh_seconds = fresh_seconds
        self._read: dict[ObjectName, tuple[float, Workload]] = {}

    async def of(self, agent: ObjectName) -> Workload | None:
        """What an Agent may do, None if that is nothing.

        Raises:
            TransportError: the queue does not answer, so nobody knows.
        """
        entry = await self._policy.get(workload_entry(agent_account(agent)))
        self._read.pop(agent, None)
        if entry is None:
            return None
        try:
            found = Workload.decode(entry.value)
        except ValueError:
            return None  # of a newer operator, or damaged: nobody is let in by it, either
        if found.suspended or found.name != agent:
            return None
        self._read[agent] = (time.monotonic() + self._fresh_seconds, found)
        return found

    async def may_call(self, agent: ObjectName, tool: ObjectName) -> bool:
        """Whether an Agent may call a Tool.

        Raises:
            TransportError: the queue does not answer, so nobody knows.
        """
        until, known = self._read.get(agent, (0.0, None))
        if known is not None and time.monotonic() < until and tool in known.calls:
            return True
        found = await self.of(agent)
        return found is not None and tool in found.calls
