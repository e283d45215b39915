"""Answering requests on one subject, over a connection that comes back for ever.

The trust plane's side of the queue: it connects with an nkey of its own, since the callout that
proves everybody else is what it answers.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from runtime.transport.port import Unavailable

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 2
ASK_SECONDS: Final = 2.0
GATHER_SECONDS: Final = 0.5
RETRY_SECONDS: Final = 0.5
PING_SECONDS: Final = 10
LEAVE_SECONDS: Final = 0.5
MAX_AT_ONCE: Final = 256
"""Requests under way; more wait their turn, and the server gives up on what waits too long."""

type Answer = Callable[[bytes, Mapping[str, str]], Awaitable[bytes | None]]
"""What a request and its headers are answered with."""


class Requests:
    """The requests that a NATS server makes of us.

    Shape:
        url    of the server, or those of several, separated by commas.
        seed   of the nkey we connect with.
        group  of all replicas: each request goes to one of them.
    """

    def __init__(self, url: str, *, seed: str, name: str) -> None:
        self._url = url
        self._seed = seed
        self._name = name
        self._client: Client | None = None

    @property
    def is_open(self) -> bool:
        """Whether requests can reach us right now."""
        return self._client is not None

    async def serve(self, subject: str, group: str, answer: Answer) -> None:
        """Send back what `answer` makes of each request, until cancelled; None sends nothing."""
        was_open = True
        while True:
            try:
                async with self._connected() as (client, closed):
                    await self._answering(client, subject, group, answer, closed)
                was_open = True
            except (OSError, nats.errors.Error, TimeoutError) as error:
                # Said once: a new Stack's server may take a while to be there.
                level = logging.WARNING if was_open else logging.DEBUG
                log.log(level, "no connection", extra={"url": self._url, "error": repr(error)})
                was_open = False
            await asyncio.sleep(RETRY_SECONDS)

    async def ask(self, subject: str, data: bytes = b"") -> Msg:
        """One request of our own and the reply to it, over the same connection.

        Raises:
            Unavailable: no connection, no reply in time, or nobody listens.
        """
        if self._client is None:
            raise Unavailable(f"no connection to {self._url}")
        try:
            return await self._client.request(subject, data, timeout=ASK_SECONDS)
        except (OSError, nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"no answer on {subject}: {error!r}") from error

    async def gather(
        self, subject: str, data: bytes = b"", *, seconds: float = GATHER_SECONDS
    ) -> list[Msg]:
        """One request of our own and all replies to it that come within so many `seconds`.

        Raises:
            Unavailable: no connection.
        """
        if self._client is None:
            raise Unavailable(f"no connection to {self._url}")
        replies: list[Msg] = []

        async def on_reply(message: Msg) -> None:
            replies.append(message)

        try:
            inbox = self._client.new_inbox()
            subscription = await self._client.subscribe(inbox, cb=on_reply)
            try:
                await self._client.publish(subject, data, reply=inbox)
                await asyncio.sleep(seconds)
            finally:
                await subscription.unsubscribe()
        except (OSError, nats.errors.Error, TimeoutError) as error:
            raise Unavailable(f"no answer on {subject}: {error!r}") from error
        return replies

    @contextlib.asynccontextmanager
    async def _connected(self) -> AsyncIterator[tuple[Client, asyncio.Event]]:
        client, closed = Client(), asyncio.Event()

        async def on_closed() -> None:
            closed.set()

        async def on_error(error: Exception) -> None:
            if client.is_connected:  # otherwise `serve` says it, once
                log.warning("queue error", extra={"url": self._url, "error": repr(error)})

        try:
            await client.connect(
                self._url.split(","),
                name=self._name,
                nkeys_seed_str=self._seed,
                connect_timeout=CONNECT_SECONDS,
                # A new connection is made by `serve`: nats.py gives up on some errors for good.
                allow_reconnect=False,
                # Without these two its first connection tries a dead server 60 times by itself.
                max_reconnect_attempts=1,
                reconnect_time_wait=0.05,  # type: ignore[arg-type]  # seconds that it sleeps, typed as int
                ping_interval=PING_SECONDS,
                error_cb=on_error,
                closed_cb=on_closed,
            )
            yield client, closed
        finally:
            with contextlib.suppress(OSError, nats.errors.Error, TimeoutError):
                await client.close()

    async def _answering(
        self, client: Client, subject: str, group: str, answer: Answer, closed: asyncio.Event
    ) -> None:
        free = asyncio.Semaphore(MAX_AT_ONCE)
        running: set[asyncio.Task[None]] = set()

        async def respond(message: Msg) -> None:
            try:
                reply = await answer(message.data, message.headers or {})
                if reply is not None:
                    await message.respond(reply)
            except (OSError, nats.errors.Error) as error:
                log.warning("answer not sent", extra={"url": self._url, "error": repr(error)})
            except Exception:
                # One request that surprises us must not end the answers to all others.
                log.exception("request not answered", extra={"url": self._url})
            finally:
                free.release()

        async def on_request(message: Msg) -> None:
            await free.acquire()
            task = asyncio.create_task(respond(message))
            running.add(task)
            task.add_done_callback(running.discard)

        subscription = await client.subscribe(subject, queue=group, cb=on_request)
        for _ in range(2):  # the ping of nats.py's first flush overtakes what it should flush
            await client.flush(timeout=CONNECT_SECONDS)
        self._client = client
        try:
            await closed.wait()
        finally:
            # Who goes on purpose answers what has reached it; another replica has the rest.
            with contextlib.suppress(OSError, nats.errors.Error, TimeoutError):
                async with asyncio.timeout(LEAVE_SECONDS):
                    await subscription.drain()  # type: ignore[no-untyped-call]  # nats.py types itself in part
                    while running:
                        await asyncio.wait(running)
            self._client = None
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)
