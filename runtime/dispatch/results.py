"""What came of calls of agents: written into the ledger once, and told to whoever waits."""

import contextlib

from runtime.contract.messages import CallResult
from runtime.contract.runs import RunRecord
from runtime.contract.value import ObjectName
from runtime.dispatch.chains import result_of
from runtime.dispatch.ports import Ports
from runtime.transport.port import KeyExists


class Results:
    """Writes results of calls that agents answer. Each step may be repeated."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    async def end(self, record: RunRecord) -> None:
        """The end of a run becomes the result of the call that has asked for it, if one has."""
        asked = record.task.asked
        if asked is not None:
            await self.write(result_of(record, asked), asked.chain[-1], asked.worker)

    async def write(self, result: CallResult, caller: ObjectName, worker: str) -> None:
        """Write a result, unless the call has one, and wake `worker` of `caller`."""
        with contextlib.suppress(KeyExists):  # it was written before a crash
            await self._ports.effects.create(result.call, result.encode())
        await self.wake(result.call, caller, worker)

    async def wake(self, call: str, caller: ObjectName, worker: str) -> None:
        """Tell a worker that the result of a call is there; it looks by itself too."""
        subject = self._ports.subjects.wake(caller, worker)
        await self._ports.outbox.signal(subject, call.encode())
