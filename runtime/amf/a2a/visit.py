"""Who asks which agent, for the time of one request."""

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass

from a2a.server.context import ServerCallContext
from a2a.utils.errors import TaskNotFoundError

from runtime.amf.a2a.errors import SHOWN, as_a2a
from runtime.amf.desk import Desk, in_time
from runtime.amf.errors import ApiError
from runtime.contract.access import User
from runtime.contract.catalogue import AgentEntry
from runtime.contract.runs import RunRecord

TASK = re.compile(r"[0-9a-f]{32}")
KEY = "visit"


@dataclass
class Visit:
    """One request of `caller` to `agent`.

    Shape:
        refusal  why it was refused, if the HTTP status is to say so too.
    """

    desk: Desk
    agent: AgentEntry
    caller: User
    refusal: ApiError | None = None

    @property
    def user(self) -> str:
        """Who asks, as runs name him."""
        return self.caller.name

    @staticmethod
    def of(context: ServerCallContext) -> "Visit":
        """The visit that a call of the SDK belongs to."""
        visit = context.state[KEY]
        if not isinstance(visit, Visit):
            raise TypeError(f"{visit} is no visit")
        return visit

    @contextlib.contextmanager
    def refusing(self) -> Iterator[None]:
        """Let what refuses the request be told in A2A's words.

        Raises:
            A2AError: in place of each `ApiError`.
        """
        try:
            yield
        except ApiError as error:
            if error.status_code in SHOWN:
                self.refusal = error
            raise as_a2a(error) from error

    async def record(self, task: str) -> RunRecord:
        """The record of a run of this agent and this user.

        Raises:
            TaskNotFoundError: there is none, or it was not to be kept.
            OutOfReach: the queue does not answer.
        """
        record = None
        if TASK.fullmatch(task):  # anything else could be a pattern, and find another one's
            async with in_time():
                record = await self.desk.record(self.agent.agent, task)
        if record is None or record.task.user != self.user or not record.task.response.store:
            raise TaskNotFoundError(f"There is no task {task} of {self.agent.model}.")
        return record
