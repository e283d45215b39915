"""The PostgreSQL database of a Stack: its address, and whether it can be reached.

The address is told to the process by K8GENTAI_DATABASE_URL and goes from there into the variables
that libpq and asyncpg both read. So it stands in no file and in no configuration that is logged.

Source:
    PostgreSQL 15 documentation, "Connection URIs" and "Environment Variables" of libpq; asyncpg
    0.32, `connect_utils.py`.
"""

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Self, override
from urllib.parse import parse_qsl, unquote, urlsplit

import asyncpg

URL: Final = "K8GENTAI_DATABASE_URL"
CA: Final = "K8GENTAI_DATABASE_CA"
FIELD: Final = "K8GENTAI_DATABASE"

SCHEMES: Final = ("postgresql", "postgres")
SSL_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
VERIFYING: Final = ("verify-ca", "verify-full")
HOST: Final = re.compile(r"[A-Za-z0-9]([-.A-Za-z0-9]*[A-Za-z0-9])?|[0-9A-Fa-f:]+")
FORM: Final = "postgresql://user:password@host:port/database"
CONNECT_SECONDS: Final = 3
LOCK: Final = 0x6B386761  # of ours alone, among the advisory locks of the database

REFUSALS: Final = (
    asyncpg.InvalidAuthorizationSpecificationError,  # a wrong password is one of these
    asyncpg.InvalidCatalogNameError,
    asyncpg.InsufficientPrivilegeError,
    asyncpg.ClientConfigurationError,
)
"""What a database says to an address that is wrong; the rest may be better in a while."""

FAILURES: Final = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)


class BadAddress(ValueError):
    """The address of a database is none; the message says which part, and shows no part."""


class Refused(Exception):
    """The database answers and does not let us in; asking again would not help."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """Where a database is, and who asks it; shown without the password.

    Shape:
        ssl_mode  of libpq; None leaves it to the drivers, which try TLS first.
    """

    host: str
    port: int
    name: str
    user: str
    password: str | None = field(repr=False)
    ssl_mode: str | None

    @override
    def __str__(self) -> str:
        return f"{self.name} at {self.host}:{self.port}"

    @classmethod
    def of(cls, url: str) -> Self:
        """The address in `url`, which is postgresql://user:password@host:port/database?sslmode=….

        Raises:
            BadAddress: it is none.
        """
        url = url.strip()
        if any(not " " < letter <= "~" for letter in url):
            raise BadAddress("it holds a space or a letter that has to be percent-encoded")
        if "#" in url:
            raise BadAddress("it holds a '#'; in a password that is written %23")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise BadAddress(f"its host or port is none; write it as {FORM}") from error
        if parts.scheme not in SCHEMES:
            raise BadAddress(f"it does not begin with postgresql://; write it as {FORM}")
        host, name = parts.hostname or "", unquote(parts.path[1:])
        for what, value in (("host", host), ("database", name), ("user", parts.username)):
            if not value:
                raise BadAddress(f"it names no {what}; write it as {FORM}")
        if HOST.fullmatch(host) is None:
            raise BadAddress("its host is none; name one, and write @ in a password as %40")
        if "/" in parts.path[1:]:
            raise BadAddress("its database holds a '/'; in a password that is written %2F")
        if "%00" in url:
            raise BadAddress("it holds %00, which PostgreSQL takes nowhere")
        return cls(
            host=host,
            port=port or 5432,
            name=name,
            user=unquote(parts.username or ""),
            password=None if parts.password is None else unquote(parts.password),
            ssl_mode=_ssl_mode(parts.query),
        )

    def variables(self, ca_file: Path | None) -> dict[str, str]:
        """The variables from which libpq and asyncpg take it."""
        given = {
            "PGHOST": self.host,
            "PGPORT": str(self.port),
            "PGDATABASE": self.name,
            "PGUSER": self.user,
            "PGPASSWORD": self.password,
            "PGSSLMODE": self.ssl_mode,
            "PGSSLROOTCERT": None if ca_file is None else str(ca_file),
        }
        return {name: value for name, value in given.items() if value is not None}


def _ssl_mode(query: str) -> str | None:
    options = dict(parse_qsl(query, keep_blank_values=True))
    mode = options.pop("sslmode", None)
    if options:
        raise BadAddress("of what may follow '?' only sslmode is known; remove the rest")
    if mode is not None and mode not in SSL_MODES:
        raise BadAddress(f"its sslmode is none of {', '.join(SSL_MODES)}")
    return mode


def told_address(environment: Mapping[str, str]) -> Address | None:
    """The address that this process was told; None if its Stack has no database.

    Raises:
        BadAddress: it is none; the message is a whole sentence that names the field.
    """
    url = environment.get(URL)
    if url is None:
        return None
    try:
        return _with_ca(Address.of(url), is_there=CA in environment)
    except BadAddress as error:
        told_by = environment.get(FIELD, URL)
        raise BadAddress(f"the database's address in {told_by} cannot be used: {error}") from None


def _with_ca(address: Address, *, is_there: bool) -> Address:
    if address.ssl_mode in VERIFYING and not is_there:
        raise BadAddress(
            f"its sslmode is {address.ssl_mode}, but there is nothing to verify with; set "
            "spec.storage.postgres.caSecretRef"
        )
    return address


@contextlib.asynccontextmanager
async def alone() -> AsyncIterator[None]:
    """Keep the other servers of the database out of here for as long as the body runs.

    Raises:
        Exception: one of `FAILURES`; the database does not answer.
    """
    connection = await asyncpg.connect(timeout=CONNECT_SECONDS)
    try:
        await connection.execute(f"SELECT pg_advisory_lock({LOCK})")
        yield
    finally:
        connection.terminate()  # which gives the lock back


async def why_not_reached(address: Address, seconds: float = CONNECT_SECONDS) -> str | None:
    """What keeps the database that the variables name from answering; None if it answers.

    Units:
        `seconds` is how long to wait for it.

    Raises:
        Refused: it answers that it will not.
    """
    try:
        async with asyncio.timeout(seconds):
            connection = await asyncpg.connect()
            await connection.close()
    except REFUSALS as error:
        raise Refused(f"the database {address} refuses: {error}") from error
    except FAILURES as error:
        why = str(error) or f"no answer within {seconds:g} seconds"
        return f"the database {address} cannot be reached: {why}"
    return None
