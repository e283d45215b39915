"""The keys of the transaction token service: given, or fetched and kept for a while.

Source:
    RFC 7517 (JWK set); draft-ietf-oauth-transaction-tokens-10, section 13.11 (rotation).
"""

import json
import ssl
import threading
import time
import urllib.request
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any, Final

import jwt

from runtime.contract.txn_token import ALGORITHM
from runtime.verify.refusals import KeysAway

FRESH_SECONDS: Final = 300.0
"""A key that was taken back is refused afterwards."""
KEPT_SECONDS: Final = 3600.0
"""While the service cannot be asked, what it said last is good for so long."""
PAUSE_SECONDS: Final = 5.0
"""Between two fetches, however many tokens name keys that do not exist."""
FETCH_SECONDS: Final = 5.0


class KeySet:
    """The JWK set at an address; from any thread, one fetch at a time.

    Shape:
        url      `https://…/jwks` of the service; `http://` only to this very machine.
        context  for TLS, if the authority that vouches for the service is one of your own.

    Raises:
        ValueError: on making one, when the address is neither.
    """

    def __init__(
        self,
        url: str,
        *,
        context: ssl.SSLContext | None = None,
        pause_seconds: float = PAUSE_SECONDS,
    ) -> None:
        if not url.startswith(("https://", "http://")):  # and no file
            raise ValueError(f"{url} is no http(s) address of a JWK set")
        self._url = url
        self._context = context
        self._pause = pause_seconds
        self._lock = threading.Lock()
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched = self._tried = float("-inf")
        self._ahead = 0.0

    @property
    def ahead_seconds(self) -> float:
        """How far this machine's clock is ahead of the service's, to the second; 0 if unknown."""
        return self._ahead

    def key(self, kid: str) -> jwt.PyJWK | None:
        """The key of that name, None if there is none; may ask the service, and blocks meanwhile.

        Raises:
            KeysAway: the service was not reached for long.
        """
        if not self.has(kid):
            with self._lock:
                if not self.has(kid) and time.monotonic() - self._tried > self._pause:
                    self._fetch()
        if time.monotonic() - self._fetched > KEPT_SECONDS:
            raise KeysAway(f"the keys at {self._url} cannot be fetched")
        return self._keys.get(kid)

    def has(self, kid: str) -> bool:
        """Whether `key` can say without asking."""
        return kid in self._keys and time.monotonic() - self._fetched <= FRESH_SECONDS

    def _fetch(self) -> None:
        self._tried = time.monotonic()
        try:
            with urllib.request.urlopen(  # noqa: S310 - the scheme was looked at
                self._url, timeout=FETCH_SECONDS, context=self._context
            ) as response:
                self._keys = read_keys(json.load(response))
                said = parsedate_to_datetime(response.headers["Date"]).timestamp()
        except (OSError, ValueError, TypeError):
            return  # what was fetched before is good for a while
        self._ahead = time.time() - said
        self._fetched = time.monotonic()


class GivenKeys:
    """A JWK set that is known already; a rotation of the keys makes it useless."""

    ahead_seconds = 0.0

    def __init__(self, jwks: Mapping[str, Any]) -> None:
        self._keys = read_keys(jwks)

    def key(self, kid: str) -> jwt.PyJWK | None:
        """The key of that name, None if there is none."""
        return self._keys.get(kid)

    def has(self, kid: str) -> bool:
        """It always can say."""
        del kid
        return True


def read_keys(jwks: Mapping[str, Any]) -> dict[str, jwt.PyJWK]:
    """The keys of a set that transaction tokens can be signed with, by their names.

    Raises:
        ValueError: it is no JWK set.
    """
    found: dict[str, jwt.PyJWK] = {}
    try:
        for one in jwks["keys"]:
            if one.get("kty") == "EC" and one.get("alg", ALGORITHM) == ALGORITHM:
                found[str(one["kid"])] = jwt.PyJWK.from_dict(one, ALGORITHM)
    except (jwt.PyJWTError, AttributeError, KeyError, TypeError) as error:
        raise ValueError("this is no JWK set") from error
    return found
