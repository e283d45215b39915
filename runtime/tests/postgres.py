"""A real PostgreSQL, whichever hack/postgres.sh finds."""

import asyncio
import contextlib
import ipaddress
import os
import secrets
import signal
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from controller.local.site import free_port

SCRIPT = Path(__file__).parents[2] / "hack" / "postgres.sh"
START_SECONDS = 100  # it may have to be fetched


@dataclass
class Postgres:
    """One server; `start` after `stop` brings it back with its data on its port."""

    folder: Path
    port: int
    password: str = field(default_factory=lambda: f"p/@{secrets.token_hex(4)}")
    process: asyncio.subprocess.Process | None = None
    ssl_mode: str = "disable"

    @property
    def url(self) -> str:
        """The address of its database, as a Secret has it."""
        password = self.password.replace("/", "%2F").replace("@", "%40")
        where = f"k8gentai:{password}@127.0.0.1:{self.port}/postgres"
        return f"postgresql://{where}?sslmode={self.ssl_mode}"

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

    async def use_tls(self, certificate: bytes, key: bytes) -> None:
        """Let it take nothing but TLS from now on, with this certificate (PEM)."""
        await self.stop()
        data = self.folder / "data"
        for name, text in (("server.crt", certificate), ("server.key", key)):
            (data / name).write_bytes(text)
            (data / name).chmod(0o600)
        with (data / "postgresql.conf").open("a") as settings:
            settings.write("ssl = on\n")
        rules = "hostssl all all 127.0.0.1/32 scram-sha-256\n"
        (data / "pg_hba.conf").write_text(rules)
        self.ssl_mode = "require"
        await self.start()

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
    server = Postgres(folder, free_port())
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


def certificates() -> tuple[bytes, bytes, bytes]:
    """An authority's certificate, and one of 127.0.0.1 that it has signed, with its key; PEM."""
    now = datetime.now(UTC)
    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    names = [
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]) for name in ("authority", "db")
    ]

    def signed(place: int, extension: x509.ExtensionType) -> bytes:
        return (
            x509.CertificateBuilder()
            .subject_name(names[place])
            .issuer_name(names[0])
            .public_key(keys[place].public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(hours=1))
            .add_extension(extension, critical=True)
            .sign(keys[0], hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    key = keys[1].private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    return (
        signed(0, x509.BasicConstraints(ca=True, path_length=None)),
        signed(1, x509.SubjectAlternativeName([address])),
        key,
    )
