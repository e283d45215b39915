"""The one desk of this process, opened in the loop that serves.

The server builds its providers in an event loop that is closed before the first request, and it
builds two of them that stand at one desk. So the desk is opened at its first use, in a task of its
own that nobody's request owns.
"""

import asyncio
import contextvars
import functools
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from typing import Any

from runtime.amf.desk import Desk, Link
from runtime.contract.agent_config import StackConfig
from runtime.identity.source import proof_source
from runtime.transport import jetstream
from runtime.transport.port import Proof

type WithDesk = Callable[[Desk], Coroutine[Any, Any, None]]
type Connect = Callable[[StackConfig], AbstractAsyncContextManager[Link]]


class SharedDesk:
    """A desk that is opened when somebody first asks for it."""

    def __init__(self, config: StackConfig, connect: Connect) -> None:
        self._config = config
        self._connect = connect
        self._keeping: asyncio.Task[None] | None = None
        self._open: asyncio.Future[Desk] | None = None
        self._closing: asyncio.Event | None = None
        self._with_desk: list[WithDesk] = []

    def with_desk(self, work: WithDesk) -> None:
        """Let `work` run beside the requests from when the desk opens until it closes."""
        self._with_desk.append(work)

    async def get(self) -> Desk:
        """The desk; it is open, whether or not the queue can be reached."""
        if self._open is None:
            loop = asyncio.get_running_loop()
            self._open, self._closing = loop.create_future(), asyncio.Event()
            self._keeping = loop.create_task(
                self._keep(self._open, self._closing), context=contextvars.Context()
            )
        return self._open.result() if self._open.done() else await asyncio.shield(self._open)

    async def close(self) -> None:
        """Close it; closing again, or before it was opened, is nothing."""
        if self._closing is not None and self._keeping is not None:
            self._closing.set()
            await asyncio.gather(self._keeping, return_exceptions=True)

    @property
    def opened(self) -> Desk | None:
        """The desk, if somebody has asked for it."""
        is_open = self._open is not None and self._open.done() and not self._open.cancelled()
        return self._open.result() if self._open is not None and is_open else None

    async def _keep(self, opened: asyncio.Future[Desk], closing: asyncio.Event) -> None:
        try:
            async with (
                self._connect(self._config) as link,
                Desk(self._config, link).running() as desk,
            ):
                for work in self._with_desk:
                    desk.beside(work(desk))
                opened.set_result(desk)
                await closing.wait()
        except Exception as error:
            if opened.done():
                raise
            opened.set_exception(error)


def connect_queue(config: StackConfig) -> AbstractAsyncContextManager[Link]:
    """The queue of the Stack, as its server."""
    source = proof_source(config.queue)

    def prove() -> Proof:
        token = source.read()
        return Proof(token.token, token.expires)

    return jetstream.connect(config.queue, prove, name=f"server {config.queue.stack}")


@functools.cache
def shared_desk(config: StackConfig) -> SharedDesk:
    """The desk at which all providers of this process stand that were given this `config`."""
    return SharedDesk(config, connect_queue)
