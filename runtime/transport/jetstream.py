"""The queue of a Stack on NATS JetStream: what a composition root hands to the other rooms."""

import base64
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any

import orjson
from nats.aio.subscription import Subscription as NatsSubscription

from runtime.contract.agent_config import Queue
from runtime.contract.subjects import Bucket, StackSubjects, Stream
from runtime.transport.client import Heard, headers_of
from runtime.transport.connection import Connection, Generation
from runtime.transport.follow import Followed, follow
from runtime.transport.keeper import Keeper
from runtime.transport.keyvalue import KeyValue
from runtime.transport.port import Headers, OnSignal, Prove, Published, Stored, Unavailable
from runtime.transport.pull import PullInbox
from runtime.transport.replies import Refused, published

PUBLISH_ATTEMPTS = 3
MSG_ID = "Nats-Msg-Id"
NOT_FOUND = frozenset({10037, 10043})  # no message found; deleting what is not there


class Link:
    """Everything that one process does with the queue of its Stack."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self.subjects = StackSubjects(connection.queue.stack)
        self.outbox = JetStreamOutbox(connection)

    def store(self, bucket: Bucket) -> KeyValue:
        """One of the Stack's key-value buckets."""
        return KeyValue(self.connection, self.subjects.bucket(bucket))

    def reader(self, stream: Stream) -> "JetStreamReader":
        """One of the Stack's streams, read by position."""
        return JetStreamReader(self.connection, self.subjects.stream(stream))

    async def inbox(
        self, keeper: Keeper, stream: Stream, durable: str, *, slots: int, hold_seconds: float
    ) -> PullInbox:
        """The deliveries of one durable, `slots` at a time; see `PullInbox`."""
        inbox = PullInbox(
            self.connection,
            keeper,
            stream=self.subjects.stream(stream),
            durable=durable,
            slots=slots,
            hold_seconds=hold_seconds,
        )
        await inbox.start()
        return inbox

    @property
    def is_open(self) -> bool:
        """Whether the queue can be reached right now."""
        return self.connection.is_open


@contextlib.asynccontextmanager
async def connect(queue: Queue, prove: Prove, *, name: str) -> AsyncIterator[Link]:
    """A link to the queue for as long as the body runs; it comes up by itself and stays up."""
    async with Connection(queue, prove, name=name).running() as connection:
        yield Link(connection)


class JetStreamOutbox:
    """Publishing and signalling."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def publish(
        self,
        subject: str,
        data: bytes,
        *,
        msg_id: str | None = None,
        headers: Headers | None = None,
    ) -> Published:
        """Keep `data` in the stream of `subject`; returns once the queue has it.

        Raises:
            QueueFull, PayloadTooLarge, Unavailable: see `port.Outbox`.
        """
        every = {**(headers or {}), **({MSG_ID: msg_id} if msg_id else {})}
        # With a message id the stream drops what it has already, so asking again is harmless.
        for _ in range(PUBLISH_ATTEMPTS - 1 if msg_id else 0):
            with contextlib.suppress(Unavailable):
                return await self._publish_once(subject, data, every)
        return await self._publish_once(subject, data, every)

    async def _publish_once(self, subject: str, data: bytes, headers: Headers) -> Published:
        generation = await self._connection.current()
        return published((await generation.request(subject, data, headers=headers)).data)

    async def signal(self, subject: str, data: bytes = b"", *, msg_id: str | None = None) -> None:
        """A core message: whoever listens hears it; a stream of that subject gives no word."""
        headers = {MSG_ID: msg_id} if msg_id else None
        await (await self._connection.current()).publish(subject, data, headers=headers)

    async def listen(self, subject: str, on_signal: OnSignal) -> "Listening":
        """Call `on_signal(subject, data)` for each core message, across reconnects."""
        listening = Listening(self._connection, subject, on_signal)
        await self._connection.attach(listening)
        return listening


class Listening:
    """A running `listen`; it moves to each new generation before the old one goes."""

    def __init__(self, connection: Connection, subject: str, on_signal: OnSignal) -> None:
        self._connection = connection
        self._subject = subject
        self._on_signal = on_signal
        self._subscriptions: dict[Generation, NatsSubscription] = {}

    async def attach(self, generation: Generation) -> None:
        """Listen on `generation` and no longer on the others, so that nothing is heard twice."""
        old = self._subscriptions
        subscription = await generation.hear(self._subject, self._on_message)
        self._subscriptions = {generation: subscription}
        for previous, one in old.items():
            if not previous.closed.is_set():
                await one.unsubscribe()

    def is_idle_on(self, generation: Generation) -> bool:
        """Whether this has moved on from `generation`."""
        return generation not in self._subscriptions

    async def close(self) -> None:
        """Stop listening."""
        self._connection.detach(self)
        for generation, subscription in self._subscriptions.items():
            if not generation.closed.is_set():
                await subscription.unsubscribe()
        self._subscriptions = {}

    def _on_message(self, message: Heard) -> None:
        self._on_signal(message.subject, message.data)


class JetStreamReader:
    """A stream read by position, from the account of the streams."""

    def __init__(self, connection: Connection, stream: str) -> None:
        self._connection = connection
        self._stream = stream

    async def read(self, subject: str, *, start_sequence: int = 1) -> AsyncIterator[Stored]:
        """The messages of `subject` in order, from `start_sequence`, without end."""
        async for step in follow(self._connection, self._stream, subject, start=start_sequence):
            if isinstance(step, Followed):
                message = step.message
                yield Stored(message.subject, message.data, step.sequence, message.headers or {})

    async def scan(self, subject: str) -> AsyncGenerator[Stored]:
        """The messages of `subject`, the oldest first, one asked for after the other."""
        behind = 0
        while stored := await self._get({"seq": behind + 1, "next_by_subj": subject}):
            behind = stored.sequence
            yield stored

    async def last(self, subject: str) -> Stored | None:
        """The newest message of `subject`, which may hold wildcards."""
        return await self._get({"last_by_subj": subject})

    async def message(self, sequence: int) -> Stored | None:
        """The message at one place of the stream."""
        return await self._get({"seq": sequence})

    async def remove(self, sequence: int) -> None:
        """Take one message out of the stream; one that is not there is no error."""
        with contextlib.suppress(_NotFound):
            await self._ask("MSG.DELETE", {"seq": sequence, "no_erase": True})

    async def purge(self, subject: str) -> None:
        """Take all messages of `subject`, which may hold wildcards, out of the stream."""
        await self._ask("PURGE", {"filter": subject})

    async def _get(self, query: dict[str, Any]) -> Stored | None:
        try:
            message = (await self._ask("MSG.GET", query))["message"]
        except _NotFound:
            return None
        return Stored(
            subject=message["subject"],
            data=base64.b64decode(message.get("data", "")),
            sequence=message["seq"],
            headers=headers_of(base64.b64decode(message.get("hdrs", ""))),
        )

    async def _ask(self, verb: str, query: dict[str, Any]) -> dict[str, Any]:
        generation = await self._connection.current()
        subject = f"$JS.API.STREAM.{verb}.{self._stream}"
        answer: dict[str, Any] = orjson.loads(
            (await generation.request(subject, orjson.dumps(query))).data
        )
        if (error := answer.get("error")) is None:
            return answer
        kind = _NotFound if error.get("err_code") in NOT_FOUND else Refused
        raise kind(error.get("err_code", 0), error.get("description", ""))


class _NotFound(Refused):
    """There is no such message in the stream."""
