"""The server's side of one connection, with a way to break it off.

Source:
    ASGI specification 2.3, "Extensions"; uvicorn 0.54, `protocols/http/httptools_impl.py`.
"""

from typing import Final, override

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

ABORT: Final = "k8gentai.abort"
"""The extension: a function that closes the connection at once, whatever was not sent yet."""


class AbortableConnection(HttpToolsProtocol):
    """A connection of uvicorn whose requests have the extension `ABORT` in their scope."""

    @override
    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: self.transport.abort}  # type: ignore[dict-item]  # an extension is what its server makes it
