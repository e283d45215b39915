import pytest

from runtime.contract.access import (
    ANYBODY,
    Access,
    Caller,
    Guard,
    Resource,
    Rule,
    User,
    agent,
    decide,
    tool,
)
from runtime.contract.value import ObjectName


def named(name: str, namespace: str = "team") -> ObjectName:
    return ObjectName(namespace=namespace, name=name)


MATH, POET, ADD = agent(named("math")), agent(named("poet")), tool(named("add"))
ANALYSTS = Rule(place=0, users={"groups": ("analysts",)}, to_agents=("math",), scopes=("sums",))
EVERYBODY = Rule(place=1, users={}, to_agents=("math",), scopes=("all",))
ALICE = Rule(place=2, users={"sub": ("alice",)}, to_agents=("math",))
MATH_ADDS = Rule(place=3, from_agents=("math",), to_tools=("add",), scopes=("sums", "more"))
POET_ASKS = Rule(place=4, from_agents=("poet",), to_agents=("math",))
BOTH = Rule(
    place=5, users={"groups": ("a", "b"), "region": ("eu",)}, to_agents=("math",), scopes=("sums",)
)


def guard(*rules: Rule, policy: str = "sums", namespace: str = "team") -> Guard:
    return Guard(policy=named(policy, namespace), rules=rules)


def user(name: str | None = "bob", **claims: tuple[str, ...]) -> User:
    return User(principal=name, claims=claims)


ANALYST = user(groups=("analysts", "staff"))

DECISIONS = [
    pytest.param({}, ANYBODY, MATH, True, (), id="without a policy everybody may"),
    pytest.param({MATH: guard()}, ANALYST, MATH, False, (), id="a policy without rules denies"),
    pytest.param({MATH: guard(ANALYSTS)}, ANALYST, MATH, True, ("sums",), id="a claim fits"),
    pytest.param({MATH: guard(ANALYSTS)}, user(groups=("staff",)), MATH, False, (), id="another"),
    pytest.param({MATH: guard(ANALYSTS)}, user(), MATH, False, (), id="no claim"),
    pytest.param({MATH: guard(ANALYSTS)}, ANYBODY, MATH, False, (), id="nobody authenticated"),
    pytest.param({MATH: guard(EVERYBODY)}, ANYBODY, MATH, False, (), id="everybody has a name"),
    pytest.param({MATH: guard(EVERYBODY)}, user(), MATH, True, ("all",), id="every user"),
    pytest.param(
        {MATH: guard(ANALYSTS, EVERYBODY)}, ANALYST, MATH, True, ("all", "sums"), id="two rules"
    ),
    pytest.param({MATH: guard(ALICE)}, user("alice"), MATH, True, (), id="by name"),
    pytest.param({MATH: guard(ALICE)}, user("bob"), MATH, False, (), id="by another name"),
    pytest.param(
        {MATH: guard(ALICE)},
        user("alice", sub=("4711",)),
        MATH,
        False,
        (),
        id="what the token says of the subject counts",
    ),
    pytest.param(
        {MATH: guard(BOTH)}, user(groups=("b",), region=("eu",)), MATH, True, ("sums",), id="and"
    ),
    pytest.param({MATH: guard(BOTH)}, user(groups=("b",)), MATH, False, (), id="not both"),
    pytest.param({MATH: guard(ANALYSTS)}, POET, MATH, False, (), id="a rule for users alone"),
    pytest.param({MATH: guard(POET_ASKS)}, POET, MATH, True, (), id="an agent asks"),
    pytest.param({MATH: guard(POET_ASKS)}, ANALYST, MATH, False, (), id="a rule for agents alone"),
    pytest.param(
        {MATH: guard(POET_ASKS)},
        agent(named("poet", "other")),
        MATH,
        False,
        (),
        id="an agent of that name elsewhere",
    ),
    pytest.param(
        {agent(named("math", "other")): guard(POET_ASKS, namespace="base")},
        POET,
        agent(named("math", "other")),
        False,
        (),
        id="a rule names objects of its own namespace",
    ),
    pytest.param({ADD: guard(MATH_ADDS)}, MATH, ADD, True, ("more", "sums"), id="its callee's"),
    pytest.param({ADD: guard(MATH_ADDS)}, POET, ADD, False, (), id="another agent"),
    pytest.param({MATH: guard(MATH_ADDS)}, MATH, ADD, True, ("more", "sums"), id="its caller's"),
    pytest.param({MATH: guard(ANALYSTS)}, MATH, ADD, False, (), id="what it calls is denied, too"),
    pytest.param(
        {MATH: guard(MATH_ADDS), ADD: guard(policy="none")}, MATH, ADD, False, (), id="both ends"
    ),
    pytest.param(
        {
            MATH: guard(MATH_ADDS),
            ADD: guard(MATH_ADDS.model_copy(update={"scopes": ("sums",)}), policy="tight"),
        },
        MATH,
        ADD,
        True,
        ("sums",),
        id="scopes that both let pass",
    ),
]


@pytest.mark.parametrize(("access", "caller", "target", "allowed", "scopes"), DECISIONS)
def test_who_may_call_whom(
    access: Access, caller: Caller, target: Resource, allowed: bool, scopes: tuple[str, ...]
) -> None:
    verdict = decide(access, caller, target)

    assert verdict.allowed is allowed
    assert verdict.scopes == scopes


WHYS = [
    pytest.param({}, MATH, "no IdentityPolicy counts for the Tool team/add or the Agent team/math"),
    pytest.param(
        {ADD: guard(MATH_ADDS)},
        MATH,
        "spec.access[3] of the IdentityPolicy team/sums, which counts for the Tool team/add, "
        "allows it",
    ),
    pytest.param(
        {MATH: guard(MATH_ADDS), ADD: guard(policy="none")},
        MATH,
        "no rule of the IdentityPolicy team/none, which counts for the Tool team/add, allows it",
    ),
]


@pytest.mark.parametrize(("access", "caller", "why"), WHYS)
def test_a_verdict_says_why(access: Access, caller: Caller, why: str) -> None:
    assert decide(access, caller, ADD).why == why


MISMATCHES = [
    pytest.param(ANALYSTS, ANALYST, None, id="it fits"),
    pytest.param(
        ANALYSTS,
        user(groups=("staff",)),
        "it wants groups to be analysts, and the user bob has groups staff",
        id="another value",
    ),
    pytest.param(
        BOTH,
        user(groups=("a",)),
        "it wants region to be eu, and the user bob has no region",
        id="a claim is missing",
    ),
    pytest.param(EVERYBODY, ANYBODY, "it is about authenticated users", id="anonymous"),
    pytest.param(POET_ASKS, ANALYST, "it is about agents", id="agents"),
    pytest.param(EVERYBODY, POET, "it is about users", id="users"),
    pytest.param(POET_ASKS, MATH, "it is not about calls by the Agent team/math", id="caller"),
    pytest.param(MATH_ADDS, MATH, "it is not about calls of the Agent team/math", id="callee"),
]


@pytest.mark.parametrize(("rule", "caller", "why"), MISMATCHES)
def test_a_rule_says_why_it_does_not_fit(rule: Rule, caller: Caller, why: str | None) -> None:
    assert guard().mismatch(rule, caller, MATH) == why


def test_a_guard_travels_as_it_is() -> None:
    told = guard(ANALYSTS, MATH_ADDS)

    assert Guard.decode(told.encode()) == told
