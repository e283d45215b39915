"""Which run a request with an `Idempotency-Key` has become: written once, and kept as runs are.

Source:
    draft-ietf-httpapi-idempotency-key-header-07.
"""

from runtime.contract.value import Versioned
from runtime.transport.port import KeyExists, Store


class Claim(Versioned):
    """What stands under one key of one user.

    Shape:
        task    the task that the first request with this key is, or will be.
        digest  of that request, in hexadecimal: another one may not use its key.

    Units:
        created  seconds since the epoch: of the task, whoever accepts it.
    """

    task: str
    digest: str
    created: float


class Claims:
    """The claims of a Stack, in its bucket `runs`; their keys are `subjects.claim_key`.

    Raises:
        TransportError: any method, when the queue did not do it. All of them may be repeated.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def make(self, key: str, claim: Claim) -> Claim:
        """The claim that stands: `claim`, or that of the request which came first."""
        while True:
            try:
                await self._store.create(key, claim.encode())
            except KeyExists:
                if (entry := await self._store.get(key)) is not None:
                    return Claim.decode(entry.value)
            else:
                return claim

    async def release(self, key: str) -> None:
        """Let the key be used again: its request was refused, or its run is forgotten."""
        await self._store.delete(key)
