"""Which workload a JWT is of: a token of its ServiceAccount, or an SVID."""

import time
from dataclasses import dataclass, replace
from typing import Final

from runtime.contract.spiffe import SCHEME, SpiffeId
from runtime.contract.subjects import token as safe_token
from runtime.contract.value import ObjectName
from runtime.identity.tokens import Keys, Reason, Refused, expiry, proved

_SUBJECT: Final = "system:serviceaccount:"


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a token proves to be at the other end; `expires` in seconds since the epoch.

    Shape:
        spiffe_id  that an SVID proves; None for a token of the ServiceAccount.
    """

    service_account: ObjectName
    expires: float
    spiffe_id: str | None = None

    @property
    def who(self) -> str:
        """The subject, as the audit log names it."""
        return self.spiffe_id or str(self.service_account)


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
        subject = str(claims["sub"])
        is_svid = subject.startswith(SCHEME)
        account = _svid_account(subject) if is_svid else _service_account(subject)
        identity = Identity(account, 0.0, subject if is_svid else None)
        expires = expiry(claims, identity.who, time.time() if now is None else now)
        return replace(identity, expires=expires)


def _svid_account(subject: str) -> ObjectName:
    """The ServiceAccount that the workload with this SPIFFE ID runs as."""
    try:
        account = SpiffeId.parse(subject).service_account
        return ObjectName(namespace=safe_token(account.namespace), name=safe_token(account.name))
    except ValueError as error:
        raise Refused(Reason.NO_WORKLOAD, subject) from error


def _service_account(subject: str) -> ObjectName:
    """The ServiceAccount in a `sub` claim: `system:serviceaccount:<namespace>:<name>`."""
    if not subject.startswith(_SUBJECT):
        raise Refused(Reason.NO_SERVICE_ACCOUNT)
    namespace, _, name = subject.removeprefix(_SUBJECT).partition(":")
    try:
        return ObjectName(namespace=safe_token(namespace), name=safe_token(name))
    except ValueError as error:
        raise Refused(Reason.NO_SERVICE_ACCOUNT) from error
