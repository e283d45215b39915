"""Outputs of functions, given to the run that waits for them."""

import time

from runtime.amf.desk import Desk
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
