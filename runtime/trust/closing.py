"""Connections whose rights have changed since they were let in: the server is told to close them.

What a workload may do on the queue is fixed when it connects. It comes back at once, and is let in
with what it may do by then, or not at all.
"""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from runtime.contract.subjects import (
    LIST_CONNECTIONS,
    Account,
    Bucket,
    StackSubjects,
    close_connection,
)
from runtime.contract.value import ObjectName
from runtime.transport.port import Unavailable
from runtime.transport.requests import Requests
from runtime.trust.callout import bearer
from runtime.worker.stopping import is_stopping

audit = logging.getLogger("k8gentai.audit")
log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 2.0
AFTER_SECONDS: Final = 10.0
"""For so long after a change connections are looked at: one that is just being let in may have been
judged by what was there before, and is not among those that the server lists."""
PAGE: Final = 1024
NO_RESPONDERS: Final = "503"

type Standing = Callable[[ObjectName], Awaitable[str | None]]
"""The digest of what a ServiceAccount may do now; None if it would not be let in."""


@dataclass(frozen=True, slots=True)
class Connection:
    """A connection of a worker.

    Shape:
        server  id of the server that has it, which calls it by the number `cid`.
        digest  of what it might do when it was let in.
    """

    server: str
    cid: int
    service_account: ObjectName
    digest: str


class Closing:
    """Looks after the connections of one Stack's workers; any number of replicas may."""

    def __init__(self, stack: ObjectName, requests: Requests, standing: Standing) -> None:
        self._stack = stack
        self._subjects = StackSubjects(stack)
        self._requests = requests
        self._standing = standing
        self._seen: str | None = None
        self._until = 0.0

    async def run(self, look_seconds: float = LOOK_SECONDS) -> None:
        """Close what is to be closed, until cancelled.

        What the queue cannot be asked now is asked again: until then who is in stays in, for the
        life of his credential at most.
        """
        was_told = False
        while True:
            try:
                if await self._is_due():
                    await self.sweep()
                was_told = False
            except Unavailable as error:
                if self._requests.is_open and not was_told:
                    why = {"stack": str(self._stack), "error": str(error)}
                    log.warning("connections are not looked at", extra=why)
                    was_told = True
            if is_stopping():
                return  # nats.py takes a cancellation for its own while it writes
            await asyncio.sleep(look_seconds)

    async def _is_due(self) -> bool:
        """Whether anything has changed of late, or nothing has been looked at yet."""
        wanted = self._subjects.record(Bucket.POLICY, "workloads.>")
        asked = json.dumps({"last_by_subj": wanted}).encode()
        reply = await self._requests.ask(self._subjects.last_of(Bucket.POLICY), asked)
        newest = (reply.headers or {}).get("Nats-Sequence", "")
        now = time.monotonic()
        if newest != self._seen:
            self._seen, self._until = newest, now + AFTER_SECONDS
        return now < self._until

    async def sweep(self) -> None:
        """Close every connection of a worker that would be let in otherwise by now, or not at all.

        Raises:
            Unavailable: the queue cannot be asked.
        """
        known: dict[ObjectName, str | None] = {}
        for one in await self._connections():
            account = one.service_account
            if account not in known:
                known[account] = await self._standing(account)
            if known[account] != one.digest:
                await self._close(one, is_known=known[account] is not None)

    async def _connections(self) -> list[Connection]:
        found: list[Connection] = []
        offset, is_more = 0, True
        while is_more:
            asked = {"auth": True, "acc": Account.AGENTS, "limit": PAGE, "offset": offset}
            replies = await self._requests.gather(LIST_CONNECTIONS, json.dumps(asked).encode())
            pages = [_page(reply.data) for reply in replies if reply.data]
            if not pages:
                raise Unavailable(
                    f"no server tells its connections on {LIST_CONNECTIONS}; its accounts have to "
                    "let the trust plane ask"
                )
            found += [one for server, page in pages for one in _workers(server, page)]
            is_more = any(len(page) == PAGE for _, page in pages)
            offset += PAGE
        return found

    async def _close(self, one: Connection, *, is_known: bool) -> None:
        asked = json.dumps({"cid": one.cid}).encode()
        await self._requests.ask(close_connection(one.server), asked)
        audit.warning(
            "connection closed",
            extra={
                "stack": str(self._stack),
                "who": str(one.service_account),
                "what": "closed",
                "reason": "its rights have changed" if is_known else "it has no rights any more",
            },
        )


def _page(data: bytes) -> tuple[str, list[dict[str, Any]]]:
    """The id of the server that answers, and connections that it has.

    Source:
        nats-server 2.15.1, `server/monitor.go`, `Connz`; `server/events.go`, `ServerAPIResponse`.
    """
    body = json.loads(data)
    return str(body["server"]["id"]), body.get("data", {}).get("connections", [])


def _workers(server: str, page: list[dict[str, Any]]) -> Iterator[Connection]:
    for one in page:
        known = bearer(str(one.get("authorized_user", "")))
        if known is not None:
            yield Connection(server, int(one["cid"]), *known)
