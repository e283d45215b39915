"""From what a client asked to the run that is accepted."""

import time
import uuid
from dataclasses import dataclass, field

from runtime.amf.asked import Asked
from runtime.amf.conversing import Before
from runtime.amf.desk import Desk
from runtime.amf.errors import Conflict
from runtime.contract.catalogue import AgentEntry
from runtime.contract.messages import ResponseOptions, Task
from runtime.contract.runs import RunRecord, RunState


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """One request on its way in.

    Shape:
        task  32 hexadecimal digits: a DNS label, and `resp_<task>` for the client.

    Units:
        `now` in seconds since the epoch.
    """

    asked: Asked
    agent: AgentEntry
    user: str
    task: str = field(default_factory=lambda: uuid.uuid4().hex)
    now: float = field(default_factory=time.time)

    def check(self) -> None:
        """Refuse what the agent does not take.

        Raises:
            Conflict: the agent takes no new work.
            TooLarge: the input is over its limit.
        """
        if not self.agent.accepting:
            why = "being deleted" if self.agent.leaving else "suspended (spec.suspend of its Agent)"
            message = f"The agent {self.agent.model} takes no new work: it is {why}."
            raise Conflict(message, param="model")
        self.asked.check_size(self.agent.max_input_bytes)

    def record(self, desk: Desk, before: Before) -> RunRecord:
        """The record of the run; nothing is accepted yet."""
        task = Task(
            id=self.task,
            stack=desk.stack,
            agent=self.agent.agent,
            origin=desk.origin,
            user=self.user,
            conversation=self.asked.conversation,
            sequence=before.sequence,
            input=self.asked.input,
            history=before.history,
            options=self.asked.options,
            response=ResponseOptions(
                background=self.asked.background,
                store=self.asked.store,
                metadata=self.asked.metadata,
                previous=before.previous,
            ),
            created=self.now,
            deadline=self.now + self.agent.timeout_seconds,
        )
        return RunRecord(
            task=task,
            state=RunState.WAITING if before.waits else RunState.QUEUED,
        )
