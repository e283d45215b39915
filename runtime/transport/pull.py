"""The deliveries of one durable, pulled ahead so that a free slot never waits for a round trip.

Source:
    NATS documentation, pull consumers: request `$JS.API.CONSUMER.MSG.NEXT.<stream>.<durable>`,
    statuses 404, 408 and 409 end a request; ack subjects as in ADR-15.
"""

import asyncio
import itertools
import logging
import time
from collections import deque
from collections.abc import Mapping
from functools import partial

import orjson
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription as NatsSubscription

from runtime.transport.connection import Connection, Generation
from runtime.transport.keeper import Keeper
from runtime.transport.outstanding import Outstanding
from runtime.transport.port import Stopped, TransportError, Unavailable

log = logging.getLogger(__name__)

LONGEST_PULL_SECONDS = 20
GRACE_SECONDS = 5
CONSUMER_GONE_SECONDS = 1.0
BUNDLE = 4  # free slots wait for each other until they are one to so many that are asked for
LEFT = "Nats-Pending-Messages"
ACK, NAK, TERM = b"+ACK", b"-NAK", b"+TERM"


class JetStreamDelivery:
    """One attempt to hand over a message."""

    def __init__(self, inbox: "PullInbox", message: Msg) -> None:
        self._inbox = inbox
        self._ack_subject = message.reply
        tokens = message.reply.split(".")
        # $JS.ACK.<stream>.<durable>.<delivered>.<stream sequence>.…; newer servers put a domain
        # and an account before the stream.
        offset = 2 if len(tokens) >= 11 else 0  # noqa: PLR2004 - the length tells the form
        self.number = int(tokens[4 + offset])
        self.sequence = int(tokens[5 + offset])
        self.subject = message.subject
        self.data = message.data
        self.headers: Mapping[str, str] = message.headers or {}
        self._held = inbox.keeper.keep(self._ack_subject, time.time() + inbox.hold_seconds)

    def hold_until(self, until: float) -> None:
        """Give no sign of life after `until` (seconds since the epoch)."""
        self._held.until = until

    async def ack(self) -> None:
        """Done; the queue's word is not waited for."""
        await self._settle(ACK)

    async def nak(self, delay_seconds: float = 0) -> None:
        """Again, to any worker, after the delay."""
        delay = b" " + orjson.dumps({"delay": int(delay_seconds * 1e9)}) if delay_seconds else b""
        await self._settle(NAK + delay)

    async def term(self, reason: str) -> None:
        """Never again; the reason goes into the queue's advisory."""
        await self._settle(TERM + b" " + reason.encode(), confirmed=True)

    async def leave(self) -> None:
        """Say nothing and give no more signs of life: the queue decides by its ack wait."""
        await self._inbox.release(self._ack_subject)

    async def _settle(self, word: bytes, *, confirmed: bool = False) -> None:
        await self._inbox.settle(self._ack_subject, word, confirmed=confirmed)


class PullInbox:
    """An `Inbox` that asks for as many messages as it has free slots, a few of them at a time."""

    def __init__(
        self,
        connection: Connection,
        keeper: Keeper,
        *,
        stream: str,
        durable: str,
        slots: int,
        hold_seconds: float,
    ) -> None:
        self._connection = connection
        self._place = f"{stream}.{durable}"  # of several inboxes on one connection
        self._next = f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{durable}"
        # Other workers can aim a reply here if they guess the prefix; only this is a delivery.
        self._acks = f".{stream}.{durable}."
        # Among several servers a request outlives its client, and takes one more message with it:
        # so it has to be over before that message's ack wait is.
        self._pull_seconds = max(1, min(LONGEST_PULL_SECONDS, int(keeper.ack_wait_seconds / 2)))
        self._slots = slots
        self._held = 0
        self._ready: deque[JetStreamDelivery] = deque()
        self._arrived = asyncio.Event()
        self._stopped = False
        self._numbers = itertools.count()
        self._generation: Generation | None = None
        self._subscriptions: dict[Generation, NatsSubscription] = {}
        self._outstanding: dict[Generation, Outstanding] = {}
        self._watching: asyncio.Task[None] | None = None
        self.keeper = keeper
        self.hold_seconds = hold_seconds

    async def start(self) -> None:
        """Begin to pull."""
        await self._connection.attach(self)
        self._watching = asyncio.create_task(self._watch(), name="pull watch")

    async def resize(self, slots: int) -> None:
        """Hold `slots` deliveries at a time; what was asked for already may still come."""
        self._slots = slots
        await self._pull_again()

    @property
    def pulling(self) -> bool:
        """Whether the queue has taken a request for work on the current connection."""
        return self._connection.is_open and self._generation is not None and not self._stopped

    async def next(self) -> JetStreamDelivery:
        """The next delivery.

        Raises:
            Stopped: nothing more will come.
        """
        while not self._ready:
            if self._stopped:
                raise Stopped
            self._arrived.clear()
            await self._arrived.wait()
        return self._ready.popleft()

    async def stop(self) -> None:
        """Ask for nothing more; what was not handed out goes back."""
        self._stopped = True
        self._arrived.set()
        if self._watching is not None:
            self._watching.cancel()
        subscriptions, self._subscriptions = self._subscriptions, {}
        for generation, subscription in subscriptions.items():
            # Nobody listens any more, so the server drops what was asked for; what it has sent
            # until then still arrives here, and goes back.
            await _drained(generation, subscription)
        unused, self._ready = self._ready, deque()
        await asyncio.gather(*(delivery.nak() for delivery in unused))

    async def settle(self, ack_subject: str, word: bytes, *, confirmed: bool) -> None:
        """Tell the queue how a delivery ended, and ask for the next one in the same breath."""
        await self.release(ack_subject)
        try:
            generation = await self._connection.current()
            if confirmed:
                await generation.request(ack_subject, word)
            else:
                await generation.publish(ack_subject, word)
        except Unavailable:
            # It will be delivered again, and the run record or the ledger says that it is done.
            log.warning("a delivery could not be settled", extra={"word": word.decode()})

    async def release(self, ack_subject: str) -> None:
        """A slot is free."""
        self.keeper.release(ack_subject)
        self._held -= 1
        await self._pull_again()

    async def attach(self, generation: Generation) -> None:
        """Pull on `generation` from now on; older ones may still deliver what they were asked."""
        if self._stopped:
            return
        outstanding = Outstanding(self._pull_seconds + GRACE_SECONDS)
        subject = f"{generation.prefix}.p.{self._place}.*"
        subscription = await generation.subscribe(subject, partial(self._on_message, outstanding))
        alive = [one for one in self._subscriptions if not one.closed.is_set()]
        self._subscriptions = {one: self._subscriptions[one] for one in alive}
        self._outstanding = {one: self._outstanding[one] for one in alive}
        self._subscriptions[generation] = subscription
        self._outstanding[generation] = outstanding
        self._generation = generation
        await self._pull(generation)

    def is_idle_on(self, generation: Generation) -> bool:
        """Whether no request is open on `generation`."""
        outstanding = self._outstanding.get(generation)
        return outstanding is None or outstanding.owed(time.monotonic()) == 0

    async def _pull(self, generation: Generation) -> None:
        now = time.monotonic()
        owed = sum(outstanding.owed(now) for outstanding in self._outstanding.values())
        wanted = self._slots - self._held - owed
        # As long as enough are asked for, the slots that get free are bundled into one request.
        if wanted <= 0 or self._stopped or wanted < owed // BUNDLE:
            return
        reply = f"{generation.prefix}.p.{self._place}.{next(self._numbers)}"
        self._outstanding[generation].ask(wanted, now)
        await generation.publish(
            self._next,
            b'{"batch":%d,"expires":%d000000000}' % (wanted, self._pull_seconds),
            reply=reply,
        )

    async def _on_message(self, outstanding: Outstanding, message: Msg) -> None:
        if not (message.reply.startswith("$JS.ACK.") and self._acks in message.reply):
            await self._on_status(outstanding, message)
            return
        outstanding.came()
        self._held += 1
        delivery = JetStreamDelivery(self, message)
        if self._stopped:
            await delivery.nak()
            return
        self._ready.append(delivery)
        self._arrived.set()

    async def _on_status(self, outstanding: Outstanding, message: Msg) -> None:
        headers = message.headers or {}
        status, left = headers.get("Status"), headers.get(LEFT)
        if status == "100":  # an idle heartbeat
            return
        outstanding.ran_out(int(left) if left else None)
        if status == "409":
            log.warning("the queue ended a pull", extra={"why": message.headers})
        if status not in {"404", "408"} and not self._stopped:
            await asyncio.sleep(CONSUMER_GONE_SECONDS)
        await self._pull_again()

    async def _watch(self) -> None:
        """Look again now and then: a request may be lost, and that ends without a word."""
        while True:
            await asyncio.sleep(GRACE_SECONDS)
            await self._pull_again()

    async def _pull_again(self) -> None:
        try:
            if self._generation is not None and not self._generation.closed.is_set():
                await self._pull(self._generation)
        except TransportError:
            log.warning("a pull did not go out; it is repeated")


async def _drained(generation: Generation, subscription: NatsSubscription) -> None:
    """Hear what is under way to `subscription`, unless the connection is gone or goes meanwhile.

    nats.py would wait for ever for messages that arrived and that it threw away as it closed.
    """
    if generation.closed.is_set():
        return
    draining = asyncio.ensure_future(subscription.drain())  # type: ignore[no-untyped-call]  # nats.py types itself in part
    gone = asyncio.create_task(generation.closed.wait())
    await asyncio.wait({draining, gone}, return_when=asyncio.FIRST_COMPLETED)
    for waiting in (draining, gone):
        waiting.cancel()
    await asyncio.gather(draining, gone, return_exceptions=True)
