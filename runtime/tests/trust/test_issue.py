"""The rules of grants and transaction tokens; sections are those of the draft, version 10."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from runtime.contract.keys import ask_key, asked_task, effect_key
from runtime.contract.trust_config import Role, TokenRules, Workload
from runtime.contract.txn_token import Grant, TxnToken, Work, digest
from runtime.contract.value import ObjectName
from runtime.trust.issue import (
    MAX_REPLACEMENTS,
    Mint,
    NotIssued,
    Requester,
    Subject,
    Wanted,
    call_grant,
    replacement,
    task_grant,
    txn_token,
)

NOW = 1_800_000_000.0
DOMAIN = "example.org"
STACK = ObjectName(namespace="team", name="default")
RULES = TokenRules(
    service="spiffe://example.org/tokens", trust_domain=DOMAIN, grant_seconds=3600, max_hops=3
)
USER = Subject("ada", "https://issuer.example", ("sums", "mail"), NOW + 300)
TASK = Work("f00d", digest("what is 1 + 2"))
ADD = ObjectName(namespace="team", name="add")


def named(name: str) -> ObjectName:
    return ObjectName(namespace="team", name=name)


def workload(role: Role, name: str, **other: Any) -> Requester:
    return Requester.of(STACK, Workload(role=role, name=named(name), **other), DOMAIN)


def an_agent(name: str, *asks: str) -> Requester:
    return workload(Role.AGENT, name, calls=(ADD,), asks=tuple(map(named, asks)))


SERVER = workload(Role.SERVER, "default")
A = an_agent("a", "b")
B = an_agent("b", "a", "c")
TOOL = workload(Role.TOOL, "add")


def mint(now: float = NOW, name: str = "id") -> Mint:
    return Mint(now, name)


def granted(subject: Subject = USER, requester: Requester = SERVER, **wanted: Any) -> Grant:
    asked = replace(Wanted(work=TASK, agent=named("a")), **wanted)
    return task_grant(subject, requester, asked, RULES, mint(name="txn-1"))


def traded(grant: Grant, requester: Requester = A, *, now: float = NOW, **wanted: Any) -> TxnToken:
    asked = replace(Wanted(work=grant.work, scope=grant.scope), **wanted)
    return txn_token(grant, requester, asked, RULES, mint(now))


def tool_call(task: Work = TASK, caller: str = "a") -> Work:
    return Work(effect_key(ADD, named(caller), task.id, 7, 0), digest(["add", {"a": 1}]))


def called(token: TxnToken, requester: Requester = A, **wanted: Any) -> Grant:
    asked = replace(Wanted(work=tool_call(), tool=ADD), **wanted)
    return call_grant(token, requester, asked, RULES, mint())


def asking(token: TxnToken, requester: Requester, other: str) -> Grant:
    caller = requester.workload.name
    call = Work(ask_key(named(other), caller, token.work.id, 7, 0), digest("say"))
    asked = Wanted(work=call, agent=named(other))
    return call_grant(token, requester, asked, RULES, mint())


def test_a_grant_for_a_task_begins_a_transaction() -> None:
    """Section 13.2: `txn` is unique. Section 11.3: `sub` is determined by the service."""
    grant = granted(expires=NOW + 60)
    assert (grant.transaction.txn, grant.transaction.sub) == ("txn-1", "ada")
    assert grant.transaction.issuer == "https://issuer.example"
    assert grant.transaction.work == grant.work == TASK
    assert grant.may_act == "spiffe://example.org/ns/team/agent/a"
    assert grant.req_wl == "spiffe://example.org/ns/team/stack/default"
    assert grant.act == ()
    assert grant.scope == ("sums", "mail")
    assert (grant.issued_at, grant.expires) == (NOW, NOW + 60)


def test_a_grant_ends_when_the_service_says_even_if_more_is_wanted() -> None:
    assert granted(expires=NOW + 10**9).expires == NOW + RULES.grant_seconds
    assert granted().expires == NOW + RULES.grant_seconds


def test_a_transaction_token_says_who_acts_for_whom() -> None:
    """Section 9.2: the claims; section 6: minutes at most."""
    token = traded(granted())
    assert token.claims() == {
        "iss": "spiffe://example.org/tokens",
        "aud": "example.org",
        "sub": "ada",
        "txn": "txn-1",
        "jti": "id",
        "iat": NOW,
        "exp": NOW + 120,
        "scope": "sums mail",
        "req_wl": "spiffe://example.org/ns/team/agent/a",
        "act": {"sub": "spiffe://example.org/ns/team/agent/a"},
        "tctx": {
            "iss": "https://issuer.example",
            "stack": "team/default",
            "work": TASK.id,
            "digest": TASK.digest,
        },
        "rctx": {"work": TASK.id, "digest": TASK.digest, "replacements": 0},
    }


@pytest.mark.fault(30)
def test_the_chain_reaches_the_tool() -> None:
    """RFC 8693, section 4.1: the nearest actor is the outermost."""
    first = traded(granted())
    ask = asking(first, A, "b")
    assert ask.work.id == asked_task(ask_key(named("b"), named("a"), TASK.id, 7, 0))
    second = traded(ask, B)
    assert second.act == (B.id, A.id)
    assert second.work == ask.work
    call = Work(effect_key(ADD, named("b"), second.work.id, 7, 0), digest("x"))
    grant = called(second, B, work=call, scope=("sums",))
    assert grant.may_act == TOOL.id
    third = traded(grant, TOOL)
    assert third.claims()["act"] == {"sub": B.id, "act": {"sub": A.id}}
    assert third.req_wl == TOOL.id
    assert third.work == call
    assert third.scope == ("sums",)
    # Section 13.15: never another `txn`, `sub` or `aud`; section 9.2.3: nor another `tctx`.
    assert first.transaction == second.transaction == third.transaction
    assert third.trust_domain == DOMAIN


def test_claims_survive_the_way_there_and_back() -> None:
    token = traded(asking(traded(granted()), A, "b"), B)
    assert TxnToken.of(token.claims()) == token
    grant = asking(token, B, "c")
    assert Grant.of(grant.claims()) == grant


def test_a_grant_that_ends_soon_gives_a_token_that_ends_with_it() -> None:
    assert traded(granted(expires=NOW + 30)).expires == NOW + 30


REFUSED = [
    pytest.param(
        lambda: granted(replace(USER, scope=None)), "invalid_scope", "does not say", id="13.14"
    ),
    pytest.param(
        lambda: granted(scope=("sums", "admin")),
        "invalid_scope",
        "does not have admin",
        id="13.6: a scope wider than the user's token",
    ),
    pytest.param(
        lambda: granted(replace(USER, scope=())),
        "invalid_scope",
        "no scope left",
        id="13.6: no scope at all",
    ),
    pytest.param(
        lambda: granted(replace(USER, expires=NOW)),
        "invalid_request",
        "has expired",
        id="6: an expired token of the user",
    ),
    pytest.param(
        lambda: granted(requester=A),
        "invalid_request",
        "is no server",
        id="13.10: an agent on behalf of a user",
    ),
    pytest.param(lambda: granted(work=None), "invalid_request", "lacks work", id="no work"),
    pytest.param(lambda: granted(agent=None), "invalid_request", "no agent", id="no agent"),
    pytest.param(
        lambda: granted(expires=NOW), "invalid_request", "would have expired", id="ends at once"
    ),
    pytest.param(
        lambda: traded(granted(), B), "invalid_request", "another workload", id="B trades A's grant"
    ),
    pytest.param(
        lambda: traded(granted(), now=NOW + 3600),
        "invalid_request",
        "grant has expired",
        id="6: an expired grant",
    ),
    pytest.param(
        lambda: traded(granted(), now=NOW - 61), "invalid_request", "clock", id="of the future"
    ),
    pytest.param(
        lambda: traded(granted(), work=Work("beef", TASK.digest)),
        "invalid_request",
        "another task or call",
        id="the grant of another task",
    ),
    pytest.param(
        lambda: traded(granted(), work=Work(TASK.id, digest("other"))),
        "invalid_request",
        "another input or arguments",
        id="another input",
    ),
    pytest.param(
        lambda: traded(granted(scope=("sums",)), scope=("sums", "mail")),
        "invalid_scope",
        "does not have mail",
        id="13.6: a scope wider than the grant's",
    ),
    pytest.param(
        lambda: traded(granted(), scope=None), "invalid_request", "scope is missing", id="11.1"
    ),
    pytest.param(
        lambda: called(traded(granted()), B),
        "invalid_request",
        "minted for another workload",
        id="13.12: a captured token",
    ),
    pytest.param(
        lambda: called(replace(traded(granted()), expires=int(NOW))),
        "invalid_request",
        "token has expired",
        id="13.15: replacing an expired token",
    ),
    pytest.param(
        lambda: called(traded(granted()), tool=named("shell")),
        "invalid_request",
        "does not name team/shell",
        id="a tool that the spec does not name",
    ),
    pytest.param(
        lambda: asking(traded(granted()), A, "c"),
        "invalid_request",
        "does not name team/c",
        id="30: A names C",
    ),
    pytest.param(
        lambda: called(traded(granted()), tool=None),
        "invalid_request",
        "neither tool nor agent",
        id="neither tool nor agent",
    ),
    pytest.param(
        lambda: called(traded(granted()), work=tool_call(Work("beef", TASK.digest))),
        "invalid_request",
        "none of the task",
        id="31: a call of another task",
    ),
    pytest.param(
        lambda: called(traded(granted()), work=tool_call(caller="b")),
        "invalid_request",
        "none of the task",
        id="a call of another agent",
    ),
    pytest.param(
        lambda: called(traded(granted(scope=("sums",))), scope=("mail",)),
        "invalid_scope",
        "does not have mail",
        id="13.15: a replacement with a wider scope",
    ),
    pytest.param(
        lambda: asking(traded(asking(traded(granted()), A, "b"), B), B, "a"),
        "invalid_request",
        "loop",
        id="a loop",
    ),
    pytest.param(
        lambda: asking(replace(traded(granted()), act=(A.id, "x", "y")), A, "b"),
        "invalid_request",
        "no more than 3",
        id="a chain over the hop limit",
    ),
    pytest.param(
        lambda: traded(replace(granted(), act=("x", "y", "z"))),
        "invalid_request",
        "no more than 3",
        id="over the limit when it is traded",
    ),
    pytest.param(
        lambda: traded(replace(granted(), act=("x", A.id))), "invalid_request", "loop", id="itself"
    ),
]


@pytest.mark.fault(29)
@pytest.mark.fault(31)
@pytest.mark.parametrize(("act", "error", "why"), REFUSED)
def test_what_gets_no_token(act: Callable[[], object], error: str, why: str) -> None:
    with pytest.raises(NotIssued, match=why) as refused:
        act()
    assert refused.value.error == error


def narrowed(token: TxnToken, requester: Requester = A, **wanted: Any) -> TxnToken:
    asked = replace(Wanted(scope=("sums",)), **wanted)
    return replacement(token, requester, asked, mint(NOW + 10, "id-2"))


def test_a_replacement_is_narrower_and_nothing_else() -> None:
    """Section 13.15: `txn`, `sub` and `aud` stay, the chain stays, the scope narrows."""
    token = traded(granted())
    after = narrowed(token)
    assert after == replace(
        token, scope=("sums",), jti="id-2", issued_at=int(NOW + 10), replacements=1
    )


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    ("act", "error", "why"),
    [
        pytest.param(
            lambda token: narrowed(token, scope=("sums", "admin")),
            "invalid_scope",
            "does not have admin",
            id="wider",
        ),
        pytest.param(
            lambda token: narrowed(replace(token, expires=int(NOW + 10))),
            "invalid_request",
            "token has expired",
            id="expired",
        ),
        pytest.param(
            lambda token: narrowed(replace(token, replacements=MAX_REPLACEMENTS)),
            "invalid_request",
            "3 times already",
            id="too many",
        ),
        pytest.param(
            lambda token: narrowed(token, B), "invalid_request", "another workload", id="captured"
        ),
        pytest.param(
            lambda token: narrowed(token, work=Work("beef", TASK.digest)),
            "invalid_request",
            "nothing else",
            id="other work",
        ),
        pytest.param(
            lambda token: narrowed(token, scope=None), "invalid_request", "scope", id="no scope"
        ),
    ],
)
def test_what_is_no_replacement(act: Callable[[TxnToken], object], error: str, why: str) -> None:
    """Section 13.15."""
    with pytest.raises(NotIssued, match=why) as refused:
        act(traded(granted()))
    assert refused.value.error == error


def test_a_token_is_never_repeated_in_a_sentence() -> None:
    """Section 15.2: not logged verbatim, whatever it was sent as."""
    secret = "eyJ" + "x" * 500
    with pytest.raises(NotIssued) as refused:
        granted(scope=(secret,))
    assert len(str(refused.value)) < 120
