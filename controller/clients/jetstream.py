"""The `Streams` port on JetStream: one connection to each Stack's NATS, as the operator.

Everything goes through JetStream's JSON API and asks the leader of a stream, so that what was
written is what is read next. No call takes longer than `CONNECT_SECONDS` and `ANSWER_SECONDS`
together.
"""

import asyncio
import contextlib
import json
import logging
import secrets
import time
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final, assert_never

import nats.errors
from nats.aio.client import Client
from nats.aio.msg import Msg

from controller.clients.jetstream_json import (
    OWNER,
    Json,
    bucket_config,
    bucket_prefix,
    consumer_config,
    stream_config,
)
from controller.clients.jetstream_reads import (
    count,
    newest,
    observe,
    stored,
    stored_at,
    stream_there,
)
from controller.clients.token_file import read_proof
from controller.errors import QueueRefused, QueueUnavailable
from controller.model import (
    Bucket,
    Consumer,
    ConsumerRef,
    EntryRef,
    KvEntry,
    QueueFacts,
    QueueQuery,
    QueueThing,
    Stored,
    Stream,
)
from runtime.contract.subjects import inbox
from runtime.contract.trust_config import USER_SECONDS
from runtime.contract.value import ObjectName

log = logging.getLogger(__name__)

CONNECT_SECONDS: Final = 6  # the auth callout may take five
ANSWER_SECONDS: Final = 3
PING_SECONDS: Final = 10
RENEW_AT: Final = 0.7  # of the credential's life
MARK_SECONDS: Final = 60
"""How long the mark of a deleted key stays, so that whoever watches the bucket sees it go."""

API: Final = "$JS.API"
CLUSTER_NO_PEERS: Final = 10005
STREAM_EXISTS: Final = 10058
NO_SPACE: Final = frozenset({10023, 10028, 10047, 10077})
"""Resources, memory or storage are at an end; NATS says 503, yet trying again does not help."""


class _Refusal(Exception):
    """JetStream's own words on why it does not do something.

    Source:
        nats-server, `server/errors.json`.
    """

    def __init__(self, error: Mapping[str, Any]) -> None:
        self.code: int = error.get("code", 0)
        self.number: int = error.get("err_code", 0)
        super().__init__(f"{error.get('description', 'refused')} ({self.number})")

    @property
    def is_absent(self) -> bool:
        """What was asked for is not there."""
        return self.code == 404  # noqa: PLR2004 - as HTTP says it

    @property
    def is_passing(self) -> bool:
        """It may well be different in a moment."""
        is_unavailable = self.code == 503  # noqa: PLR2004 - as HTTP says it
        return self.number == CLUSTER_NO_PEERS or (is_unavailable and self.number not in NO_SPACE)


class JetStream:
    """The queues of all Stacks, for the operator.

    Args:
        account: ServiceAccount of the operator; tells its inbox.
        token_file: its proof of identity, read again for every connection.
    """

    def __init__(self, account: ObjectName, token_file: Path) -> None:
        self._account = account
        self._token_file = token_file
        self._doors: dict[str, _Door] = {}

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["JetStream"]:
        """Close whatever is open once the body is left."""
        try:
            yield self
        finally:
            await asyncio.gather(*(self.forget(url) for url in list(self._doors)))

    async def observe(self, url: str, query: QueueQuery) -> QueueFacts:
        """What there is of what `query` asks for."""
        return await observe(self._door(url), query)

    async def count(
        self, url: str, bucket: str, pattern: str, is_meant: Callable[[bytes], bool]
    ) -> int:
        """How many keys of `bucket` that `pattern` matches have a value that is meant."""
        return await count(self._door(url), bucket, pattern, is_meant)

    def stored(self, url: str, stream: str) -> AsyncIterator[Stored]:
        """The messages of `stream`, newest first, read some at a time."""
        return stored(self._door(url), stream)

    async def stored_at(self, url: str, stream: str, sequence: int) -> Stored | None:
        """The message at one place of `stream`, if it is still there."""
        return await stored_at(self._door(url), stream, sequence)

    async def apply(self, url: str, thing: QueueThing) -> None:
        """Make a stream, bucket, consumer or entry so, whether it is there or not."""
        door = self._door(url)
        try:
            match thing:
                case Stream():
                    await _apply_stream(door, stream_config(thing))
                case Bucket():
                    await _apply_stream(door, bucket_config(thing))
                case Consumer():
                    config = {"stream_name": thing.stream, "config": consumer_config(thing)}
                    await door.ask(_consumer_create(thing), config)
                case KvEntry():
                    await door.publish(f"{bucket_prefix(thing.bucket)}{thing.key}", thing.value)
                case _:
                    assert_never(thing)
        except _Refusal as refusal:
            if refusal.is_absent:
                raise QueueUnavailable(f"{_said(thing)}: not there yet at {url}") from refusal
            raise QueueRefused(f"{_said(thing)}: {refusal}") from refusal

    async def delete_stream(self, url: str, name: str) -> None:
        """Take a stream away with all it holds."""
        await self._remove(url, f"STREAM.DELETE.{name}", {})

    async def delete_consumer(self, url: str, ref: ConsumerRef) -> None:
        """Take a consumer away."""
        await self._remove(url, f"CONSUMER.DELETE.{ref.stream}.{ref.durable}", {})

    async def delete_entry(self, url: str, ref: EntryRef) -> None:
        """Take a key away: a mark tells whoever watches, and goes by itself after a minute."""
        door = self._door(url)
        headers = {"KV-Operation": "DEL", "Nats-TTL": f"{MARK_SECONDS}s"}
        try:
            if await newest(door, ref) is not None:
                await door.publish(f"{bucket_prefix(ref.bucket)}{ref.key}", b"", headers=headers)
        except _Refusal as refusal:
            raise QueueUnavailable(f"{ref.bucket}: {refusal}") from refusal

    async def purge(self, url: str, stream: str, subject: str) -> None:
        """Forget the messages of `stream` on `subject`."""
        await self._remove(url, f"STREAM.PURGE.{stream}", {"filter": subject})

    async def forget(self, url: str) -> None:
        """Close what is open towards this address."""
        door = self._doors.pop(url, None)
        if door is not None:
            await door.close()

    def _door(self, url: str) -> "_Door":
        return self._doors.setdefault(url, _Door(url, self._account, self._token_file))

    async def _remove(self, url: str, what: str, question: Json) -> None:
        try:
            await self._door(url).ask(what, question)
        except _Refusal as refusal:
            if not refusal.is_absent:
                raise QueueUnavailable(f"{what}: {refusal}") from refusal


async def _apply_stream(door: "_Door", config: Json) -> None:
    name = config["name"]
    try:
        await door.ask(f"STREAM.CREATE.{name}", config)
    except _Refusal as refusal:
        if refusal.number != STREAM_EXISTS:
            raise
        there = await stream_there(door, name)
        if there is not None and there.owner != config["metadata"][OWNER]:
            raise QueueRefused(
                f"{name}: there is a stream of that name, of {there.owner or 'somebody else'}"
            ) from refusal
        await door.ask(f"STREAM.UPDATE.{name}", config)


def _consumer_create(consumer: Consumer) -> str:
    what = f"CONSUMER.CREATE.{consumer.stream}.{consumer.durable}"
    return f"{what}.{consumer.filter_subject}" if consumer.filter_subject else what


def _said(thing: QueueThing) -> str:
    match thing:
        case Stream() | Bucket():
            return f"{type(thing).__name__.lower()} {thing.name}"
        case Consumer():
            return f"consumer {thing.durable} of {thing.stream}"
        case KvEntry():
            return f"key {thing.key} of {thing.bucket}"
        case _:
            assert_never(thing)


class _Door:
    """The way to one NATS: opened when needed, and anew before its credential ends.

    Whoever comes while it is being opened waits for that one attempt, so a NATS that is down costs
    everybody together a few seconds, not each after the other.
    """

    def __init__(self, url: str, account: ObjectName, token_file: Path) -> None:
        self._url = url
        self._account = account
        self._token_file = token_file
        self._client: Client | None = None
        self._renew_at = 0.0
        self._opening: asyncio.Task[Client] | None = None
        self._closing: set[asyncio.Task[None]] = set()

    async def find(self, what: str, question: Json) -> Json | None:
        """JetStream's answer; None when it says that there is no such thing."""
        try:
            return await self.ask(what, question)
        except _Refusal as refusal:
            if refusal.is_absent:
                return None
            raise QueueUnavailable(f"{self._url}: {what}: {refusal}") from refusal

    async def ask(self, what: str, question: Json) -> Json:
        """JetStream's answer to a question of its API."""
        data = json.dumps(question).encode() if question else b""
        return self._read(await self._request(f"{API}.{what}", data))

    async def publish(
        self, subject: str, data: bytes, *, headers: dict[str, str] | None = None
    ) -> None:
        """Have a stream keep a message; `_Refusal` with code 404 when none listens there."""
        try:
            self._read(await self._request(subject, data, headers))
        except nats.errors.NoRespondersError as error:
            raise _Refusal({"code": 404, "description": "no stream"}) from error

    def _read(self, reply: Msg) -> Json:
        answer: Json = json.loads(reply.data)
        if "error" not in answer:
            return answer
        refusal = _Refusal(answer["error"])
        if refusal.is_passing:
            raise QueueUnavailable(f"the queue at {self._url} says: {refusal}") from refusal
        raise refusal

    async def _request(
        self, subject: str, data: bytes, headers: dict[str, str] | None = None
    ) -> Msg:
        client = await self._current()
        try:
            return await client.request(subject, data, ANSWER_SECONDS, headers=headers)
        except nats.errors.MaxPayloadError as error:
            size = {"code": 400, "description": f"{len(data)} bytes are too many"}
            raise _Refusal(size) from error
        except nats.errors.NoRespondersError as error:
            if not subject.startswith(API):
                raise
            raise QueueUnavailable(f"{self._url} has no JetStream at the moment") from error
        except (OSError, nats.errors.Error, TimeoutError) as error:
            self._renew_at = 0  # whatever ails this connection, another one may be well
            raise QueueUnavailable(
                f"the queue at {self._url} did not answer: {_why(error)}"
            ) from error

    async def _current(self) -> Client:
        client = self._client
        if client is None or not client.is_connected:
            return await self._attempted()
        if time.time() >= self._renew_at:
            self._attempt()  # nobody has to wait for it: the old one is still good
        return client

    async def _attempted(self) -> Client:
        # Who gives up waiting does not take the attempt from the others; and who takes it from all
        # (`close`) does not end those who wait.
        attempt = self._attempt()
        await asyncio.wait({attempt})
        if attempt.cancelled():
            raise QueueUnavailable(f"the connection to {self._url} was closed")
        return attempt.result()

    def _attempt(self) -> asyncio.Task[Client]:
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._renew(), name=f"connect {self._url}")
            self._opening.add_done_callback(_retrieve)
        return self._opening

    async def _renew(self) -> Client:
        client, renew_at = await self._open()
        before, self._client, self._renew_at = self._client, client, renew_at
        if before is not None:
            closing = asyncio.create_task(_close(before, after=ANSWER_SECONDS + 1))
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)
        return client

    async def _open(self) -> tuple[Client, float]:
        try:
            proof = await read_proof(self._token_file)
        except (OSError, ValueError) as error:
            raise QueueUnavailable(f"no proof to show to {self._url}: {error}") from error
        client, heard = Client(), list[Exception]()
        try:
            await self._shake_hands(client, proof.token, heard)
        except (OSError, ValueError, nats.errors.Error, TimeoutError) as error:
            await _close(client)
            raise QueueUnavailable(
                f"the queue at {self._url} cannot be reached: {_why(heard[-1] if heard else error)}"
            ) from error
        except asyncio.CancelledError:
            await _close(client)  # the socket may be open already
            raise
        life = min(proof.expires - time.time(), USER_SECONDS)
        return client, time.time() + RENEW_AT * life

    async def _shake_hands(self, client: Client, token: str, heard: list[Exception]) -> None:
        async def on_error(error: Exception) -> None:
            # A permissions violation answers nothing else: who asked waits out the time.
            if "permissions violation" in str(error).lower():
                log.warning("not permitted", extra={"url": self._url, "error": str(error)})
            else:
                heard.append(error)

        async with asyncio.timeout(CONNECT_SECONDS):
            await client.connect(
                self._url.split(","),
                name=str(self._account),
                token=token,
                inbox_prefix=f"{inbox(self._account)}.{secrets.token_hex(6)}",
                allow_reconnect=False,
                max_reconnect_attempts=1,  # before the first success, too
                reconnect_time_wait=1,
                connect_timeout=CONNECT_SECONDS,
                ping_interval=PING_SECONDS,
                error_cb=on_error,
            )
        if not client.is_connected:
            # A server that has not decided yet sends a ping; nats.py takes it for a yes.
            raise nats.errors.AuthorizationError

    async def close(self) -> None:
        """Leave nothing open."""
        pending = [*self._closing, *([self._opening] if self._opening else [])]
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        if self._client is not None:
            await _close(self._client)


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, nats.errors.AuthorizationError):
        return "the operator is not let in; is the trust plane up?"
    return str(error) or repr(error)


def _retrieve(opening: asyncio.Task[Client]) -> None:
    if not opening.cancelled():
        opening.exception()


async def _close(client: Client, *, after: float = 0) -> None:
    try:
        await asyncio.sleep(after)
    finally:
        with contextlib.suppress(OSError, nats.errors.Error, TimeoutError):
            await client.close()
