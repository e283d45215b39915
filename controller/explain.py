"""`k8gentai explain`: whether a user may call an agent, and that a tool, and why, rule by rule.

It judges the objects as they stand, in the cluster or in a folder, by the function that every part
of the platform decides by; whether a policy is in force by now says its own status.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from controller.api.agent import Agent
from controller.api.identity_policy import IdentityPolicy
from controller.api.names import Kind
from controller.api.stack import Stack
from controller.desired.access import guard_of, readable, resource, standing_policies
from controller.desired.metadata import key_of
from controller.desired.references import stack_of, tools_of
from controller.model import Key, Manifest
from runtime.contract.access import ANONYMOUS, ANYBODY, Caller, Ruling, User, Verdict, decide
from runtime.contract.value import ObjectName

type Say = Callable[[str], None]
type Bodies = Mapping[Kind, Iterable[Manifest]]

READ = (Kind.STACK, Kind.AGENT, Kind.TOOL, Kind.IDENTITY_POLICY)


class NotThere(Exception):
    """What is asked about is not there; the message names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExplainOptions:
    """What `explain` is to say.

    Shape:
        tool    one that the agent calls for the user, or None.
        folder  with manifests, or None for the cluster.
    """

    user: User
    agent: ObjectName
    tool: ObjectName | None = None
    folder: Path | None = None


def user_of(words: str) -> User:
    """The user in `ann`, `groups=staff,region=eu`, or both with a comma; or `anonymous`."""
    if words == ANONYMOUS:
        return ANYBODY
    principal, claims = words, dict[str, tuple[str, ...]]()
    for part in words.split(","):
        name, is_claim, value = part.partition("=")
        if is_claim:
            claims[name] = (*claims.get(name, ()), value)
        else:
            principal = name
    return User(principal=principal, claims=claims)


async def explain(options: ExplainOptions, tell: Say) -> bool:
    """Tell it line by line; gives whether it is allowed.

    Raises:
        NotThere: there is no such agent or tool.
        BadManifest: the folder cannot be read.
        ClusterUnavailable: Kubernetes does not answer.
    """
    told = explained(options, await _read(options.folder))
    for line in told.lines:
        tell(line)
    return told.allowed


async def _read(folder: Path | None) -> Bodies:
    if folder is not None:
        from controller.local.manifests import read_manifests  # noqa: PLC0415 - kubectl's users need it not

        objects = (await asyncio.to_thread(read_manifests, folder)).objects
        return {kind: [body for key, body in objects.items() if key.kind is kind] for kind in READ}
    from controller.clients.kubernetes import connected  # noqa: PLC0415 - embedded mode needs it not

    async with connected() as cluster:
        return {kind: await cluster.list(kind) for kind in READ}


@dataclass(frozen=True, slots=True)
class Told:
    """What is to be said, and whether it is allowed."""

    allowed: bool
    lines: tuple[str, ...]


def explained(options: ExplainOptions, bodies: Bodies) -> Told:
    """What is to be said of one user, one agent and, if it is named, one tool.

    Raises:
        NotThere: there is no such agent or tool.
    """
    agent = next(
        (one for one in readable(Agent, bodies[Kind.AGENT]) if _named(one) == options.agent), None
    )
    if agent is None:
        raise NotThere(f"there is no Agent {options.agent}; name it as namespace/name")
    policies = standing_policies(bodies[Kind.IDENTITY_POLICY])
    hops = [_by_user(options.user, agent, bodies, policies)]
    if options.tool is not None:
        hops.append(_by_agent(agent, options.tool, bodies, policies))
    return Told(
        allowed=all(hop.allowed for hop in hops),
        lines=tuple(line for hop in hops for line in hop.lines),
    )


def _by_user(
    user: User, agent: Agent, bodies: Bodies, policies: tuple[IdentityPolicy, ...]
) -> Told:
    key, stack = key_of(agent), stack_of(agent)
    open_stacks = {
        key_of(one) for one in readable(Stack, bodies[Kind.STACK]) if one.spec.auth is None
    }
    but = []
    if stack in open_stacks and user != ANYBODY:
        but.append(f"{stack} has no spec.auth: whoever calls is anonymous, and judged as that")
        user = ANYBODY
    told = _hop(user, key, stack, policies, but)
    if not agent.spec.suspend:
        return told
    return Told(allowed=False, lines=(*told.lines, f"  {key} is suspended and takes no work"))


def _by_agent(
    agent: Agent, name: ObjectName, bodies: Bodies, policies: tuple[IdentityPolicy, ...]
) -> Told:
    tool = Key(Kind.TOOL, name.namespace, name.name)
    there = {
        (one["metadata"].get("namespace"), one["metadata"]["name"]) for one in bodies[Kind.TOOL]
    }
    if (name.namespace, name.name) not in there:
        raise NotThere(f"there is no Tool {name}; name it as namespace/name")
    told = _hop(resource(key_of(agent)), tool, stack_of(agent), policies, [])
    if tool in tools_of(agent):
        return told
    lines = (*told.lines, f"  spec.tools of {key_of(agent)} does not name it, so it cannot")
    return Told(allowed=False, lines=lines)


def _hop(
    caller: Caller, target: Key, stack: Key, policies: tuple[IdentityPolicy, ...], but: list[str]
) -> Told:
    """One call: the verdict, and what every rule of each policy that counts has to say."""
    keys = [target]
    if not isinstance(caller, User):
        keys.append(Key(Kind.AGENT, caller.name.namespace, caller.name.name))
    guards = {key: guard_of(key, stack, policies) for key in keys}
    access = {resource(key): guard for key, guard in guards.items() if guard is not None}
    verdict = decide(access, caller, resource(target))
    who = str(caller) if isinstance(caller, User) else f"the {caller}"
    head = f"{who} {'may' if verdict.allowed else 'may NOT'} call the {verdict.target}"
    scopes = [f"with the scopes {' '.join(verdict.scopes)}"] if verdict.scopes else []
    lines = [*but, *scopes, *_reasons(verdict)]
    return Told(verdict.allowed, (head, *(f"  {line}" for line in lines)))


def _reasons(verdict: Verdict) -> Iterator[str]:
    if not verdict.rulings:
        yield verdict.why
    for ruling in verdict.rulings:
        yield f"the IdentityPolicy {ruling.guard.policy} counts for the {ruling.guarded}:"
        yield from (f"  {line}" for line in _rule_by_rule(ruling, verdict))


def _rule_by_rule(ruling: Ruling, verdict: Verdict) -> Iterator[str]:
    if not ruling.guard.rules:
        yield "no rule names it, so it is denied"
    for rule in ruling.guard.rules:
        why = ruling.guard.mismatch(rule, verdict.caller, verdict.target)
        yield f"spec.access[{rule.place}] " + ("allows it" if why is None else f"does not: {why}")


def _named(agent: Agent) -> ObjectName:
    return key_of(agent).object_name
