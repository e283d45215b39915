"""Whether a task that was delivered is work: whether its user has asked for it."""

from dataclasses import dataclass

from runtime.contract.messages import Task
from runtime.contract.work import task_work
from runtime.identity.delegation import Delegations
from runtime.identity.exchange import NotGranted
from runtime.state.runs import Runs


@dataclass(frozen=True, slots=True)
class Signed:
    """Checks the grants of tasks; without `delegations` the Stack is open, and all is work."""

    delegations: Delegations | None = None

    async def why_not(self, task: Task, runs: Runs) -> str | None:
        """What is wrong with its grant; None if nothing is, or an end alone is to be told again.

        Raises:
            ServiceAway: nobody can say for now.
            TransportError: the queue does not answer.
        """
        if self.delegations is None:
            return None
        try:
            held = await self.delegations.fresh(task.grant, task_work(task))
        except NotGranted as error:
            found = await runs.get(task.agent, task.id)
            return None if found is not None and found.record.state.is_end else str(error)
        return None if held.token.sub == task.user else "the grant is another user's"
