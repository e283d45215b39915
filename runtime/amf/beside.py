"""Work that goes on beside a request, when whoever asked has his answer already."""

import logging
from collections.abc import Coroutine
from typing import Any

log = logging.getLogger(__name__)


async def logged(work: Coroutine[Any, Any, None]) -> None:
    """Do `work`; what it leaves undone, others repair."""
    try:
        await work
    except Exception:
        log.exception("work beside a request failed")
