"""The public keys of the issuers that workloads' tokens come from."""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any, Final

import httpx
import jwt

from runtime.contract.trust_config import Issuer
from runtime.trust.https import fetch_object
from runtime.trust.tokens import Reason, Refused

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 300.0
"""A fetched set is good for so long; a key that was taken back is refused afterwards."""
KEPT_SECONDS: Final = 3600.0
"""While the issuer cannot be asked, its last set is good for so long."""
PAUSE_SECONDS: Final = 5.0
"""Between two fetches, however many tokens name keys that do not exist."""

type KeyByKid = dict[str, jwt.PyJWK]


class IssuerKeys:
    """The key sets of several issuers: given, or fetched when a token first needs them."""

    def __init__(self, issuers: Iterable[Issuer], *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._given = {one.issuer: key_by_kid(one.jwks) for one in issuers if one.jwks is not None}
        self._fetched = {
            one.issuer: _FetchedKeys(one, pause_seconds) for one in issuers if one.jwks is None
        }

    async def key(self, issuer: str, kid: str) -> jwt.PyJWK:
        """The key that `issuer` publishes under `kid`.

        Raises:
            Refused: the issuer is none of ours, has no such key, or cannot be asked.
        """
        if (given := self._given.get(issuer)) is not None:
            key = given.get(kid)
        elif (fetched := self._fetched.get(issuer)) is not None:
            key = await fetched.key(kid)
        else:
            raise Refused(Reason.UNKNOWN_ISSUER)
        if key is None:
            raise Refused(Reason.UNKNOWN_KEY)
        return key


def key_by_kid(jwks: dict[str, Any]) -> KeyByKid:
    """The keys of a JWK set (RFC 7517) that this program can verify with.

    Raises:
        ValueError: it is no JWK set.
    """
    listed = jwks.get("keys")
    if not isinstance(listed, list):
        raise ValueError("a JWK set has a list of keys")  # noqa: TRY004 - bad data, no bad argument
    found: KeyByKid = {}
    for one in listed:
        try:
            key = jwt.PyJWK.from_dict(one)
        except (jwt.PyJWTError, AttributeError, KeyError, TypeError, ValueError):
            continue  # of a kind we do not know; the others still count
        if key.key_id is not None and key.key_type != "oct":
            found[key.key_id] = key
    return found


class _FetchedKeys:
    def __init__(self, issuer: Issuer, pause_seconds: float) -> None:
        self._issuer = issuer
        self._pause = pause_seconds
        self._keys: KeyByKid = {}
        self._fetched = self._tried = float("-inf")
        self._fetching = asyncio.Lock()

    async def key(self, kid: str) -> jwt.PyJWK | None:
        if not self._is_fresh(kid):
            async with self._fetching:
                paused = time.monotonic() - self._tried > self._pause
                if paused and not self._is_fresh(kid):
                    await self._fetch()
        if time.monotonic() - self._fetched > KEPT_SECONDS:
            raise Refused(Reason.KEYS_UNREACHABLE)
        return self._keys.get(kid)

    def _is_fresh(self, kid: str) -> bool:
        return kid in self._keys and time.monotonic() - self._fetched <= FRESH_SECONDS

    async def _fetch(self) -> None:
        self._tried = time.monotonic()
        try:
            self._keys = key_by_kid(await self._get())
            self._fetched = time.monotonic()
        except (httpx.HTTPError, OSError, ValueError) as error:
            log.warning(
                "keys of an issuer unreachable",
                extra={"issuer": self._issuer.issuer, "error": repr(error)},
            )

    async def _get(self) -> dict[str, Any]:
        one = self._issuer
        if one.jwks_url is None:
            raise ValueError(f"the issuer {one.issuer} has neither jwks nor jwksUrl")
        return await fetch_object(one.jwks_url, one.ca_file, one.token_file)
