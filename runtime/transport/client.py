"""nats.py's client with a short way for what there is most of: replies, signals, and headers.

To a callback each message goes through a queue and a task of its subscription, and its headers are
read whether or not anybody wants them; headers that go out are looked at one by one. That costs
more than what is done with a reply.

Source:
    nats-py 2.16.0, `aio/client.py` (`_process_msg`, `publish`, `_send_publish`); NATS
    documentation, client protocol, HPUB, MSG and HMSG; ADR-4 (headers).
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, override

import nats.aio.client
import nats.errors
from nats.aio.subscription import Subscription

from runtime.transport.port import Headers

log = logging.getLogger(__name__)

VERSION: Final = "NATS/1.0"


@dataclass(frozen=True, slots=True)
class Heard:
    """One message as it was read.

    Shape:
        block  its headers as they came; empty if it has none.
    """

    subject: str
    data: bytes
    block: bytes

    @property
    def headers(self) -> dict[str, str]:
        """Its headers; see `headers_of`."""
        return headers_of(self.block)


type OnHeard = Callable[[Heard], None]


class Client(nats.aio.client.Client):
    """The client of one connection."""

    async def hear(self, subject: str, on_heard: OnHeard) -> Subscription:
        """Call `on_heard` for each message on `subject` as it is read: nothing may be awaited.

        Raises:
            nats.errors.Error, OSError: the connection is down.
        """
        taker = _Taker(on_heard)
        return await self.subscribe(subject, future=taker)  # type: ignore[arg-type]  # only we look at it, below

    async def publish_block(self, subject: str, data: bytes, reply: str, block: bytes) -> None:
        """Publish with the headers of a `block`, which `block_of` has made.

        Raises:
            nats.errors.Error, OSError: the connection is down.
        """
        if not self.is_connected or self._flush_queue is None:
            raise nats.errors.ConnectionClosedError
        head = f"HPUB {subject} {reply} {len(block)} {len(block) + len(data)}\r\n".encode()
        await self._send_command(b"%b%b%b\r\n" % (head, block, data))
        if self._flush_queue.empty():  # else it goes out with what goes before it
            await self._flush_pending()

    @override
    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        taker = getattr(self._subs.get(sid), "_future", None)
        if isinstance(taker, _Taker):
            taker.take(Heard(subject.decode(), data, headers or b""))
        else:
            await super()._process_msg(sid, subject, reply, data, headers)


@dataclass(frozen=True, slots=True)
class _Taker:
    """What stands where nats.py has a future for the only message of a subscription."""

    on_heard: OnHeard

    def take(self, heard: Heard) -> None:
        try:
            self.on_heard(heard)
        except Exception:
            # A fault of ours in one message must not end the reading of all others.
            log.exception("a message was not taken", extra={"subject": heard.subject})


def block_of(headers: Headers) -> bytes:
    """Headers as they go over the wire, empty if there are none.

    Raises:
        ValueError: one has a line break in it.
    """
    if not headers:
        return b""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
    if lines.count("\r") + lines.count("\n") > 2 * len(headers):
        raise ValueError(f"a header has a line break in it, which none can have: {headers}")
    return f"{VERSION}\r\n{lines}\r\n".encode()


def headers_of(block: bytes) -> dict[str, str]:
    """The headers in a block as it stands on the wire: a line for the version, then one for each.

    Shape:
        What the server says in place of a message is in the first line, `NATS/1.0 404 …`: its
        number is the header `Status`.
    """
    first, *lines = block.decode(errors="replace").split("\r\n")
    status = first.removeprefix(VERSION).split(maxsplit=1)
    found = {"Status": status[0]} if status else {}
    for line in lines:
        name, _, value = line.partition(":")
        if name:
            found[name] = value.strip()
    return found
