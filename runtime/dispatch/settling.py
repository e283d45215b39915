"""Settling what the queue delivers to a dispatcher, once, whatever comes in between."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from runtime.dispatch.lease import LeadershipLost
from runtime.transport.port import Delivery, TransportError

log = logging.getLogger(__name__)

type Settle = Callable[[], Coroutine[Any, Any, None]]
type Work = Callable[[Delivery], Awaitable[Settle]]
"""Does all that a delivery asks for, and says how to settle it; it may be repeated."""

LONGEST_RETRY_SECONDS = 30.0
FAULT_SECONDS = 30.0


async def settle(delivery: Delivery, work: Work) -> None:
    """Do the work of one delivery and settle it.

    Raises:
        LeadershipLost: the work was for a leader, which we are no more.
    """
    how: Settle = delivery.nak
    try:
        how = await _done(delivery, work)
    finally:
        # Also when we lead no more: kept by a living process, it would reach no other leader.
        await asyncio.shield(how())


async def _done(delivery: Delivery, work: Work) -> Settle:
    told = {"subject": delivery.subject, "sequence": delivery.sequence}
    try:
        return await work(delivery)
    except TransportError as error:
        log.warning("a delivery has to wait", extra=told | {"error": str(error)})
        return partial(delivery.nak, min(2.0 ** (delivery.number - 1), LONGEST_RETRY_SECONDS))
    except LeadershipLost:
        raise
    except Exception:
        # One message that we cannot cope with must not keep the others waiting.
        log.exception("a delivery failed", extra=told)
        return partial(delivery.nak, FAULT_SECONDS)
