"""A connection that outlives its tokens and its server: renewed make before break, for ever.

A `Connection` is a row of generations, each one handshake with the server. A new generation is
opened well before the user JWT of the old one ends (the server would close it, and nats.py does not
come back from that), everything attached moves over, and the old one is closed once nothing is
under way on it. A lost generation is replaced in the same way, after the fact.
"""

import asyncio
import contextlib
import itertools
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Protocol

import nats.errors
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from runtime.contract.agent_config import Queue
from runtime.contract.subjects import inbox
from runtime.contract.trust_config import USER_SECONDS
from runtime.transport.client import Client, Heard, OnHeard, block_of
from runtime.transport.port import (
    Headers,
    PayloadTooLarge,
    Prove,
    TransportError,
    Unavailable,
)

log = logging.getLogger(__name__)

CONNECT_SECONDS = 8.0  # the auth callout may take five
RENEW_AT = 0.7  # of the credential's life
RETRY_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.0)
RETIRE_SECONDS = 25.0  # a little longer than a pull may stay outstanding


type OnMessage = Callable[[Msg], Awaitable[None]]


class Generation:
    """One handshake with the server and what travels over it.

    Shape:
        `prefix` is `<inbox of the workload>.<random>`: replies come to `<prefix>.r.<number>`,
        pulled messages to `<prefix>.p.<stream>.<number>`, so that neither two generations nor two
        inboxes of one ever hear the same.
    """

    def __init__(self, queue: Queue, name: str) -> None:
        self._queue = queue
        self._name = name
        self._waiting: dict[str, asyncio.Future[Heard]] = {}
        self._numbers = itertools.count()
        self.client = Client()
        self.prefix = f"{inbox(queue.service_account)}.{secrets.token_hex(6)}"
        self.closed = asyncio.Event()

    async def open(self, token: str) -> None:
        """Shake hands with the server as the bearer of `token`.

        Raises:
            Unavailable: nobody answers, or the server refuses; it never says why.
        """
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await self.client.connect(
                    self._queue.url.split(","),
                    name=self._name,
                    token=token,
                    inbox_prefix=self.prefix,
                    allow_reconnect=False,
                    max_reconnect_attempts=1,
                    reconnect_time_wait=0,
                    connect_timeout=int(CONNECT_SECONDS),
                    ping_interval=20,
                    error_cb=self._on_error,
                    closed_cb=self._on_closed,
                    skip_subject_validation=True,  # each is made in `contract.subjects`
                )
                if not self.client.is_connected:
                    # A server that has not decided yet sends a ping; nats.py takes it for a yes.
                    raise nats.errors.NoServersError
                await self.hear(f"{self.prefix}.r.*", self._on_reply)
        except (OSError, nats.errors.Error, TimeoutError) as error:
            await self.close()
            raise Unavailable(
                f"the queue at {self._queue.url} cannot be reached as {self._name}: {error!r}"
            ) from error
        except asyncio.CancelledError:
            await self.close()  # the socket may be open already
            raise

    async def request(
        self, subject: str, data: bytes, *, headers: Headers | None = None, timeout: float = 5
    ) -> Heard:
        """One message and the reply to it; `timeout` in seconds.

        Raises:
            Unavailable: no reply in time, nobody listens, or the connection broke.
            PayloadTooLarge: the server would not take it.
        """
        loop = asyncio.get_running_loop()
        reply = f"{self.prefix}.r.{next(self._numbers)}"
        waiting = self._waiting[reply] = loop.create_future()
        late = loop.call_later(timeout, _too_late, waiting, subject, timeout)
        try:
            await self.publish(subject, data, reply=reply, headers=headers)
            message: Heard = await waiting
        finally:
            late.cancel()
            self._waiting.pop(reply, None)
        if not message.data and message.headers.get("Status") == "503":
            raise Unavailable(f"nobody answers on {subject}")
        return message

    async def publish(
        self, subject: str, data: bytes, *, reply: str = "", headers: Headers | None = None
    ) -> None:
        """One message without waiting for anything.

        Raises:
            Unavailable: the connection is down.
            PayloadTooLarge: the server would not take it.
        """
        # The server counts headers, too, and breaks the connection; the client does not count them.
        block = block_of(headers) if headers else b""
        size = len(block) + len(data)
        if size > self.client.max_payload:
            raise PayloadTooLarge(
                f"{size} bytes are more than the queue takes ({self.client.max_payload})"
            )
        try:
            if block:
                await self.client.publish_block(subject, data, reply, block)
            else:
                await self.client.publish(subject, data, reply)
        except (OSError, nats.errors.Error) as error:
            raise Unavailable(f"the connection to {self._queue.url} is down") from error

    async def subscribe(self, subject: str, on_message: OnMessage) -> Subscription:
        """Call `on_message` for each message on `subject`.

        Raises:
            Unavailable: the connection is down.
        """
        try:
            return await self.client.subscribe(subject, cb=on_message)
        except (OSError, nats.errors.Error) as error:
            raise Unavailable(f"the connection to {self._queue.url} is down") from error

    async def hear(self, subject: str, on_heard: OnHeard) -> Subscription:
        """Call `on_heard` for each message on `subject` as it is read: nothing may be awaited.

        Raises:
            Unavailable: the connection is down.
        """
        try:
            return await self.client.hear(subject, on_heard)
        except (OSError, nats.errors.Error) as error:
            raise Unavailable(f"the connection to {self._queue.url} is down") from error

    async def close(self) -> None:
        """End this generation; who still waits on it gets `Unavailable`."""
        with contextlib.suppress(OSError, nats.errors.Error, TimeoutError):
            await self.client.close()
        await self._on_closed()

    @property
    def idle(self) -> bool:
        """Whether nobody waits for a reply."""
        return not self._waiting

    def _on_reply(self, message: Heard) -> None:
        waiting = self._waiting.get(message.subject)
        if waiting is not None and not waiting.done():
            waiting.set_result(message)

    async def _on_error(self, error: Exception) -> None:
        # A permissions violation answers nothing else: who asked waits out the timeout, so say it.
        log.warning("queue error", extra={"connection": self._name, "error": repr(error)})

    async def _on_closed(self) -> None:
        self.closed.set()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(Unavailable(f"the connection to {self._queue.url} broke"))


def _too_late(waiting: asyncio.Future[Heard], subject: str, timeout: float) -> None:
    if not waiting.done():
        waiting.set_exception(Unavailable(f"no answer on {subject} within {timeout:g} s"))


class Attached(Protocol):
    """Something that lives on whichever generation is current."""

    async def attach(self, generation: Generation) -> None:
        """Move over to `generation`."""
        ...

    def is_idle_on(self, generation: Generation) -> bool:
        """Whether nothing of this is under way on `generation` any more."""
        ...


class Connection:
    """The current generation, and whoever has to move when it changes."""

    def __init__(self, queue: Queue, prove: Prove, *, name: str) -> None:
        self.queue = queue
        self._prove = prove
        self._name = name
        self._current: Generation | None = None
        self._changed = asyncio.Event()
        self._attached: list[Attached] = []
        self._retiring: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["Connection"]:
        """Keep a generation open for as long as the body runs; the first one comes by itself."""
        supervisor = asyncio.create_task(self._supervise(), name=f"connection {self._name}")
        try:
            yield self
        finally:
            supervisor.cancel()
            await asyncio.gather(supervisor, *self._retiring, return_exceptions=True)
            if self._current is not None:
                await self._current.close()

    @property
    def is_open(self) -> bool:
        """Whether there is a generation to talk over right now."""
        return self._current is not None and not self._current.closed.is_set()

    async def current(self, timeout: float = 5) -> Generation:
        """The generation to talk over; waits for one for `timeout` seconds.

        Raises:
            Unavailable: there was none in time.
        """
        current = self._current
        if current is not None and not current.closed.is_set():
            return current
        try:
            async with asyncio.timeout(timeout):
                while (current := self._current) is None or current.closed.is_set():
                    self._changed.clear()
                    await self._changed.wait()
                return current
        except TimeoutError as error:
            raise Unavailable(f"no connection to {self.queue.url} for {timeout:g} s") from error

    async def attach(self, what: Attached) -> None:
        """Let `what` live here: now, if there is a generation, and on each later one."""
        self._attached.append(what)
        if self.is_open and self._current is not None:
            await what.attach(self._current)

    def detach(self, what: Attached) -> None:
        """Forget `what`."""
        self._attached = [one for one in self._attached if one is not what]

    async def _supervise(self) -> None:
        while True:
            generation, renew_at = await self._open()
            previous, self._current = self._current, generation
            await self._move(generation)
            self._changed.set()
            if previous is not None and not previous.closed.is_set():
                retiring = asyncio.create_task(self._retire(previous))
                self._retiring.add(retiring)
                retiring.add_done_callback(self._retiring.discard)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.1, renew_at - time.time())):
                    await generation.closed.wait()

    async def _open(self) -> tuple[Generation, float]:
        for delay in itertools.chain(RETRY_SECONDS, itertools.repeat(RETRY_SECONDS[-1])):
            generation = Generation(self.queue, self._name)
            try:
                proof = self._prove()
                await generation.open(proof.token)
            except (TransportError, OSError, ValueError) as error:
                log.warning("no connection", extra={"connection": self._name, "error": str(error)})
                await asyncio.sleep(delay)
                continue
            life = min(proof.expires - time.time(), USER_SECONDS)
            return generation, time.time() + RENEW_AT * life
        raise AssertionError("unreachable: the delays have no end")

    async def _move(self, generation: Generation) -> None:
        for what in list(self._attached):
            try:
                await what.attach(generation)
            except TransportError:
                log.warning("could not move over", extra={"connection": self._name})
            except Exception:
                # A fault of ours in one thing must not leave all others without a connection.
                log.exception("could not move over", extra={"connection": self._name})

    async def _retire(self, generation: Generation) -> None:
        end = time.monotonic() + RETIRE_SECONDS
        while time.monotonic() < end and not generation.closed.is_set():
            busy = [a for a in self._attached if not a.is_idle_on(generation)]
            if generation.idle and not busy:
                break
            await asyncio.sleep(0.05)
        await generation.close()
