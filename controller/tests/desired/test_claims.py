from datetime import UTC, datetime

import pytest

from controller.api.conditions import AcceptedReason
from controller.api.names import Kind
from controller.desired.accept import stack_problems
from controller.desired.claims import holders, servers
from controller.desired.trust import trust_config
from controller.model import Claim, Key, Problem
from controller.tests.desired.views import stack_view, the_stack
from controller.tests.fakes import SITE
from runtime.contract.trust_config import TrustedStack
from runtime.contract.value import ObjectName


def claim(
    name: str,
    url: str,
    minute: int = 0,
    namespace: str = "team",
    *,
    managed: bool = False,
    leaving: bool = False,
) -> Claim:
    return Claim(
        key=Key(Kind.STACK, namespace, name),
        url=url,
        created=datetime(2026, 11, 22, 10, minute, tzinfo=UTC),
        is_managed=managed,
        is_leaving=leaving,
    )


@pytest.mark.parametrize(
    ("claims", "refused"),
    [
        pytest.param([claim("a", "nats://x"), claim("b", "nats://y")], {}, id="one each"),
        pytest.param(
            [claim("a", "nats://x", 2), claim("b", "nats://x", 1)], {"a": "b"}, id="the oldest"
        ),
        pytest.param(
            [claim("b", "nats://x"), claim("a", "nats://x", namespace="z")],
            {"b": "a"},
            id="of one moment, by name",
        ),
        pytest.param(
            [claim("a", "nats://x", namespace="z"), claim("a", "nats://x", namespace="y")],
            {"a": "a"},
            id="of one name, by namespace",
        ),
        pytest.param(
            [claim("a", "nats://x,nats://y"), claim("b", "nats://z,nats://y", 1)],
            {"b": "a"},
            id="one of several addresses",
        ),
        pytest.param(
            [claim("a", "nats://X:4222"), claim("b", "tls://x", 1)],
            {"b": "a"},
            id="however it is written",
        ),
        pytest.param(
            [claim("a", "nats://x:4222"), claim("b", "nats://x:4223", 1)], {}, id="another port"
        ),
        pytest.param(
            [claim("a", "nats://x", leaving=True), claim("b", "nats://x", 1)],
            {"a": "b"},
            id="one being deleted does not count",
        ),
        pytest.param(
            [claim("a", "nats://x"), claim("b", "nats://x", 1, managed=True)],
            {"a": "b"},
            id="the one it is run for",
        ),
        pytest.param(
            [claim("a", "nats://x"), claim("b", "nats://x", 1), claim("c", "nats://x", 2)],
            {"b": "a", "c": "a"},
            id="all but the oldest",
        ),
        pytest.param(
            [claim("a", "nats://x"), claim("b", "nats://x,nats://y", 1), claim("c", "nats://y", 2)],
            {"b": "a", "c": "b"},
            id="also against one that is refused",
        ),
    ],
)
def test_a_nats_is_of_one_stack(claims: list[Claim], refused: dict[str, str]) -> None:
    for order in (claims, claims[::-1]):
        found = holders(order)

        assert {key.name: other.key.name for key, other in found.items()} == refused


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("nats://a", {"a:4222"}),
        ("nats://a:1,tls://B.svc", {"a:1", "b.svc:4222"}),
        ("nats://[::1],nats://[::2]:5", {"[::1]:4222", "[::2]:5"}),
        ("nats://[:x", {"[:x:4222"}),
    ],
)
def test_the_servers_of_a_url(url: str, found: set[str]) -> None:
    assert servers(url) == found


def test_the_younger_stack_is_told_whose_it_is() -> None:
    mine = claim("default", "nats://x", 1)
    claims = (mine, claim("other", "nats://x", namespace="base"))

    (found,) = stack_problems(stack_view(the_stack(), claims=claims))

    assert found == Problem(
        AcceptedReason.CONFLICT,
        "spec.messaging.external.url: Stack base/other uses this NATS already; "
        "give each Stack a NATS of its own",
    )
    assert stack_problems(stack_view(the_stack(), claims=(mine,))) == ()


@pytest.mark.parametrize(
    ("told", "trusted"),
    [
        pytest.param({}, {"a": "nats://x"}, id="not at all"),
        pytest.param({"b": "nats://x"}, {"a": "nats://x"}, id="not where it is refused"),
        pytest.param(
            {"b": "nats://y"}, {"a": "nats://x", "b": "nats://y"}, id="but where it was before"
        ),
        pytest.param({"gone": "nats://y"}, {"a": "nats://x"}, id="nobody who is gone"),
    ],
)
def test_whom_the_trust_plane_serves(told: dict[str, str], trusted: dict[str, str]) -> None:
    claims = (claim("b", "nats://x", 1), claim("a", "nats://x"))
    before = {
        Key(Kind.STACK, "team", name): TrustedStack(
            stack=ObjectName(namespace="team", name=name), url=url
        )
        for name, url in told.items()
    }

    config = trust_config(claims, before, SITE)

    assert {one.stack.name: one.url for one in config.stacks} == trusted
