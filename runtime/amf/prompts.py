"""Prompts, each of them its user's own.

Llama Stack keeps them without an owner, so everybody would read, change and delete everybody's.
OGX keeps them as rows of a table, each with its owner.

Source:
    llama-stack 0.7.3 and ogx 1.5.0, `core/prompts/prompts.py`.
"""

import hashlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

PROMPTS: Final = ("prompts:", "prompts;")
"""The range of the server's keys: `;` is the letter after `:`."""


class OwnPrompts:
    """The server's store of prompts, as whoever asks may see it.

    Shape:
        A key of a user that was authenticated has a digest of his name in front; of anybody else it
        is the server's own.
    """

    def __init__(self, store: Any, owner: Callable[[], str]) -> None:
        self._store = store
        self._owner = owner

    async def get(self, key: str) -> str | None:
        """The value of a key, None if there is none."""
        value: str | None = await self._store.get(self._prefix + key)
        return value

    async def set(self, key: str, value: str, expiration: datetime | None = None) -> None:
        """Write a value."""
        await self._store.set(self._prefix + key, value, expiration)

    async def delete(self, key: str) -> None:
        """Remove a key."""
        await self._store.delete(self._prefix + key)

    async def keys_in_range(self, start_key: str, end_key: str) -> list[str]:
        """The keys from `start_key` up to `end_key`."""
        keys = await self._store.keys_in_range(self._prefix + start_key, self._prefix + end_key)
        return [key.removeprefix(self._prefix) for key in keys]

    async def values_in_range(self, start_key: str, end_key: str) -> list[str]:
        """The values of the keys from `start_key` up to `end_key`."""
        first, last = self._prefix + start_key, self._prefix + end_key
        values: list[str] = await self._store.values_in_range(first, last)
        return values

    async def erase(self) -> None:
        """Remove all that whoever asks has."""
        for key in await self.keys_in_range(*PROMPTS):
            await self.delete(key)

    @property
    def _prefix(self) -> str:
        owner = self._owner()
        return f"user:{hashlib.sha256(owner.encode()).hexdigest()}:" if owner else ""
