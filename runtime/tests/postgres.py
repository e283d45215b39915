"""A real PostgreSQL, whichever hack/postgres.sh finds."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg

SCRIPT = Path(__file__).parents[2] / "hack" / "postgres.sh"
START_SECONDS = 100  # it may have to be fetched


@dataclass
class Postgres:
    """One server; `start` after `stop` brings it back with its data on its port."""

    folder: Path
    port: int
    password: str = field(default_factory=lambda: f"p/@{secrets.token_hex(4)}")
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        """The address of its database, as a Secret has it."""
        password = self.password.replace("/", "%2F").replace("@", "%40")
        return f"postgresql://k8gentai:{password}@127.0.0.1:{self.port}/postgres?sslmode=disable"

    async def start(self) -> None:
        """Start it and wait until it answers."""
        with (self.folder / "postgres.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *(SCRIPT, "run", self.folder / "data", str(self.port)),
                env=os.environ | {"PGPASSWORD": self.password},
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(START_SECONDS):
            while not await self._answers():
                if self.process.returncode is not None:
                    raise RuntimeError((self.folder / "postgres.log").read_text())
                await asyncio.sleep(0.05)

    async def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it, and with it everybody's connections."""
        process, self.process = self.process, None
        if process is not None and process.returncode is None:
            process.send_signal(how)
            await process.wait()

    async def rows(self, statement: str) -> list[tuple[object, ...]]:
        """What a statement selects."""
        connection = await asyncpg.connect(self.url)
        try:
            return [tuple(row) for row in await connection.fetch(statement)]
        finally:
            await connection.close()

    async def _answers(self) -> bool:
        with contextlib.suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
            await (await asyncpg.connect(self.url, timeout=5)).close()
            return True
        return False


@contextlib.asynccontextmanager
async def running_postgres(folder: Path) -> AsyncIterator[Postgres]:
    """A database for as long as the body runs."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        server = Postgres(folder, free.getsockname()[1])
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
