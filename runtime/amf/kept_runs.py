"""Runs that a client asks about by their id."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from runtime.amf.conversing import Conversing
from runtime.amf.desk import Desk, in_time
from runtime.amf.elsewhere import no_response
from runtime.amf.errors import Conflict, NotFound
from runtime.amf.items import FunctionItem, Wire, message_item, output_item
from runtime.amf.page import Page
from runtime.amf.reply import recalled
from runtime.amf.response_id import ResponseId
from runtime.contract.messages import Event
from runtime.contract.runs import RunRecord
from runtime.contract.value import ObjectName
from runtime.transport.port import TransportError

CANCEL_LOOKS = 30
LOOK_SECONDS = 0.1
LIST_SECONDS = 20.0  # every record is read, since nothing else says whose it is
ERASE_SECONDS = 20.0


class KeptRuns:
    """The runs of one user."""

    def __init__(self, desk: Desk, user: str) -> None:
        self._desk = desk
        self._user = user

    async def response(self, name: ResponseId) -> Wire:
        """The response as it stands.

        One that was not to be stored can be had for as long as it waits for people: whoever is to
        decide has to see on what.

        Raises:
            NotFound: there is none, it was not to be stored, or it is somebody else's.
            OutOfReach: the queue does not answer.
        """
        async with in_time():
            record = await self._own(name)
            if not (record.response_of(name.part).store or record.is_asking):
                raise no_response(str(name))
        return await self.shown(record, name.part)

    async def shown(self, record: RunRecord, part: int) -> Wire:
        """The response number `part` of this run as it stands.

        Raises:
            OutOfReach: the queue does not answer.
        """
        async with in_time():
            return recalled(record, await self._events(record, part), part)

    async def record(self, name: ResponseId) -> RunRecord:
        """The run record behind a response.

        Raises:
            NotFound, OutOfReach: see `response`.
        """
        async with in_time():
            return await self._record(name)

    async def told(self, task: str) -> list[Event]:
        """What a run that waits for a person has told so far; nothing of any other.

        Raises:
            OutOfReach: the queue does not answer.
        """
        async with in_time():
            record = await self._desk.find(task)
            return [] if record is None else await self._events(record, record.part)

    async def cancel(self, name: ResponseId) -> Wire:
        """Ask for the end of a run and wait for it; who asks again gets the same.

        A response after which another one has begun is completed, and stays so.

        Raises:
            NotFound, OutOfReach: see `response`.
        """
        async with in_time():
            record = await self._record(name)
            if name.part == record.part:
                await self._desk.cancel(record.task.agent, name.task)
        for _ in range(CANCEL_LOOKS):
            async with in_time():
                record = await self._record(name)
                if record.state.is_end or name.part < record.part:
                    break
            await asyncio.sleep(LOOK_SECONDS)
        return await self.response(name)

    async def delete(self, name: ResponseId, conversing: Conversing) -> Wire:
        """Erase a run that has ended, with all that it has left behind: its other responses, too.

        Raises:
            Conflict: it has not.
            NotFound, OutOfReach: see `response`.
        """
        async with in_time(ERASE_SECONDS):
            record = await self._record(name)
            if not record.state.is_end:
                newest = ResponseId(name.task, record.part)
                raise Conflict(
                    f"The run of {name} has not ended; cancel {newest} first.",
                    param="response_id",
                )
            await conversing.forget(record)
            await self._desk.forget(record)
        return {"id": str(name), "object": "response", "deleted": True}

    async def listed(self, request: Any, agent: ObjectName | None) -> Wire:
        """The responses of the user, of one agent or of all, page by page.

        Raises:
            NotFound: `after` is no response of his.
            OutOfReach: the queue does not answer.
        """
        last = None
        if request.after is not None:
            last = await self._last(request.after)
        page: Page[tuple[RunRecord, int]] = Page(
            limit=request.limit, newest_first=_is_descending(request), after=last
        )
        async with in_time(LIST_SECONDS), contextlib.aclosing(self._desk.runs(agent)) as runs:
            async for record in runs:
                for part in range(record.part + 1) if record.task.user == self._user else ():
                    if record.response_of(part).store:
                        page.add(_place(record, part), (record, part))
        shown = [_with_input(record, part) for record, part in page.items]
        return {"object": "list", "has_more": page.has_more, "data": shown} | _ends(shown, "")

    async def input_items(self, name: ResponseId, request: Any) -> Wire:
        """What a run was given up to a response of it, the newest first by default.

        That is its history and its input, and behind them the functions that the client has called.

        Raises:
            NotFound, OutOfReach: see `response`.
        """
        async with in_time():
            record = await self._record(name)
        items = _given(record, name.part)
        if _is_descending(request):
            items.reverse()
        return {"object": "list", **_page(items, request)}

    async def _last(self, response: str) -> tuple[float, str]:
        """The place of the last response of the page before."""
        with contextlib.suppress(NotFound):
            if (name := ResponseId.read(response)) is not None:
                return _place(await self.record(name), name.part)
        raise NotFound(f"There is no response {response}.", param="after")

    async def _record(self, name: ResponseId) -> RunRecord:
        record = await self._own(name)
        if not record.response_of(name.part).store:
            raise no_response(str(name))
        return record

    async def _own(self, name: ResponseId) -> RunRecord:
        record = await self._desk.find(name.task)
        if record is None or record.task.user != self._user or name.part > record.part:
            raise no_response(str(name))
        return record

    async def _events(self, record: RunRecord, part: int) -> list[Event]:
        if not (record.state.is_end or record.is_asking or part < len(record.handovers)):
            return []
        with contextlib.suppress(TransportError, TimeoutError):
            return await self._desk.kept.events(record.task)
        return []  # the record has the answer; only what the tools did is missing


def _page(items: Sequence[Wire], request: Any) -> Wire:
    ids = [item["id"] for item in items]
    start = ids.index(request.after) + 1 if request.after in ids else 0
    end = ids.index(request.before) if request.before in ids else len(ids)
    page = list(items[start:end][: request.limit or len(items)])
    return {"data": page, "has_more": start + len(page) < end} | _ends(page, None)


def _ends(page: Sequence[Wire], of_none: str | None) -> Wire:
    first, last = (page[0]["id"], page[-1]["id"]) if page else (of_none, of_none)
    return {"first_id": first, "last_id": last}


def _is_descending(request: Any) -> bool:
    return getattr(request.order, "value", None) != "asc"


def _place(record: RunRecord, part: int) -> tuple[float, str]:
    return record.began(part), ResponseId(record.task.id, part).bare


def _with_input(record: RunRecord, part: int) -> Wire:
    """A response as lists show it: what its tools did is told to who retrieves it."""
    return recalled(record, [], part) | {"input": _given(record, part)}


def _given(record: RunRecord, part: int) -> list[Wire]:
    """What the run was given by when the response number `part` began."""
    task = record.task
    said = enumerate((*task.history, *task.input))
    items = [message_item(task.id, number, message) for number, message in said]
    for handover in record.handovers[:part]:
        calls = list(enumerate(handover.calls, handover.first))
        items += [
            FunctionItem(task.id, number, number, call.function, call.arguments).wire()
            for number, call in calls
        ]
        items += [output_item(task.id, number, call.output or "") for number, call in calls]
    return items
