"""The worker: takes deliveries as slots get free, handles them, settles each exactly once."""

import asyncio
import contextlib
import logging
from collections.abc import Sequence

from runtime.contract.dead_letter import LastWords
from runtime.transport.port import Delivery, Inbox, Stopped
from runtime.worker.decide import decide
from runtime.worker.outcomes import Ack, HandedBack, Handler, Leave, Lost, Nak, Outcome, Term
from runtime.worker.pace import Pace

log = logging.getLogger(__name__)


class Worker:
    """One process of an Agent or a Tool; none of its inboxes waits for another."""

    def __init__(
        self, inboxes: Sequence[Inbox], handler: Handler, pace: Pace | None = None
    ) -> None:
        self._inboxes = inboxes
        self._handler = handler
        self._pace = pace or Pace()
        self._under_way: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until `drain` is called."""
        async with asyncio.TaskGroup() as group:
            for inbox in self._inboxes:
                group.create_task(self._take(inbox), name="take")
        log.info("no more deliveries are taken")

    async def drain(self, grace_seconds: float) -> None:
        """Take nothing more, let what is under way finish, hand back what does not in time."""
        await asyncio.gather(*(inbox.stop() for inbox in self._inboxes))
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=grace_seconds)
        unfinished = list(self._under_way)
        for work in unfinished:
            work.cancel()
        await asyncio.gather(*unfinished, return_exceptions=True)

    async def _take(self, inbox: Inbox) -> None:
        with contextlib.suppress(Stopped):
            while True:
                work = asyncio.create_task(self._work(await inbox.next()))
                self._under_way.add(work)
                work.add_done_callback(self._under_way.discard)

    async def _work(self, delivery: Delivery) -> None:
        try:
            async with self._pace.place():
                outcome: Outcome = await self._handler.handle(delivery)
        except asyncio.CancelledError:
            await settle(delivery, HandedBack())
            raise
        except Exception:
            # A fault of ours, not of the user's code: leave the delivery to another worker.
            log.exception("handling a delivery failed", extra={"sequence": delivery.sequence})
            outcome = Lost()
        await settle(delivery, outcome)


async def settle(delivery: Delivery, outcome: Outcome) -> None:
    """Tell the queue what `outcome` means for it."""
    match decide(outcome):
        case Ack():
            await delivery.ack()
        case Nak(delay_seconds):
            await delivery.nak(delay_seconds)
        case Term(reason):
            # The queue drops the message at once; what it keeps is these words.
            words = LastWords.about(reason, delivery.subject, delivery.data)
            await delivery.term(words.spoken())
        case Leave():
            await delivery.leave()
