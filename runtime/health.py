"""Says over HTTP whether this process lives and is ready, in one sentence.

Source:
    Kubernetes documentation, "Configure Liveness, Readiness and Startup Probes".
"""

import asyncio
from collections.abc import Awaitable, Callable

type WhyNot = Callable[[], str | None]

READ_SECONDS = 5


def server(host: str, port: int, why_not: WhyNot) -> Callable[[], Awaitable[None]]:
    """A coroutine that serves `/ready` and `/live` until it is cancelled.

    Shape:
        `why_not` gives None when the process is ready, else a sentence; it may be called from a
        thread of its own.
    """

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_SECONDS):
                request = await reader.readline()
                while (await reader.readline()).strip():
                    pass
            reason = why_not() if b"/ready" in request else None
            writer.write(response(reason))
            await writer.drain()
        except (TimeoutError, ConnectionError, ValueError):
            pass  # whoever asked has gone, or speaks something else
        finally:
            writer.close()

    async def serve() -> None:
        listening = await asyncio.start_server(answer, host, port)
        async with listening:
            await listening.serve_forever()

    return serve


def response(reason: str | None) -> bytes:
    """The HTTP response that says so."""
    status = "200 OK" if reason is None else "503 Service Unavailable"
    body = (reason or "ready").encode() + b"\n"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain; charset=utf-8\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
