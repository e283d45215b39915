"""Which keys sign grants and transaction tokens: made, announced, used, taken away."""

from collections.abc import Callable
from typing import Final

from runtime.contract.signing_keys import SigningKey, SigningKeys
from runtime.contract.trust_config import LONGEST_GRANT_SECONDS

ROTATE_SECONDS: Final = 30 * 86400.0
"""For so long a key signs."""
AHEAD_SECONDS: Final = 600.0
"""For so long a new key is only published: until every replica has read the Secret, which may take
a mounted one two minutes, and whoever verifies has asked for the keys again."""
OVERLAP_SECONDS: Final = LONGEST_GRANT_SECONDS + AHEAD_SECONDS
"""For so long a key that does not sign any more is published: until all it has signed has ended."""

type Make = Callable[[float], SigningKey]
"""A new key that signs from a moment on."""


def desired_keys(keys: SigningKeys | None, make: Make, now: float) -> SigningKeys:
    """The keys that there should be at `now`, in seconds since the epoch; `keys` if all is well.

    The first key of an installation signs at once, since nothing was signed before it.
    """
    if keys is None:
        return SigningKeys(keys=(make(now),))
    kept = _published(keys.keys, now)
    newest = kept[-1]
    if newest.signs_from + ROTATE_SECONDS <= now:
        kept = (*kept, make(now + AHEAD_SECONDS))
    return keys if kept == keys.keys else SigningKeys(keys=kept)


def _published(keys: tuple[SigningKey, ...], now: float) -> tuple[SigningKey, ...]:
    """Without those whose successor has signed for the whole overlap."""
    successors = keys[1:]
    old = sum(one.signs_from + OVERLAP_SECONDS <= now for one in successors)
    return keys[old:]
