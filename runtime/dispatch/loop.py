"""The dispatcher of a Stack: one of its replicas leads, the others stand by."""

import asyncio
import logging
import secrets
from dataclasses import dataclass, field

from runtime.contract.agent_config import StackConfig
from runtime.dispatch.asks import Asks
from runtime.dispatch.deadletters import DeadLetters
from runtime.dispatch.ends import Ends
from runtime.dispatch.lease import Election, LeadershipLost, Term
from runtime.dispatch.ports import Ports
from runtime.dispatch.supervision import Supervision
from runtime.transport.port import TransportError

log = logging.getLogger(__name__)

RESIGN_SECONDS = 1.0


def _name() -> str:
    return f"dispatcher-{secrets.token_hex(4)}"


@dataclass(slots=True)
class Dispatcher:
    """One replica.

    Shape:
        name   by which the lease knows it, different for each process.
        leads  whether it leads now.
    """

    config: StackConfig
    ports: Ports
    name: str = field(default_factory=_name)
    leads: bool = False

    async def run(self, stopping: asyncio.Event) -> None:
        """Stand by and lead in turn until `stopping` is set; then give the lease back.

        The queue being out of reach is waited for, with no end.
        """
        election = Election(self.ports.conversations, self.name, self.config.lease_seconds)
        while not stopping.is_set():
            campaign = asyncio.create_task(election.campaign(), name="campaign")
            await _first(campaign, stopping)
            if campaign.done():
                await self._lead(election, campaign.result(), stopping)
            await _cancel(campaign)

    async def _lead(self, election: Election, term: Term, stopping: asyncio.Event) -> None:
        log.info("leads", extra={"dispatcher": self.name})
        self.leads = True
        work = asyncio.create_task(self._work(election, term), name="lead")
        try:
            await _first(work, stopping)
        finally:
            self.leads = False
            try:
                await _cancel(work)
            finally:
                await _resign(election, term)

    async def _work(self, election: Election, term: Term) -> None:
        """Everything a leader does, until the lease is lost."""
        ports = self.ports.fenced(term.check)
        ends = Ends(ports)
        supervision = Supervision(ports, ends, event_seconds=self.config.event_seconds)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(election.renew(term), name="renew the lease")
                group.create_task(DeadLetters(ports, ends).run(), name="dead letters")
                group.create_task(Asks(ports, ends).run(), name="asks")
                group.create_task(supervision.run(), name="supervision")
        except* LeadershipLost as lost:
            log.warning(
                "leads no more", extra={"dispatcher": self.name, "why": str(lost.exceptions[0])}
            )


async def run_dispatcher(config: StackConfig, ports: Ports, stopping: asyncio.Event) -> None:
    """Be a dispatcher of the Stack in `config` until `stopping` is set; returns within a second."""
    await Dispatcher(config, ports).run(stopping)


async def _first(work: asyncio.Task[object], stopping: asyncio.Event) -> None:
    """Wait until `work` is done, whatever came of it, or it is time to stop."""
    stop = asyncio.create_task(stopping.wait())
    await asyncio.wait({work, stop}, return_when=asyncio.FIRST_COMPLETED)
    stop.cancel()


async def _cancel(work: asyncio.Task[object]) -> None:
    """End `work`, and raise what it failed with."""
    work.cancel()
    await asyncio.wait({work})
    if not work.cancelled():
        work.result()


async def _resign(election: Election, term: Term) -> None:
    try:
        async with asyncio.timeout(RESIGN_SECONDS):
            await election.resign(term)
    except (TransportError, TimeoutError) as error:
        log.info("the lease runs out by itself", extra={"error": str(error)})
