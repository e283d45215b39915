"""Gives the calls of a task their grants."""

import asyncio
import time
from dataclasses import dataclass
from functools import partial

from runtime.contract.messages import Call, Task
from runtime.contract.work import ask_work, call_work, task_work
from runtime.identity.delegation import Delegations
from runtime.identity.exchange import NotGranted, ServiceAway
from runtime.tools.calls import REPEAT_SECONDS, Sign
from runtime.tools.port import ToolFailure

LATER_SECONDS = 60.0
"""For so long past its deadline a call's grant is good: it may have been taken just before."""


@dataclass(frozen=True, slots=True)
class Granting:
    """In the name of the user of one task."""

    delegations: Delegations
    task: Task

    def sign(self, *, is_agent: bool) -> Sign:
        """Gives a call of a tool its grant; one of another agent that of the task it becomes."""
        return partial(self._signed, is_agent=is_agent)

    async def _signed(self, call: Call, *, is_agent: bool) -> Call:
        """The call with its grant.

        Raises:
            ToolFailure: it may not be made, or nobody could say in time.
        """
        while True:
            try:
                grant = await self._grant(call, is_agent=is_agent)
            except NotGranted as error:
                raise ToolFailure(f"{call.function} may not be called: {error}") from error
            except ServiceAway as error:
                if time.time() + REPEAT_SECONDS >= call.deadline:
                    raise ToolFailure(f"{call.function} could not be asked: {error}") from error
                await asyncio.sleep(REPEAT_SECONDS)
            else:
                return call.model_copy(update={"grant": grant})

    async def _grant(self, call: Call, *, is_agent: bool) -> str:
        held = await self.delegations.held(self.task.grant, task_work(self.task))
        client, until = self.delegations.client, call.deadline + LATER_SECONDS
        if is_agent:
            return await client.agent_grant(held, call.tool, ask_work(call), until)
        return await client.tool_grant(held, call.tool, call_work(call), until)
