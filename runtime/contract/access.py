"""Who may call whom: what policies come to, and the one decision about it. Pure.

A call passes two guards, each only where a policy counts for the object: that of whom is called,
and that of the Agent that calls. What no rule of a guard lets pass is denied.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import override

from pydantic import Field

from runtime.contract.value import ObjectName, Value

ANONYMOUS = "anonymous"
"""What a caller is called whom nobody has authenticated."""

SUBJECT = "sub"
"""The claim that names a user, RFC 7519 section 4.1.2."""


class ResourceKind(StrEnum):
    """What can be called."""

    AGENT = "Agent"
    TOOL = "Tool"


class Resource(Value):
    """An Agent or a Tool."""

    kind: ResourceKind
    name: ObjectName

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class User(Value):
    """Who calls from outside.

    Shape:
        principal  as whom the server has authenticated him; null: it has authenticated nobody.
        claims     what his token says of him, each with all of its values.
    """

    principal: str | None = None
    claims: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    def values(self, claim: str) -> tuple[str, ...]:
        """What his token says; that he is `principal` it says even if nobody has handed it on."""
        found = self.claims.get(claim, ())
        if claim == SUBJECT and not found and self.principal is not None:
            return (self.principal,)
        return found

    @property
    def name(self) -> str:
        """What runs call him."""
        return self.principal or ANONYMOUS

    @override
    def __str__(self) -> str:
        return "an anonymous user" if self.principal is None else f"the user {self.principal}"


ANYBODY = User()
"""Whoever calls a server that authenticates nobody."""

type Caller = User | Resource


class Rule(Value):
    """One entry of `spec.access` of a policy; it names objects of the policy's namespace alone.

    Shape:
        place         in the list, from 0.
        users         the claims that a user has to have, each with one of these values; {}: every
                      authenticated user; null: it is about agents.
        from_agents   the Agents that may call; empty where it is about users.
        to_agents, to_tools   whom they may call; one of the two is empty.
        scopes        what such a call may carry.
    """

    place: int
    users: dict[str, tuple[str, ...]] | None = None
    from_agents: tuple[str, ...] = ()
    to_agents: tuple[str, ...] = ()
    to_tools: tuple[str, ...] = ()
    scopes: tuple[str, ...] = ()


class Guard(Value):
    """The policy that counts for an object, with those of its rules that name the object."""

    policy: ObjectName
    rules: tuple[Rule, ...] = ()

    def mismatch(self, rule: Rule, caller: Caller, target: Resource) -> str | None:
        """Why a rule does not let `caller` call `target`, as half a sentence; None if it does."""
        callees = rule.to_agents if target.kind is ResourceKind.AGENT else rule.to_tools
        if not self._names(callees, target.name):
            return f"it is not about calls of the {target}"
        if isinstance(caller, User):
            return _missing_claim(rule.users, caller)
        if rule.users is not None:
            return "it is about users"
        if not self._names(rule.from_agents, caller.name):
            return f"it is not about calls by the {caller}"
        return None

    def _names(self, names: tuple[str, ...], one: ObjectName) -> bool:
        return one.namespace == self.policy.namespace and one.name in names


def _missing_claim(wanted: Mapping[str, tuple[str, ...]] | None, user: User) -> str | None:
    if wanted is None:
        return "it is about agents"
    if user.principal is None:
        return "it is about authenticated users"
    for claim, values in wanted.items():
        found = user.values(claim)
        if not set(found) & set(values):
            has = f"has {claim} {' and '.join(found)}" if found else f"has no {claim}"
            return f"it wants {claim} to be {' or '.join(values)}, and {user} {has}"
    return None


@dataclass(frozen=True, slots=True)
class Ruling:
    """How one guard has decided.

    Shape:
        guarded  the object that it guards.
        rules    those that let the call pass; empty: it is denied.
    """

    guarded: Resource
    guard: Guard
    rules: tuple[Rule, ...]

    @property
    def scopes(self) -> frozenset[str]:
        """What the call may carry past it."""
        return frozenset(scope for rule in self.rules for scope in rule.scopes)

    @override
    def __str__(self) -> str:
        by = f"the IdentityPolicy {self.guard.policy}, which counts for the {self.guarded}"
        if not self.rules:
            return f"no rule of {by}, allows it"
        places = " and ".join(f"spec.access[{rule.place}]" for rule in self.rules)
        return f"{places} of {by}, {'allow' if len(self.rules) > 1 else 'allows'} it"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether a call is allowed, and why.

    Shape:
        rulings  of every guard that was asked; none: no policy is about it.
        scopes   what the call may carry, sorted: what each of the guards lets pass.
    """

    caller: Caller
    target: Resource
    rulings: tuple[Ruling, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether every guard lets it pass."""
        return all(ruling.rules for ruling in self.rulings)

    @property
    def scopes(self) -> tuple[str, ...]:
        """What the call may carry."""
        if not self.rulings:
            return ()
        return tuple(sorted(frozenset.intersection(*(one.scopes for one in self.rulings))))

    @property
    def why(self) -> str:
        """By which rules it is allowed, or who denies it: half a sentence."""
        if not self.rulings:
            return f"no IdentityPolicy counts for the {self.target}" + (
                f" or the {self.caller}" if isinstance(self.caller, Resource) else ""
            )
        told = [one for one in self.rulings if self.allowed or not one.rules]
        return "; ".join(map(str, told))


type Access = Mapping[Resource, Guard]
"""The guards of objects; one that is not in here has none."""


def decide(access: Access, caller: Caller, target: Resource) -> Verdict:
    """Whether `caller` may call `target`.

    What an Agent's spec does not name it cannot call anyway; policies only take away from that.
    """
    return Verdict(caller, target, tuple(_rulings(access, caller, target)))


def _rulings(access: Access, caller: Caller, target: Resource) -> Iterator[Ruling]:
    guarded = (target, caller) if isinstance(caller, Resource) else (target,)
    for one in guarded:
        if (guard := access.get(one)) is not None:
            rules = [r for r in guard.rules if guard.mismatch(r, caller, target) is None]
            yield Ruling(one, guard, tuple(rules))


def agent(name: ObjectName) -> Resource:
    """An Agent."""
    return Resource(kind=ResourceKind.AGENT, name=name)


def tool(name: ObjectName) -> Resource:
    """A Tool."""
    return Resource(kind=ResourceKind.TOOL, name=name)
