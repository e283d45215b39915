"""Work that is done for as long as its client is there.

Source:
    ASGI specification 2.3, "HTTP": `http.disconnect`.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any

from starlette.responses import Response
from starlette.types import Receive


async def while_there(work: Coroutine[Any, Any, Response], receive: Receive) -> Response:
    """What the work answers; it is cancelled when the client goes away, and nothing is answered.

    Shape:
        receive  of a request whose body was read.
    """
    working, leaving = asyncio.create_task(work), asyncio.create_task(_left(receive))
    try:
        await asyncio.wait({working, leaving}, return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else Response()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
