"""`k8gentai explain`: what it says, and as people call it on a folder."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from controller.api.names import Kind
from controller.explain import ExplainOptions, NotThere, Told, explained, user_of
from controller.tests import samples
from runtime.contract.access import ANYBODY, User
from runtime.contract.value import ObjectName

SAMPLE = Path(__file__).parents[2] / "config" / "samples" / "policy"
USERS = {"from": {"users": {"claims": {"groups": ["analysts"]}}}, "to": {"agents": ["math"]}}
MATH_ADDS = {"from": {"agents": ["math"]}, "to": {"tools": ["add"]}, "scopes": ["sums"]}
AUTH = {"issuer": "https://keycloak.example/realms/agents", "audience": "k8gentai"}
NO_GROUPS = "it wants groups to be analysts, and the user ann has no groups"
ADD = ObjectName(namespace="team", name="add")


def told(
    user: str,
    *policies: dict[str, Any],
    tool: ObjectName | None = None,
    auth: Any = AUTH,
    agent: str = "math",
    **spec: Any,
) -> Told:
    uses = [{"toolRef": {"name": "add"}}]
    stack = samples.stack(**({"auth": auth} if auth else {}))
    bodies = {
        Kind.STACK: [stack],
        Kind.AGENT: [samples.agent(**{"tools": uses} | spec)],
        Kind.TOOL: [samples.tool()],
        Kind.IDENTITY_POLICY: policies,
    }
    name = ObjectName(namespace="team", name=agent)
    return explained(ExplainOptions(user=user_of(user), agent=name, tool=tool), bodies)


@pytest.mark.parametrize(
    ("words", "user"),
    [
        ("anonymous", ANYBODY),
        ("ann", User(principal="ann")),
        ("groups=staff", User(principal="groups=staff", claims={"groups": ("staff",)})),
        (
            "ann,groups=staff,groups=a,region=eu",
            User(principal="ann", claims={"groups": ("staff", "a"), "region": ("eu",)}),
        ),
    ],
)
def test_a_user_is_a_name_or_claims(words: str, user: User) -> None:
    assert user_of(words) == user


def test_without_a_policy_everybody_may() -> None:
    assert told("ann") == Told(
        allowed=True,
        lines=(
            "the user ann may call the Agent team/math",
            "  no IdentityPolicy counts for the Agent team/math",
        ),
    )


def test_every_rule_says_what_it_thinks() -> None:
    policy = samples.policy(access=[USERS, MATH_ADDS])

    refused, allowed = told("ann", policy), told("ann,groups=analysts", policy, tool=ADD)

    assert refused == Told(
        allowed=False,
        lines=(
            "the user ann may NOT call the Agent team/math",
            "  the IdentityPolicy team/sums counts for the Agent team/math:",
            f"    spec.access[0] does not: {NO_GROUPS}",
            "    spec.access[1] does not: it is not about calls of the Agent team/math",
        ),
    )
    assert allowed.allowed
    assert allowed.lines[-5:] == (
        "the Agent team/math may call the Tool team/add",
        "  with the scopes sums",
        "  the IdentityPolicy team/sums counts for the Agent team/math:",
        "    spec.access[0] does not: it is not about calls of the Tool team/add",
        "    spec.access[1] allows it",
    )


def test_on_an_open_stack_everybody_is_anonymous() -> None:
    found = told("ann,groups=analysts", samples.policy(access=[USERS]), auth=None)

    assert not found.allowed
    assert found.lines[:2] == (
        "an anonymous user may NOT call the Agent team/math",
        "  Stack team/default has no spec.auth: whoever calls is anonymous, and judged as that",
    )


@pytest.mark.parametrize(
    ("facts", "line"),
    [
        pytest.param(
            {"suspend": True}, "  Agent team/math is suspended and takes no work", id="suspended"
        ),
        pytest.param(
            {"tools": []},
            "  spec.tools of Agent team/math does not name it, so it cannot",
            id="not in its spec",
        ),
    ],
)
def test_what_no_policy_decides_is_told_too(facts: dict[str, Any], line: str) -> None:
    found = told("ann", tool=ADD, **facts)

    assert not found.allowed
    assert line in found.lines


def test_what_is_not_there_is_named() -> None:
    with pytest.raises(NotThere, match="there is no Agent team/nobody"):
        told("ann", agent="nobody")
    with pytest.raises(NotThere, match="there is no Tool team/sub"):
        told("ann", tool=ObjectName(namespace="team", name="sub"))


@pytest.mark.parametrize(("agent", "code"), [("math", 0), ("poet", 1)])
def test_the_command_answers_from_a_folder(agent: str, code: int) -> None:
    words = ("explain", "-f", str(SAMPLE), "anonymous", agent, "add")
    said = subprocess.run(
        [sys.executable, "-m", "controller.cli", *words],
        capture_output=True,
        text=True,
        check=False,
        cwd=SAMPLE.parents[2],
    )

    assert (said.returncode, said.stderr) == (code, "")
    verb = "may" if code == 0 else "may NOT"
    assert f"the Agent default/{agent} {verb} call the Tool default/add" in said.stdout
