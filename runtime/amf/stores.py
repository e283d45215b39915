"""The server's own stores in PostgreSQL, as several servers and a database that comes back need.

The server's classes connect once and for all, in its event loop, and leave tables unmade if that
fails; two servers that start at once make the same tables, and one of them fails.

Source:
    llama-stack 0.7.3 and ogx 1.5.0, `core/storage/kvstore/postgres`, `core/storage/sqlstore`.
"""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from typing import Any, override

import psycopg2
from sqlalchemy import exc
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from runtime.amf.database import CONNECT_SECONDS, FAILURES, alone
from runtime.amf.errors import DatabaseAway
from runtime.amf.flavour import server_module

BROKEN = (psycopg2.OperationalError, psycopg2.InterfaceError)
TRIES = 3  # of what two servers may do at the same moment
STATEMENT_SECONDS = 30
ServerSqlStore = server_module("core.storage.sqlstore.sqlalchemy_sqlstore").SqlAlchemySqlStoreImpl


class KvStore:
    """Keys and values in one table; the connection is made again when it has broken.

    Shape:
        A key is kept as `<namespace>:<key>`, as by the server's own class. Keys are in the order of
        their bytes, on which the server's ranges rely.
    """

    def __init__(self, config: Any) -> None:
        self._table = config.table_name
        self._prefix = f"{config.namespace}:" if config.namespace else ""
        self._connection: Any = None
        self._one_at_a_time = threading.Lock()

    async def initialize(self) -> None:
        """Make the table.

        Raises:
            DatabaseAway: the database does not answer.
            RuntimeError: it does not let us.
        """
        try:
            await self._execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} "
                '(key TEXT COLLATE "C" PRIMARY KEY, value TEXT, expiration TIMESTAMP)'
            )
        except psycopg2.Error as error:
            raise not_let(error) from error

    async def set(self, key: str, value: str, expiration: datetime | None = None) -> None:
        """Write a value."""
        await self._execute(
            f"INSERT INTO {self._table} (key, value, expiration) VALUES (%s, %s, %s) "  # noqa: S608 - the name is the template's
            "ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, "
            "expiration = EXCLUDED.expiration",
            self._prefix + key,
            value,
            expiration,
        )

    async def get(self, key: str) -> str | None:
        """The value, None if there is none."""
        rows = await self._select("value", "key = %s", self._prefix + key)
        return rows[0] if rows else None

    async def delete(self, key: str) -> None:
        """Remove a key."""
        statement = f"DELETE FROM {self._table} WHERE key = %s"  # noqa: S608 - as above
        await self._execute(statement, self._prefix + key)

    async def values_in_range(self, start_key: str, end_key: str) -> list[str]:
        """The values of the keys from `start_key` up to `end_key`."""
        return await self._select(
            "value", "key >= %s AND key < %s", *self._range(start_key, end_key)
        )

    async def keys_in_range(self, start_key: str, end_key: str) -> list[str]:
        """The keys from `start_key` up to `end_key`."""
        keys = await self._select("key", "key >= %s AND key < %s", *self._range(start_key, end_key))
        return [key.removeprefix(self._prefix) for key in keys]

    async def shutdown(self) -> None:
        """Close the connection."""
        await asyncio.to_thread(self._close)

    def _range(self, start_key: str, end_key: str) -> tuple[str, str]:
        return self._prefix + start_key, self._prefix + end_key

    async def _select(self, column: str, which: str, *values: str) -> list[str]:
        rows = await self._execute(
            f"SELECT {column} FROM {self._table} WHERE {which} "  # noqa: S608 - as above
            "AND (expiration IS NULL OR expiration > NOW()) ORDER BY key",
            *values,
        )
        return [row[0] for row in rows]

    async def _execute(self, statement: str, *values: Any) -> list[Any]:
        """Run a statement; in a thread, since the driver would hold up the event loop.

        Raises:
            DatabaseAway: the database does not answer.
        """
        return await asyncio.to_thread(self._blocking, statement, values)

    def _blocking(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        with self._one_at_a_time:
            for last in (False,) * (TRIES - 1) + (True,):
                try:
                    return self._run(statement, values)
                except BROKEN as error:
                    self._close()  # each try has a connection of its own
                    if last:
                        raise database_away() from error
                except psycopg2.errors.UniqueViolation:
                    if last:  # another server has made the table meanwhile
                        raise
        raise AssertionError("the last try returns or raises")

    def _run(self, statement: str, values: tuple[Any, ...]) -> list[Any]:
        if self._connection is None:
            self._connection = psycopg2.connect(
                "",
                connect_timeout=CONNECT_SECONDS,
                options=f"-c statement_timeout={STATEMENT_SECONDS}s",
            )
            self._connection.autocommit = True
        with self._connection.cursor() as cursor:
            cursor.execute(statement, values)
            return list(cursor.fetchall()) if cursor.description else []

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(psycopg2.Error):
                connection.close()


class SqlStore(ServerSqlStore):  # type: ignore[misc, valid-type]  # it has no types
    """The server's store of tables, which exists as a whole or not yet."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._opening = asyncio.Lock()
        self._is_open = False

    @override
    def create_engine(self) -> AsyncEngine:
        """An engine for the database that the variables of libpq name."""
        return create_async_engine(
            "postgresql+asyncpg://",
            pool_pre_ping=True,  # a connection may have broken since it was last used
            pool_size=self.config.pool_size,
            max_overflow=self.config.max_overflow,
            connect_args={"timeout": CONNECT_SECONDS, "command_timeout": STATEMENT_SECONDS},
        )

    @override
    async def _ensure_engine(self) -> None:
        """Make the tables before the first statement; if that fails, before the next one."""
        if self._is_open:
            return
        async with self._opening:
            for last in (False,) * (TRIES - 1) + (True,):
                if self._is_open:
                    return
                try:
                    await super()._ensure_engine()
                    self._is_open = True
                except exc.DBAPIError as error:
                    await super().shutdown()
                    if last or error.connection_invalidated:
                        raise
                except BaseException:
                    await super().shutdown()
                    raise

    @override
    async def insert(self, *arguments: Any, **named: Any) -> None:
        with answering():
            await super().insert(*arguments, **named)

    @override
    async def upsert(self, *arguments: Any, **named: Any) -> None:
        with answering():
            await super().upsert(*arguments, **named)

    @override
    async def fetch_all(self, *arguments: Any, **named: Any) -> Any:
        with answering():
            return await super().fetch_all(*arguments, **named)

    @override
    async def update(self, *arguments: Any, **named: Any) -> None:
        with answering():
            await super().update(*arguments, **named)

    @override
    async def delete(self, *arguments: Any, **named: Any) -> None:
        with answering():
            await super().delete(*arguments, **named)

    @override
    async def delete_many(self, *arguments: Any, **named: Any) -> None:
        with answering():
            await super().delete_many(*arguments, **named)  # of OGX alone


@contextlib.asynccontextmanager
async def making_tables() -> AsyncIterator[None]:
    """Tables are made here, of several servers by one at a time: two would make the same.

    Raises:
        DatabaseAway: the database does not answer.
        RuntimeError: it does not let us.
    """
    try:
        with answering():
            async with alone():
                yield
    except exc.DBAPIError as error:
        raise not_let((error.orig and error.orig.__cause__) or error) from error


def not_let(error: BaseException) -> RuntimeError:
    """The database does not let us make what is needed."""
    why = str(error).partition("\n")[0]
    return RuntimeError(f"{why}; let the database's user create tables")


@contextlib.contextmanager
def answering() -> Iterator[None]:
    """What is done here needs the database.

    Raises:
        DatabaseAway: it does not answer.
    """
    try:
        yield
    except (*FAILURES, exc.TimeoutError, exc.InterfaceError, exc.OperationalError) as error:
        raise database_away() from error
    except exc.DBAPIError as error:
        if not error.connection_invalidated:
            raise
        raise database_away() from error


def database_away() -> DatabaseAway:
    """The database does not answer at the moment."""
    return DatabaseAway(
        "The database of this Stack does not answer. What it keeps, conversations, files, prompts "
        "and responses of models, is out of reach; agents answer without it. Ask again later.",
        retry_after=1,
    )
