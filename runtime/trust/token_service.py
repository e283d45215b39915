"""The transaction token service: who asks, for whom, and one line in the audit log for each answer.

Source:
    draft-ietf-oauth-transaction-tokens-10, sections 10, 11.3 to 11.5 and 15.2 (logging: never a
    token).
"""

import logging
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from runtime.contract.trust_config import TokenRules, Workload
from runtime.contract.txn_token import (
    ACCESS_TOKEN,
    GRANT,
    GRANT_TYPE,
    TXN_TOKEN,
    TYPE,
    Grant,
    Transaction,
    TxnToken,
)
from runtime.contract.value import ObjectName
from runtime.identity.tokens import Reason, Refused
from runtime.identity.workloads import Identity, WorkloadVerifier
from runtime.trust.issue import (
    Error,
    Mint,
    NotIssued,
    Requester,
    Subject,
    call_grant,
    replacement,
    task_grant,
    txn_token,
)
from runtime.trust.signing import TokenSigner
from runtime.trust.subjects import Subjects
from runtime.trust.token_request import TokenRequest, read_assertion, read_form, read_request

audit = logging.getLogger("k8gentai.audit")

NOT_A_KIND: Final = "N_A"
"""The `token_type` of what is no access token (RFC 8693, section 2.2.1)."""

NOBODY_CAN_SAY: Final = frozenset(
    {Reason.KEYS_UNREACHABLE, Reason.POLICY_UNREADABLE, Reason.UNKNOWN_STACK}
)
"""For now: the same request may be granted a moment later."""

type FindWorkload = Callable[[ObjectName, Identity], Awaitable[Workload]]
"""What somebody is in a Stack; `Refused` if it is nothing there."""


class Current(Protocol):
    """What holds at the moment; it changes with configuration and keys."""

    @property
    def rules(self) -> TokenRules:
        """How tokens are made."""
        ...

    @property
    def signer(self) -> TokenSigner:
        """The keys."""
        ...

    @property
    def clients(self) -> WorkloadVerifier:
        """Whose client assertions count."""
        ...

    @property
    def subjects(self) -> Subjects:
        """The users."""
        ...


@dataclass(slots=True)
class _Told:
    """What is known of a request by the time it is answered, for the audit log."""

    who: str | None = None
    stack: ObjectName | None = None
    transaction: Transaction | None = None
    work: str | None = None
    kind: str | None = None


class TokenService:
    """Answers requests for tokens.

    Shape:
        workload  finds out what a ServiceAccount is in a Stack.
    """

    def __init__(self, current: Callable[[], Current], workload: FindWorkload) -> None:
        self._current = current
        self._workload = workload

    def jwks(self) -> dict[str, Any]:
        """The public keys."""
        return self._current().signer.jwks()

    async def answer(self, body: bytes, now: float | None = None) -> dict[str, Any]:
        """The JSON that answers a form; `now` in seconds since the epoch.

        Raises:
            NotIssued: there is no token.
        """
        exchange = _Exchange(self._current(), self._workload, time.time() if now is None else now)
        try:
            answer = await exchange.answer(body)
        except NotIssued as error:
            exchange.audit("refused", f"{error.error}: {error}")
            raise
        exchange.audit("minted", "allowed")
        return answer


@dataclass(slots=True)
class _Exchange:
    """One request."""

    current: Current
    find: FindWorkload
    now: float
    told: _Told = field(default_factory=_Told)

    async def answer(self, body: bytes) -> dict[str, Any]:
        form = read_form(body)
        client = await self._client(read_assertion(form))
        request = read_request(form, self.current.rules.trust_domain)
        self.told.kind = "grant" if request.requested_token_type == GRANT else "transaction token"
        self.told.work = request.wanted.work.id if request.wanted.work else None
        minted = await self._minted(request, client)
        is_grant = isinstance(minted, Grant)
        self.told.transaction, self.told.work = minted.transaction, minted.work.id
        typ = GRANT_TYPE if is_grant else TYPE
        return {
            "access_token": self.current.signer.sign(typ, minted.claims(), self.now),
            "issued_token_type": GRANT if is_grant else TXN_TOKEN,
            "token_type": NOT_A_KIND,
            "expires_in": int(minted.expires - self.now),
            "scope": " ".join(minted.scope),
        }

    async def _client(self, assertion: str) -> Identity:
        try:
            identity = await self.current.clients.identity(assertion, self.now)
        except Refused as refused:
            self.told.who = refused.who
            raise _not_issued(refused, Error.INVALID_CLIENT, "client_assertion") from refused
        self.told.who = identity.who
        return identity

    async def _minted(self, request: TokenRequest, client: Identity) -> Grant | TxnToken:
        rules, wanted = self.current.rules, request.wanted
        mint = Mint(self.now, uuid.uuid4().hex)
        if request.subject_token_type == ACCESS_TOKEN:
            if request.stack is None:
                raise NotIssued(Error.INVALID_REQUEST, "request_details names no stack")
            requester = await self._requester(client, request.stack)
            subject = await self._subject(requester.stack, request.subject_token)
            return task_grant(subject, requester, wanted, rules, mint)
        if request.subject_token_type == GRANT:
            grant = self._own(GRANT_TYPE, Grant.of, request.subject_token)
            if grant.service != rules.service:
                raise NotIssued(Error.INVALID_REQUEST, "subject_token: for another service")
            requester = await self._on_behalf(client, grant.transaction)
            return txn_token(grant, requester, wanted, rules, mint)
        token = self._own(TYPE, TxnToken.of, request.subject_token)
        if token.trust_domain != rules.trust_domain:
            raise NotIssued(Error.INVALID_REQUEST, "subject_token: another trust domain's")
        requester = await self._on_behalf(client, token.transaction)
        if request.requested_token_type == GRANT:
            return call_grant(token, requester, wanted, rules, mint)
        return replacement(token, requester, wanted, mint)

    async def _subject(self, stack: ObjectName, token: str) -> Subject:
        try:
            return await self.current.subjects.subject(stack, token, self.now)
        except Refused as refused:
            raise _not_issued(refused, Error.INVALID_REQUEST, "subject_token") from refused

    def _own[T: (Grant, TxnToken)](
        self, typ: str, read: Callable[[dict[str, Any]], T], token: str
    ) -> T:
        try:
            return read(self.current.signer.claims(typ, token))
        except ValueError as error:  # `NotOurs`, or a claim is missing
            raise NotIssued(Error.INVALID_REQUEST, f"subject_token: {error}") from error

    async def _on_behalf(self, client: Identity, transaction: Transaction) -> Requester:
        """The requester in the Stack of a transaction whose user may still act."""
        self.told.transaction = transaction
        namespace, _, name = transaction.stack.partition("/")
        stack = ObjectName(namespace=namespace, name=name)
        requester = await self._requester(client, stack)
        subjects = self.current.subjects
        if not await subjects.is_enabled(stack, transaction.issuer, transaction.sub):
            raise NotIssued(Error.INVALID_REQUEST, "the user may not act any more")
        return requester

    async def _requester(self, client: Identity, stack: ObjectName) -> Requester:
        self.told.stack = stack
        try:
            workload = await self.find(stack, client)
        except Refused as refused:
            # Not the fault of what it shows: work that waits for it is not to be thrown away.
            where = f"{client.who} in the Stack {stack}"
            raise _not_issued(refused, Error.INVALID_CLIENT, where) from refused
        requester = Requester.of(stack, workload, self.current.rules.trust_domain)
        self.told.who = requester.id
        return requester

    def audit(self, what: str, reason: str) -> None:
        """One line for one request; nothing in it opens anything."""
        told, transaction = self.told, self.told.transaction
        audit.log(
            logging.INFO if what == "minted" else logging.WARNING,
            "%s %s",
            told.kind or "token",
            what,
            extra={
                "stack": str(told.stack) if told.stack else None,
                "who": told.who,
                "what": what,
                "reason": reason,
                "txn": transaction.txn if transaction else None,
                "sub": transaction.sub if transaction else None,
                "work": told.work,
            },
        )


def _not_issued(refused: Refused, error: Error, what: str) -> NotIssued:
    """`error`, unless it is that nobody can say."""
    unknown = refused.reason in NOBODY_CAN_SAY
    return NotIssued(
        Error.TEMPORARILY_UNAVAILABLE if unknown else error, f"{what}: {refused.reason}"
    )
