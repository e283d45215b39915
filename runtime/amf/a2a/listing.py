"""The tasks of one user, page by page, the last changed first. Pure.

Source:
    A2A protocol specification 1.0, "List Tasks".
"""

from a2a.types import ListTasksRequest, ListTasksResponse
from a2a.utils.constants import DEFAULT_LIST_TASKS_PAGE_SIZE
from a2a.utils.errors import InvalidParamsError
from a2a.utils.task import (
    ListTasksCursor,
    apply_history_length,
    decode_list_tasks_cursor,
    encode_list_tasks_cursor,
    validate_history_length,
    validate_page_size,
)

from runtime.amf.a2a.tasks import changed, state_of, task_of
from runtime.amf.page import Page, Place
from runtime.contract.runs import RunRecord

NANOSECONDS = 1_000_000_000


class Listing:
    """One page of what a request asks for.

    Raises:
        InvalidParamsError: it asks for no page.
    """

    def __init__(self, request: ListTasksRequest, user: str) -> None:
        validate_history_length(request)
        if request.HasField("page_size"):
            validate_page_size(request.page_size)
        self._request = request
        self._user = user
        self._size = request.page_size or DEFAULT_LIST_TASKS_PAGE_SIZE
        after = _place_in(request.page_token)
        self._page: Page[RunRecord] = Page(limit=self._size, newest_first=True, after=after)
        self._total = 0

    def add(self, record: RunRecord) -> None:
        """One run, whosever it is."""
        if self._is_asked_for(record):
            self._total += 1
            self._page.add(_place(record), record)

    def response(self) -> ListTasksResponse:
        """The page, once all are added."""
        shown = self._page.items
        tasks = [apply_history_length(task_of(record), self._request) for record in shown]
        return ListTasksResponse(
            tasks=tasks,
            total_size=self._total,
            page_size=self._size,
            next_page_token=_token(shown[-1]) if self._page.has_more else "",
        )

    def _is_asked_for(self, record: RunRecord) -> bool:
        request, task = self._request, record.task
        since = request.status_timestamp_after.ToNanoseconds()
        return (
            task.user == self._user
            and task.response.store
            and request.context_id in {"", task.conversation}
            and request.status in {0, state_of(record)}
            and _place(record)[0] >= since
        )


def _place(record: RunRecord) -> Place:
    return int(changed(record) * NANOSECONDS), record.task.id


def _place_in(token: str) -> Place | None:
    if not token:
        return None
    cursor = decode_list_tasks_cursor(token)
    if cursor is None or cursor.timestamp_ns is None:
        raise InvalidParamsError("pageToken is none that a page before has given.")
    return cursor.timestamp_ns, cursor.task_id


def _token(record: RunRecord) -> str:
    since, task = _place(record)
    return encode_list_tasks_cursor(ListTasksCursor(timestamp_ns=int(since), task_id=task))
