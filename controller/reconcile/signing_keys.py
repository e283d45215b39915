"""The keys of the transaction token service: made once, rotated for ever."""

import asyncio
import logging
import time
from typing import Final

from controller.desired.signing_keys import Make, desired_keys
from controller.errors import ReconcileError
from controller.ports import KeyStore
from runtime.contract.signing_keys import SigningKeys

log = logging.getLogger(__name__)

LOOK_SECONDS: Final = 60.0


async def keep_signing_keys(store: KeyStore, make: Make) -> None:
    """Bring the keys in step with the time, again and again; what goes wrong is tried again."""
    while True:
        try:
            await reconcile_signing_keys(store, make, time.time())
        except (ReconcileError, OSError, ValueError) as error:
            log.warning("signing keys not looked after", extra={"error": str(error)})
        await asyncio.sleep(LOOK_SECONDS)


async def reconcile_signing_keys(store: KeyStore, make: Make, now: float) -> None:
    """Make, announce and take away keys as it is time to; `now` in seconds since the epoch.

    Raises:
        ReconcileError, OSError: they cannot be read or written.
        ValueError: what is there are no keys; nobody but a person should throw them away.
    """
    text = await store.read()
    keys = None if text is None else _read(text)
    wanted = desired_keys(keys, make, now)
    if wanted != keys:
        await store.write(wanted.encode().decode())
        log.info("signing keys", extra={"keys": [key.kid for key in wanted.keys]})


def _read(text: str) -> SigningKeys:
    try:
        return SigningKeys.decode(text)
    except ValueError:
        # Not the error itself: it repeats what it could not read.
        raise ValueError("signing.json of the trust plane's keys cannot be read") from None
