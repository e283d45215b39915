"""What a run waits for, given to it: outputs of functions, and decisions of people."""

import time

from runtime.amf.decisions import Decisions, decided
from runtime.amf.desk import Desk
from runtime.amf.errors import NotFound
from runtime.amf.outputs import Outputs, given
from runtime.contract.catalogue import AgentEntry
from runtime.contract.runs import RunRecord


async def give(desk: Desk, agent: AgentEntry, made: Outputs, user: str) -> tuple[RunRecord, int]:
    """Let a run go on: its record, and the number of the response that it goes on in.

    Raises:
        NotFound, BadRequest, Conflict, TooLarge: see `given`.
        OutOfReach: the queue does not answer.
    """
    part = 0

    def change(found: RunRecord | None) -> RunRecord:
        nonlocal part
        record, part = given(found, made, agent, user=user, now=time.time())
        return record

    return await desk.change(made.task, change, where=made.where), part


async def decide(desk: Desk, made: Decisions, user: str) -> RunRecord:
    """Write what `user` decides into the record of a run of his, and follow it from here on.

    That works also for one whose response was not to be stored: nobody else could decide.

    Raises:
        NotFound: there is no such run of his.
        BadRequest, Conflict: see `decided`.
        TooLarge, OutOfReach: the queue does not take it, or does not answer.
    """

    def change(found: RunRecord | None) -> RunRecord:
        if found is None or found.task.user != user:
            raise NotFound(
                f"There is no response resp_{made.task} that asks for an approval.",
                param="previous_response_id",
            )
        record = decided(found, made, by=user, now=time.time())
        return record.model_copy(update={"task": made.followed(record.task, desk.origin)})

    return await desk.change(made.task, change, where="input")
