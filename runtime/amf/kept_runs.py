"""Runs that a client asks about by their id."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from typing import Any

from runtime.amf.desk import QUEUE_SECONDS, Desk, out_of_reach
from runtime.amf.elsewhere import no_response
from runtime.amf.errors import Conflict
from runtime.amf.items import Wire, message_item
from runtime.amf.reply import recalled
from runtime.contract.messages import Event
from runtime.contract.runs import RunRecord
from runtime.transport.port import TransportError

CANCEL_LOOKS = 30
LOOK_SECONDS = 0.1


class KeptRuns:
    """The runs of one user."""

    def __init__(self, desk: Desk, user: str) -> None:
        self._desk = desk
        self._user = user

    async def response(self, task: str) -> Wire:
        """The response as it stands.

        One that was not to be stored can be had for as long as it waits for people: whoever is to
        decide has to see on what.

        Raises:
            NotFound: there is none, it was not to be stored, or it is somebody else's.
            OutOfReach: the queue does not answer.
        """
        async with _in_time():
            record = await self._own(task)
            if not (record.task.response.store or record.is_asking):
                raise no_response(f"resp_{task}")
            return recalled(record, await self._events(record))

    async def told(self, task: str) -> list[Event]:
        """What a run that waits for a person has told so far; nothing of any other.

        Raises:
            OutOfReach: the queue does not answer.
        """
        async with _in_time():
            record = await self._desk.find(task)
            return [] if record is None else await self._events(record)

    async def cancel(self, task: str) -> Wire:
        """Ask for the end of a run and wait for it; who asks again gets the same.

        Raises:
            NotFound, OutOfReach: see `response`.
        """
        async with _in_time():
            record = await self._record(task)
            await self._desk.cancel(record.task.agent, task)
        for _ in range(CANCEL_LOOKS):
            async with _in_time():
                if (await self._record(task)).state.is_end:
                    break
            await asyncio.sleep(LOOK_SECONDS)
        return await self.response(task)

    async def delete(self, task: str) -> Wire:
        """Forget a run that has ended.

        Raises:
            Conflict: it has not.
            NotFound, OutOfReach: see `response`.
        """
        async with _in_time():
            record = await self._record(task)
            if not record.state.is_end:
                raise Conflict(
                    f"The response resp_{task} has not ended; cancel it first.",
                    param="response_id",
                )
            await self._desk.forget(record)
        return {"id": f"resp_{task}", "object": "response", "deleted": True}

    async def input_items(self, task: str, request: Any) -> Wire:
        """What a run was given: its history and its input, the newest first by default.

        Raises:
            NotFound, OutOfReach: see `response`.
        """
        async with _in_time():
            record = await self._record(task)
        items = [
            message_item(task, number, message)
            for number, message in enumerate((*record.task.history, *record.task.input))
        ]
        if getattr(request.order, "value", None) != "asc":
            items.reverse()
        return {"object": "list", **_page(items, request)}

    async def _record(self, task: str) -> RunRecord:
        record = await self._own(task)
        if not record.task.response.store:
            raise no_response(f"resp_{task}")
        return record

    async def _own(self, task: str) -> RunRecord:
        record = await self._desk.find(task)
        if record is None or record.task.user != self._user:
            raise no_response(f"resp_{task}")
        return record

    async def _events(self, record: RunRecord) -> list[Event]:
        if not (record.state.is_end or record.is_asking):
            return []
        with contextlib.suppress(TransportError, TimeoutError):
            return await self._desk.kept.events(record.task)
        return []  # the record has the answer; only what the tools did is missing


@contextlib.asynccontextmanager
async def _in_time() -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(QUEUE_SECONDS):
            yield
    except (TransportError, TimeoutError) as error:
        raise out_of_reach("the queue does not answer") from error


def _page(items: Sequence[Wire], request: Any) -> Wire:
    ids = [item["id"] for item in items]
    start = ids.index(request.after) + 1 if request.after in ids else 0
    end = ids.index(request.before) if request.before in ids else len(ids)
    page = list(items[start:end][: request.limit or len(items)])
    return {
        "data": page,
        "first_id": page[0]["id"] if page else None,
        "last_id": page[-1]["id"] if page else None,
        "has_more": start + len(page) < end,
    }
