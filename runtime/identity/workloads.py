"""Which workload a JWT is of: a projected ServiceAccount token, or one of the local issuer."""

import time
from dataclasses import dataclass
from typing import Final

from runtime.contract.subjects import token as safe_token
from runtime.contract.value import ObjectName
from runtime.identity.tokens import Keys, Reason, Refused, expiry, proved

_SUBJECT: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token proves to be at the other end; `expires` in seconds since the epoch."""

    service_account: ObjectName
    expires: float


class WorkloadVerifier:
    """Verifies the tokens of workloads for one audience."""

    def __init__(self, keys: Keys, audience: str) -> None:
        self._keys = keys
        self._audience = audience

    async def identity(self, token: str, now: float | None = None) -> Identity:
        """Whose `token` is; `now` in seconds since the epoch.

        Raises:
            Refused: it proves no workload's identity.
        """
        claims = (await proved(token, self._keys, self._audience)).claims
        service_account = _service_account(claims["sub"])
        expires = expiry(claims, str(service_account), time.time() if now is None else now)
        return Identity(service_account, expires)


def _service_account(subject: object) -> ObjectName:
    """The ServiceAccount in a `sub` claim: `system:serviceaccount:<namespace>:<name>`."""
    if not isinstance(subject, str) or not subject.startswith(_SUBJECT):
        raise Refused(Reason.NO_SERVICE_ACCOUNT)
    namespace, _, name = subject.removeprefix(_SUBJECT).partition(":")
    try:
        return ObjectName(namespace=safe_token(namespace), name=safe_token(name))
    except ValueError as error:
        raise Refused(Reason.NO_SERVICE_ACCOUNT) from error
