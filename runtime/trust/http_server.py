"""Serves an ASGI application in the event loop of this process, until cancelled."""

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from typing import Any, Final, override

import uvicorn

FAREWELL_SECONDS: Final = 1


class _Server(uvicorn.Server):
    @override
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the process."""
        yield


async def serve(app: Any, listening: socket.socket) -> None:
    """Answer on `listening`, which is closed in the end."""
    config = uvicorn.Config(
        app,
        lifespan="off",
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=FAREWELL_SECONDS,
    )
    server = _Server(config)
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    try:
        await asyncio.shield(serving)
    finally:
        server.should_exit = True
        await serving
