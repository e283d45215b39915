"""The public keys of the issuers that tokens come from."""

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import jwt

from runtime.contract.trust_config import Issuer
from runtime.identity.https import fetch_object
from runtime.identity.tokens import Reason, Refused

log = logging.getLogger(__name__)

FRESH_SECONDS: Final = 300.0
"""A fetched set is good for so long; a key that was taken back is refused afterwards."""
KEPT_SECONDS: Final = 3600.0
"""While the issuer cannot be asked, its last set is good for so long."""
PAUSE_SECONDS: Final = 5.0
"""Between two fetches, however many tokens name keys that do not exist."""
LOOPBACK: Final = frozenset({"127.0.0.1", "::1", "localhost"})

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

    def look(self, issuer: str) -> str | None:
        """Why the keys of `issuer` cannot be fetched, as of the last time; None if they can.

        It is asked again behind our back if that was long ago.
        """
        fetched = self._fetched.get(issuer)
        return None if fetched is None else fetched.look()


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
        if one.get("use") == "enc":
            continue  # nothing is signed with it
        if key.key_id is not None and key.key_type != "oct":
            found[key.key_id] = key
    return found


class _FetchedKeys:
    def __init__(self, issuer: Issuer, pause_seconds: float) -> None:
        self._issuer = issuer
        self._pause = pause_seconds
        self._keys: KeyByKid = {}
        self._fetched = self._tried = float("-inf")
        self._why_not: str | None = None
        self._fetching = asyncio.Lock()
        self._behind: asyncio.Task[None] | None = None

    async def key(self, kid: str) -> jwt.PyJWK | None:
        if self._why_not is not None and kid in self._keys:
            self.look()  # nobody who has a good token waits for an issuer that does not answer
        elif not self._is_fresh or kid not in self._keys:
            await self._fetch_once(kid)
        key = self._keys.get(kid)
        # A key that is not known may be one that the issuer has made meanwhile.
        is_lost = self._why_not is not None and key is None
        if is_lost or time.monotonic() - self._fetched > KEPT_SECONDS:
            raise Refused(Reason.KEYS_UNREACHABLE)
        return key

    def look(self) -> str | None:
        is_good = self._why_not is None and self._is_fresh
        if not is_good and (self._behind is None or self._behind.done()):
            self._behind = asyncio.create_task(self._fetch_once(None), name="keys of an issuer")
        return self._why_not

    async def _fetch_once(self, kid: str | None) -> None:
        """Fetch, unless somebody else has done so for `kid`, or anybody a moment ago."""
        async with self._fetching:
            is_paused = time.monotonic() - self._tried <= self._pause
            is_done = self._is_fresh and self._why_not is None and kid in (None, *self._keys)
            if not is_paused and not is_done:
                await self._fetch()

    @property
    def _is_fresh(self) -> bool:
        return time.monotonic() - self._fetched <= FRESH_SECONDS

    async def _fetch(self) -> None:
        self._tried = time.monotonic()
        try:
            self._keys = key_by_kid(await self._get())
        except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            self._why_not = str(error) or type(error).__name__
            log.warning(
                "keys of an issuer unreachable",
                extra={"issuer": self._issuer.issuer, "error": repr(error)},
            )
        else:
            self._why_not = None
            self._fetched = time.monotonic()

    async def _get(self) -> dict[str, Any]:
        one = self._issuer
        url = one.jwks_url or await _discovered(one)
        return await fetch_object(url, one.ca_file, one.token_file, ca=one.ca)


async def _discovered(issuer: Issuer) -> str:
    """Where an issuer says that its keys are.

    Raises:
        httpx.HTTPError, OSError: it cannot be asked.
        ValueError: it is another issuer, or its keys are where anybody could replace them.

    Source:
        OpenID Connect Discovery 1.0, sections 4 and 4.3.
    """
    where = discovery_url(issuer.issuer)
    told = await fetch_object(where, issuer.ca_file, None, ca=issuer.ca)
    if told.get("issuer") != issuer.issuer:
        raise ValueError(f"{where} is of the issuer {told.get('issuer')!r}; name that one")
    url = told.get("jwks_uri")
    if not isinstance(url, str) or not is_safe(url):
        raise ValueError(f"{where} names no jwks_uri that begins with https://")
    return url


def discovery_url(issuer: str) -> str:
    """Where an issuer tells what there is of it.

    Source:
        OpenID Connect Discovery 1.0, section 4.
    """
    return f"{issuer.removesuffix('/')}/.well-known/openid-configuration"


def is_safe(url: str) -> bool:
    """Whether nobody on the way can change what this address answers: https, or this machine."""
    parts = urlsplit(url)
    return parts.scheme == "https" or (parts.scheme == "http" and parts.hostname in LOOPBACK)
