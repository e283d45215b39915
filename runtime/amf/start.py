"""What comes before a server serves: its database answers, and its port is taken."""

import asyncio
import contextlib
import logging
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from runtime import health
from runtime.amf.database import (
    CA,
    FIELD,
    URL,
    Address,
    BadAddress,
    Refused,
    told_address,
    why_not_reached,
)
from runtime.settings import Settings

log = logging.getLogger(__name__)

PATIENCE = 60  # times that a database is asked; then whoever looks at the Stack is told, too
RETRY_SECONDS = 1.0
STARTUP_FAILURE = 3  # of uvicorn, which has said why


class CannotServe(ValueError):
    """The Stack asks for something that this server cannot be; the message is one sentence."""


class DatabaseSilent(CannotServe):
    """The database has not answered for a while; it may do so when we are started again."""


def reach_database(settings: Settings, scratch: Path) -> None:
    """Wait for the database of the Stack, if it has one, and say meanwhile what is awaited.

    Shape:
        From then on the environment has its address as the drivers read it; see `database`.

    Raises:
        CannotServe: its address is none, or it does not let us in.
        DatabaseSilent: it has not answered for long.
    """
    try:
        address = told_address(os.environ)
    except BadAddress as error:
        raise CannotServe(str(error)) from error
    if address is None:
        return
    ca_file = None
    if CA in os.environ:
        ca_file = scratch / "database-ca.pem"
        ca_file.write_text(os.environ[CA])
    os.environ.update(address.variables(ca_file))
    try:
        asyncio.run(_until_reached(settings, address))
    except Refused as error:
        raise CannotServe(f"{error}; see {os.environ.get(FIELD, URL)}") from error


async def _until_reached(settings: Settings, address: Address) -> None:
    why = f"the database {address} has not been asked yet"

    async def tell() -> None:
        await health.server(settings.host, settings.health_port, lambda: why)()

    telling = asyncio.create_task(tell())
    try:
        for _ in range(PATIENCE):
            reason = await why_not_reached(address)
            if reason is None:
                return
            if reason != why:
                log.warning("not ready: %s", reason)
            why = reason
            await asyncio.sleep(RETRY_SECONDS)
    finally:
        telling.cancel()
        await asyncio.gather(telling, return_exceptions=True)
    raise DatabaseSilent(f"{why}; see {os.environ.get(FIELD, URL)}")


def run(app: Any, *, host: str, port: int, **options: Any) -> None:
    """What `uvicorn.run` does, on a port that servers of one machine may share.

    Raises:
        CannotServe: the address cannot be taken.
    """
    config = uvicorn.Config(app, **options)
    with _taken(host, port) as taken:
        if config.workers > 1:
            Multiprocess(config, sockets=[taken]).run()
            return
        server = uvicorn.Server(config)
        server.run(sockets=[taken])
    if not server.started:
        sys.exit(STARTUP_FAILURE)


@contextlib.contextmanager
def _taken(host: str, port: int) -> Iterator[socket.socket]:
    """A socket of this address; it gets connections once it is served.

    The servers of a Stack on an embedded platform have one port, and the kernel spreads what comes
    over those that live.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as taken:
        for option in (socket.SO_REUSEADDR, socket.SO_REUSEPORT):
            taken.setsockopt(socket.SOL_SOCKET, option, 1)
        try:
            taken.bind((host, port))
        except OSError as error:
            raise CannotServe(f"{host}:{port} cannot be served on: {error.strerror}") from error
        taken.set_inheritable(True)
        yield taken
