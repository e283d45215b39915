"""Who gets which grant and which transaction token: the rules, and nothing else. Pure.

    a user's access token ── server ──▶ grant for a task
    grant for a task ────── its agent ──▶ transaction token (act: the agent, then who asked it)
    transaction token ───── its agent ──▶ grant for a call of a tool, or for a task of another agent
    grant for a call ─────── its tool ──▶ transaction token (act: the agent that calls)
    transaction token ─── its workload ─▶ transaction token with a narrower scope

Whatever a grant goes through, `txn`, `sub` and the transaction context stay, and the scope only
narrows: a token that is had for a grant, which was had for a token, is a replacement of the latter.

Source:
    draft-ietf-oauth-transaction-tokens-10, sections 6, 11.3 and 13; RFC 8693, sections 2.2.2 (which
    error) and 4.1; RFC 6749, section 5.2.
"""

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final, Self

from runtime.contract.keys import ASKED, asked_task
from runtime.contract.spiffe import SpiffeId, WorkloadKind
from runtime.contract.subjects import pair
from runtime.contract.trust_config import Role, TokenRules, Workload
from runtime.contract.txn_token import (
    CLOCK_SECONDS,
    Grant,
    Transaction,
    TxnToken,
    Work,
)
from runtime.contract.value import ObjectName

_KIND_BY_ROLE: Final = {
    Role.AGENT: WorkloadKind.AGENT,
    Role.TOOL: WorkloadKind.TOOL,
    Role.SERVER: WorkloadKind.STACK,
    Role.DISPATCHER: WorkloadKind.DISPATCHER,
}
MAX_REPLACEMENTS: Final = 3
SHOWN: Final = 40
"""Characters of a value that somebody has sent: a whole token is never repeated."""


class Error(StrEnum):
    """The `error` of an OAuth error response: RFC 6749, section 5.2; RFC 8693, section 2.2.2.

    That nobody can say at the moment is an error which RFC 6749 has for another endpoint (section
    4.1.2.1); here it comes with the status 503.
    """

    INVALID_REQUEST = "invalid_request"
    INVALID_CLIENT = "invalid_client"
    INVALID_SCOPE = "invalid_scope"
    INVALID_TARGET = "invalid_target"
    UNSUPPORTED_GRANT_TYPE = "unsupported_grant_type"
    TEMPORARILY_UNAVAILABLE = "temporarily_unavailable"


class NotIssued(Exception):
    """No token; the message is a sentence for whoever asked, and for the audit log.

    Shape:
        error  `invalid_request` also when the subject token is not valid, or not to be used by this
               workload: RFC 8693 has it so, where RFC 6749 would say `invalid_grant`.
    """

    def __init__(self, error: Error, why: str) -> None:
        super().__init__(why)
        self.error = error


@dataclass(frozen=True, slots=True)
class Subject:
    """A user, as the issuer of the Stack vouches for him.

    Shape:
        scope  what his token allows; None if it does not say.

    Units:
        `expires` in seconds since the epoch.
    """

    sub: str
    issuer: str
    scope: tuple[str, ...] | None
    expires: float


@dataclass(frozen=True, slots=True)
class Requester:
    """A workload that has proved who it is, and what it is in one Stack."""

    id: str
    stack: ObjectName
    workload: Workload

    @classmethod
    def of(cls, stack: ObjectName, workload: Workload, trust_domain: str) -> Self:
        """The requester by its name in tokens."""
        return cls(_id(trust_domain, workload.role, workload.name), stack, workload)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What a request wants beside the kind of token.

    Shape:
        scope    None: all that the subject token has, which a transaction token may not want.
        work     the task or call; for a grant of a call its key in `effects`.
        agent    for whom a grant is to be, or
        tool     for whom it is to be.

    Units:
        `expires` in seconds since the epoch: when a grant is to end, at the latest.
    """

    scope: tuple[str, ...] | None = None
    work: Work | None = None
    agent: ObjectName | None = None
    tool: ObjectName | None = None
    expires: float | None = None


@dataclass(frozen=True, slots=True)
class Mint:
    """What makes one token differ from all others.

    Units:
        `now` in seconds since the epoch.
    """

    now: float
    id: str


def task_grant(
    subject: Subject, requester: Requester, wanted: Wanted, rules: TokenRules, mint: Mint
) -> Grant:
    """The grant for a task of a user; it begins a transaction, whose `txn` is the grant's id.

    Raises:
        NotIssued: the requester is no server, the user's token does not carry it, or the request
            lacks something.
    """
    if requester.workload.role is not Role.SERVER:
        raise NotIssued(
            Error.INVALID_REQUEST,
            f"{requester.id} is no server: it may not ask on behalf of a user",
        )
    if not mint.now < subject.expires:  # section 6: never for what has expired
        raise NotIssued(Error.INVALID_REQUEST, "the subject token has expired")
    if subject.scope is None:  # section 13.14: an unknown scope is never an unlimited one
        raise NotIssued(Error.INVALID_SCOPE, "the subject token does not say what its scope is")
    if wanted.agent is None:
        raise NotIssued(Error.INVALID_REQUEST, "request_details names no agent")
    work = _named(wanted)
    transaction = Transaction(
        txn=mint.id,
        sub=subject.sub,
        issuer=subject.issuer,
        stack=str(requester.stack),
        work=work,
    )
    return Grant(
        transaction=transaction,
        work=work,
        scope=_narrowed(wanted.scope, subject.scope),
        act=(),
        may_act=_id(rules.trust_domain, Role.AGENT, wanted.agent),
        req_wl=requester.id,
        service=rules.service,
        jti=mint.id,
        issued_at=int(mint.now),
        expires=_grant_end(wanted, rules, mint.now),
    )


def call_grant(
    token: TxnToken, requester: Requester, wanted: Wanted, rules: TokenRules, mint: Mint
) -> Grant:
    """The grant for a call of a tool, or for the task that a call of an agent becomes.

    Raises:
        NotIssued: the token is another workload's or has expired, the agent may not call that, the
            call is none of the task that the token is for, or the chain would be too long or bite
            its own tail.
    """
    _check_own(token, requester, mint.now)
    callee, work = _callee(token, requester, wanted, rules)
    return Grant(
        transaction=token.transaction,
        work=work,
        scope=_narrowed(wanted.scope, token.scope),
        act=token.act,
        may_act=callee,
        req_wl=requester.id,
        service=rules.service,
        jti=mint.id,
        issued_at=int(mint.now),
        expires=_grant_end(wanted, rules, mint.now),
    )


def txn_token(
    grant: Grant, requester: Requester, wanted: Wanted, rules: TokenRules, mint: Mint
) -> TxnToken:
    """The transaction token that a workload gets for the grant of its work.

    An agent acts for the user from here on, so it is put before those that act already; a tool does
    not act, it is what they act upon.

    Raises:
        NotIssued: the grant is another workload's, has expired or is for other work, its scope is
            narrower, or the chain would be too long or bite its own tail.
    """
    if grant.may_act != requester.id:
        raise NotIssued(Error.INVALID_REQUEST, "the grant is for another workload")
    _check_time("grant", grant.issued_at, grant.expires, mint.now)
    work = _named(wanted)
    if work != grant.work:
        differs = "task or call" if work.id != grant.work.id else "input or arguments"
        raise NotIssued(Error.INVALID_REQUEST, f"the grant is for another {differs}")
    act = grant.act
    if requester.workload.role is Role.AGENT:
        _check_chain(requester.id, act, rules)
        act = (requester.id, *act)
    return TxnToken(
        transaction=grant.transaction,
        scope=_narrowed(_asked_for(wanted), grant.scope),
        act=act,
        req_wl=requester.id,
        work=work,
        trust_domain=rules.trust_domain,
        issuer=rules.service,
        jti=mint.id,
        issued_at=int(mint.now),
        expires=int(min(mint.now + rules.token_seconds, grant.expires)),
    )


def replacement(token: TxnToken, requester: Requester, wanted: Wanted, mint: Mint) -> TxnToken:
    """A token with a narrower scope, for the workload that has the wider one; it ends no later.

    Raises:
        NotIssued: the token is another workload's, has expired or was replaced too often, or the
            scope is no narrower one.

    Source:
        Draft, section 13.15. As the new one does not outlive the old one, nothing is extended; the
        limit is there all the same.
    """
    _check_own(token, requester, mint.now)
    if token.replacements >= MAX_REPLACEMENTS:
        raise NotIssued(
            Error.INVALID_REQUEST, f"the token was replaced {MAX_REPLACEMENTS} times already"
        )
    if wanted.work not in {None, token.work} or wanted.agent or wanted.tool:
        raise NotIssued(
            Error.INVALID_REQUEST, "a replacement has a narrower scope and nothing else that is new"
        )
    return replace(
        token,
        scope=_narrowed(_asked_for(wanted), token.scope),
        jti=mint.id,
        issued_at=int(mint.now),
        replacements=token.replacements + 1,
    )


def _check_own(token: TxnToken, requester: Requester, now: float) -> None:
    """A token is context, no credential (section 13.12): who holds it must be who it was for."""
    if token.req_wl != requester.id:
        raise NotIssued(Error.INVALID_REQUEST, "the token was minted for another workload")
    _check_time("token", token.issued_at, token.expires, now)


def _check_time(what: str, issued_at: float, expires: float, now: float) -> None:
    if not now < expires:
        raise NotIssued(Error.INVALID_REQUEST, f"the {what} has expired")
    if issued_at > now + CLOCK_SECONDS:
        raise NotIssued(Error.INVALID_REQUEST, f"clock: the {what} is of the future")


def _check_chain(agent: str, act: tuple[str, ...], rules: TokenRules) -> None:
    if agent in act:
        raise NotIssued(Error.INVALID_REQUEST, f"loop: {agent} is in the chain already")
    if len(act) >= rules.max_hops:
        raise NotIssued(
            Error.INVALID_REQUEST,
            f"the chain has {len(act)} agents already, and no more than {rules.max_hops} may act",
        )


def _callee(
    token: TxnToken, requester: Requester, wanted: Wanted, rules: TokenRules
) -> tuple[str, Work]:
    """Who may trade the grant of a call, and the work that it is for."""
    workload, call = requester.workload, _named(wanted)
    own = f"{pair(workload.name)}.{token.work.id}."
    match wanted:
        case Wanted(tool=ObjectName() as tool, agent=None) if tool in workload.calls:
            _check_key(call, f"{pair(tool)}.{own}")
            return _id(rules.trust_domain, Role.TOOL, tool), call
        case Wanted(agent=ObjectName() as agent, tool=None) if agent in workload.asks:
            _check_key(call, f"{agent.namespace}.{ASKED}{agent.name}.{own}")
            name = _id(rules.trust_domain, Role.AGENT, agent)
            _check_chain(name, token.act, rules)
            return name, Work(asked_task(call.id), call.digest)
        case Wanted(tool=None, agent=None):
            raise NotIssued(Error.INVALID_REQUEST, "request_details names neither tool nor agent")
        case _:
            raise NotIssued(
                Error.INVALID_REQUEST,
                f"the spec of {requester.id} does not name {wanted.tool or wanted.agent}, or a "
                "policy denies it",
            )


def _check_key(call: Work, begins: str) -> None:
    """A call is of the very task that the token is for, whatever else its agent works on."""
    if not call.id.startswith(begins):
        raise NotIssued(Error.INVALID_REQUEST, "the call is none of the task of this token")


def _id(trust_domain: str, role: Role, name: ObjectName) -> str:
    return str(SpiffeId(trust_domain=trust_domain, kind=_KIND_BY_ROLE[role], owner=name))


def _named(wanted: Wanted) -> Work:
    if wanted.work is None:
        raise NotIssued(Error.INVALID_REQUEST, "request_details lacks work or digest")
    return wanted.work


def _asked_for(wanted: Wanted) -> tuple[str, ...]:
    """The scope of a transaction token has to be asked for (section 11.1); a grant's need not."""
    if not wanted.scope:
        raise NotIssued(Error.INVALID_REQUEST, "scope is missing")
    return wanted.scope


def _narrowed(wanted: tuple[str, ...] | None, held: tuple[str, ...]) -> tuple[str, ...]:
    """What is wanted, if it is contained in what the subject token has (section 13.6)."""
    scope = held if wanted is None else wanted
    if not scope:
        raise NotIssued(Error.INVALID_SCOPE, "there is no scope left")
    if beyond := [value for value in scope if value not in held]:
        named = ", ".join(value[:SHOWN] for value in beyond[:3])
        raise NotIssued(Error.INVALID_SCOPE, f"the subject token does not have {named}")
    return scope


def _grant_end(wanted: Wanted, rules: TokenRules, now: float) -> int:
    latest = now + rules.grant_seconds
    end = latest if wanted.expires is None else min(wanted.expires, latest)
    if not end > now:
        raise NotIssued(Error.INVALID_REQUEST, "the grant would have expired by now")
    return int(end)
