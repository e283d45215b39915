"""Following a stream from a position onwards, across reconnects, without a durable."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import nats.errors
import nats.js.errors
import orjson
from nats.aio.msg import Msg
from nats.js.api import ConsumerConfig, DeliverPolicy

from runtime.transport.connection import Connection, Generation
from runtime.transport.port import TransportError, Unavailable
from runtime.transport.replies import Refused

HEARTBEAT_SECONDS = 5.0
RETRY_SECONDS = 1.0
CHECK_SECONDS = 2.0  # between looks whether the stream is still the same


@dataclass(frozen=True, slots=True)
class Followed:
    """One message and how many more were waiting behind it when it was sent."""

    message: Msg
    sequence: int
    pending: int


class CaughtUp:
    """Everything that was there when the following began has been seen."""


async def follow(
    connection: Connection, stream: str, subject: str, *, start: int | None
) -> AsyncIterator[Followed | CaughtUp]:
    """The messages of `subject` in order, without end.

    Shape:
        `start` is the first stream sequence of interest, or None for the newest message of each
        subject and all that follow. `CaughtUp` comes once, after what was there at the beginning.
        A stream that was deleted and made again counts from 1 once more: everything in it is new.
    """
    caught_up, made = False, ""
    anew = None if start is None else 1
    while True:
        try:
            generation = await connection.current(timeout=3600)
            before, made = made, await _made(generation, stream)
            if before not in ("", made):
                start = anew
            async for step in _once(generation, stream, subject, start, made):
                if isinstance(step, Followed):
                    start = step.sequence + 1
                    yield step
                if not caught_up and (isinstance(step, CaughtUp) or step.pending == 0):
                    caught_up = True
                    yield CaughtUp()
        except (TransportError, TimeoutError, nats.errors.Error):
            # The server restarts, or the stream is not there yet: both pass.
            await asyncio.sleep(RETRY_SECONDS)


async def _once(
    generation: Generation, stream: str, subject: str, start: int | None, made: str
) -> AsyncIterator[Followed | CaughtUp]:
    arrived: asyncio.Queue[Msg | None] = asyncio.Queue()

    async def on_message(message: Msg) -> None:
        arrived.put_nowait(message)

    async def on_closed() -> None:
        try:
            await _over(generation, stream, made)
        finally:
            arrived.put_nowait(None)

    subscription = await generation.client.jetstream().subscribe(
        subject,
        stream=stream,
        cb=on_message,
        ordered_consumer=True,
        manual_ack=True,
        idle_heartbeat=HEARTBEAT_SECONDS,
        config=_position(start),
    )
    watching = asyncio.create_task(on_closed())
    try:
        info = await subscription.consumer_info()
        # Its stream sequence starts behind messages of other subjects, where there are any.
        delivered = info.delivered.consumer_seq if info.delivered is not None else 0
        if info.num_pending == 0 and delivered == 0:
            yield CaughtUp()
        while (message := await arrived.get()) is not None:
            metadata = message.metadata
            yield Followed(message, metadata.sequence.stream, metadata.num_pending)
        raise Unavailable("the connection broke, or the stream is another one")
    finally:
        watching.cancel()
        if not generation.closed.is_set():
            await subscription.unsubscribe()


async def _over(generation: Generation, stream: str, made: str) -> None:
    """Returns once the connection has broken or the stream is not the one that was `made` then."""
    while not generation.closed.is_set():
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await generation.closed.wait()
        except TimeoutError:
            with contextlib.suppress(Unavailable):
                if not await _is(generation, stream, made):
                    return


async def _is(generation: Generation, stream: str, made: str) -> bool:
    try:
        return await _made(generation, stream) == made
    except Refused:
        return False


async def _made(generation: Generation, stream: str) -> str:
    """When the stream was made: another time, another stream."""
    reply = await generation.request(f"$JS.API.STREAM.INFO.{stream}", b"")
    answer = orjson.loads(reply.data)
    if error := answer.get("error"):
        raise Refused(error.get("err_code", 0), error.get("description", ""))
    return str(answer["created"])


def _position(start: int | None) -> ConsumerConfig:
    if start is None:
        return ConsumerConfig(deliver_policy=DeliverPolicy.LAST_PER_SUBJECT)
    return ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=max(1, start)
    )
