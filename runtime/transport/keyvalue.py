"""A key-value bucket on JetStream, spoken subject by subject.

Bound without any look-up, since stream information does not cross the border between the account
of the streams and that of the workers.

Source:
    NATS architecture decision record ADR-8 (key-value) and ADR-31 (direct get).
"""

import json
from collections.abc import AsyncGenerator

from runtime.transport.client import Heard
from runtime.transport.connection import Connection
from runtime.transport.follow import Followed, follow
from runtime.transport.port import Entry, KeyExists, RevisionConflict
from runtime.transport.replies import WRONG_LAST_SEQUENCE, Refused, published

EXPECTED = "Nats-Expected-Last-Subject-Sequence"
OPERATION = "KV-Operation"
DELETED = frozenset({"DEL", "PURGE"})


class KeyValue:
    """A `WatchableStore`; in the workers' account only the methods of `Store` are permitted."""

    def __init__(self, connection: Connection, bucket: str) -> None:
        self._connection = connection
        self._stream = f"KV_{bucket}"
        self._prefix = f"$KV.{bucket}."

    async def get(self, key: str) -> Entry | None:
        """The newest value, or None if there is none."""
        entry = await self._newest(key)
        return None if entry is None or entry.deleted else entry

    async def create(self, key: str, value: bytes) -> int:
        """Write a key that is not there; gives its revision.

        Raises:
            KeyExists: somebody was first.
        """
        try:
            return await self.update(key, value, 0)
        except RevisionConflict as conflict:
            # A deleted key leaves a marker behind, and with it a revision that is not 0.
            entry = await self._newest(key)
            if entry is None or not entry.deleted:
                raise KeyExists(f"the key {key} is there already") from conflict
            return await self.update(key, value, entry.revision)

    async def update(self, key: str, value: bytes, revision: int) -> int:
        """Write over exactly `revision`; gives the new one.

        Raises:
            RevisionConflict: the key has another revision by now.
        """
        try:
            return await self._write(key, value, {EXPECTED: str(revision)})
        except Refused as refused:
            if refused.code == WRONG_LAST_SEQUENCE:
                raise RevisionConflict(f"the key {key} is not at {revision} any more") from refused
            raise

    async def put(self, key: str, value: bytes) -> int:
        """Write whatever stands there; gives the revision."""
        return await self._write(key, value, {})

    async def delete(self, key: str) -> None:
        """Take the key away; a key that is not there is no error."""
        await self._write(key, b"", {OPERATION: "DEL"})

    async def find(self, pattern: str) -> Entry | None:
        """The newest entry whose key matches a pattern with `*` for single tokens."""
        entry = await self._asked_for({"last_by_subj": self._prefix + pattern})
        return None if entry is None or entry.deleted else entry

    async def keys(self, pattern: str) -> list[str]:
        """The keys that match a pattern with `*` for single tokens and `>` for the rest.

        One after the other, with their values: this is for keys of which there are few.
        """
        return [entry.key async for entry in self.scan(pattern)]

    async def scan(self, pattern: str) -> AsyncGenerator[Entry]:
        """The entries that match, the oldest first, one asked for after the other."""
        behind = 0
        while entry := await self._asked_for(
            {"seq": behind + 1, "next_by_subj": self._prefix + pattern}
        ):
            behind = entry.revision
            if not entry.deleted:
                yield entry

    async def purge(self, pattern: str) -> None:
        """Take away every key that matches, without a trace; who watches is told nothing."""
        generation = await self._connection.current()
        query = json.dumps({"filter": self._prefix + pattern}).encode()
        reply = await generation.request(f"$JS.API.STREAM.PURGE.{self._stream}", query)
        if error := json.loads(reply.data).get("error"):
            raise Refused(error.get("err_code", 0), error.get("description", ""))

    async def watch(self, pattern: str = ">") -> AsyncGenerator[Entry | None]:
        """Every key's newest value, then None once, then each change, across reconnects."""
        subject = self._prefix + pattern
        async for step in follow(self._connection, self._stream, subject, start=None):
            if isinstance(step, Followed):
                message = step.message
                yield Entry(
                    key=message.subject.removeprefix(self._prefix),
                    value=message.data,
                    revision=step.sequence,
                    deleted=(message.headers or {}).get(OPERATION) in DELETED,
                )
            else:
                yield None

    async def _newest(self, key: str) -> Entry | None:
        generation = await self._connection.current()
        subject = f"$JS.API.DIRECT.GET.{self._stream}.{self._prefix}{key}"
        return self._entry(await generation.request(subject, b""))

    async def _asked_for(self, query: dict[str, str | int]) -> Entry | None:
        generation = await self._connection.current()
        subject = f"$JS.API.DIRECT.GET.{self._stream}"
        return self._entry(await generation.request(subject, json.dumps(query).encode()))

    def _entry(self, reply: Heard) -> Entry | None:
        headers = reply.headers
        if headers.get("Status") == "404":
            return None
        if "Nats-Subject" not in headers:
            raise Refused(0, f"no direct get from {self._stream}: {headers or reply.data!r}")
        return Entry(
            key=headers["Nats-Subject"].removeprefix(self._prefix),
            value=reply.data,
            revision=int(headers["Nats-Sequence"]),
            deleted=headers.get(OPERATION) in DELETED,
        )

    async def _write(self, key: str, value: bytes, headers: dict[str, str]) -> int:
        generation = await self._connection.current()
        reply = await generation.request(self._prefix + key, value, headers=headers)
        return published(reply.data).sequence
