"""Runs that a client asks about by their id."""

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

from runtime.amf.conversing import Conversing
from runtime.amf.desk import Desk, in_time
from runtime.amf.elsewhere import no_response
from runtime.amf.errors import Conflict, NotFound
from runtime.amf.items import Wire, message_item
from runtime.amf.page import Page
from runtime.amf.reply import recalled, task_of
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

    async def response(self, task: str) -> Wire:
        """The response as it stands.

        One that was not to be stored can be had for as long as it waits for people: whoever is to
        decide has to see on what.

        Raises:
            NotFound: there is none, it was not to be stored, or it is somebody else's.
            OutOfReach: the queue does not answer.
        """
        async with in_time():
            record = await self._own(task)
            if not (record.task.response.store or record.is_asking):
                raise no_response(f"resp_{task}")
        return await self.shown(record)

    async def shown(self, record: RunRecord) -> Wire:
        """The response of this run as it stands.

        Raises:
            OutOfReach: the queue does not answer.
        """
        async with in_time():
            return recalled(record, await self._events(record))

    async def record(self, task: str) -> RunRecord:
        """The run record behind a response.

        Raises:
            NotFound, OutOfReach: see `response`.
        """
        async with in_time():
            return await self._record(task)

    async def told(self, task: str) -> list[Event]:
        """What a run that waits for a person has told so far; nothing of any other.

        Raises:
            OutOfReach: the queue does not answer.
        """
        async with in_time():
            record = await self._desk.find(task)
            return [] if record is None else await self._events(record)

    async def cancel(self, task: str) -> Wire:
        """Ask for the end of a run and wait for it; who asks again gets the same.

        Raises:
            NotFound, OutOfReach: see `response`.
        """
        async with in_time():
            record = await self._record(task)
            await self._desk.cancel(record.task.agent, task)
        for _ in range(CANCEL_LOOKS):
            async with in_time():
                if (await self._record(task)).state.is_end:
                    break
            await asyncio.sleep(LOOK_SECONDS)
        return await self.response(task)

    async def delete(self, task: str, conversing: Conversing) -> Wire:
        """Erase a run that has ended, with all that it has left behind.

        Raises:
            Conflict: it has not.
            NotFound, OutOfReach: see `response`.
        """
        async with in_time(ERASE_SECONDS):
            record = await self._record(task)
            if not record.state.is_end:
                raise Conflict(
                    f"The response resp_{task} has not ended; cancel it first.",
                    param="response_id",
                )
            await conversing.forget(record)
            await self._desk.forget(record)
        return {"id": f"resp_{task}", "object": "response", "deleted": True}

    async def listed(self, request: Any, agent: ObjectName | None) -> Wire:
        """The responses of the user, of one agent or of all, page by page.

        Raises:
            NotFound: `after` is no response of his.
            OutOfReach: the queue does not answer.
        """
        last = None
        if request.after is not None:
            last = _place(await self._last(request.after))
        page: Page[RunRecord] = Page(
            limit=request.limit, newest_first=_is_descending(request), after=last
        )
        async with in_time(LIST_SECONDS), contextlib.aclosing(self._desk.runs(agent)) as runs:
            async for record in runs:
                if record.task.user == self._user and record.task.response.store:
                    page.add(_place(record), record)
        shown = [_with_input(record) for record in page.items]
        return {"object": "list", "has_more": page.has_more, "data": shown} | _ends(shown, "")

    async def input_items(self, task: str, request: Any) -> Wire:
        """What a run was given: its history and its input, the newest first by default.

        Raises:
            NotFound, OutOfReach: see `response`.
        """
        async with in_time():
            record = await self._record(task)
        items = [
            message_item(task, number, message)
            for number, message in enumerate((*record.task.history, *record.task.input))
        ]
        if _is_descending(request):
            items.reverse()
        return {"object": "list", **_page(items, request)}

    async def _last(self, response: str) -> RunRecord:
        """The run behind the last response of the page before."""
        with contextlib.suppress(NotFound):
            if (task := task_of(response)) is not None:
                return await self.record(task)
        raise NotFound(f"There is no response {response}.", param="after")

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


def _place(record: RunRecord) -> tuple[float, str]:
    return record.task.created, record.task.id


def _with_input(record: RunRecord) -> Wire:
    """A response as lists show it: what its tools did is told to who retrieves it."""
    said = enumerate((*record.task.history, *record.task.input))
    items = [message_item(record.task.id, number, message) for number, message in said]
    return recalled(record, []) | {"input": items}
