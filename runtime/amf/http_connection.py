"""The server's side of one connection: little is sent ahead, and it can be broken off.

Source:
    ASGI specification 2.3, "Extensions"; uvicorn 0.54, `protocols/http/httptools_impl.py`; Linux
    manual, socket(7) and tcp(7).
"""

import asyncio
import socket
from typing import Final, override

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT: Final = "k8gentai.abort"
"""The extension: a function that closes the connection at once, whatever was not sent yet."""

AHEAD_BYTES: Final = 128 * 1024
"""What the kernel takes for a client that does not read; by itself it would take megabytes."""


class AbortableConnection(HttpToolsProtocol):
    """A connection of uvicorn whose requests have the extension `ABORT` in their scope."""

    @override
    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn itself
        super().connection_made(transport)
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, AHEAD_BYTES)

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: self.transport.abort}  # type: ignore[dict-item]  # an extension is what its server makes it
