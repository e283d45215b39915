"""How a workload is to prove who it is, and what follows from that."""

import dataclasses
from typing import Any

import pytest

from controller.api.identity_policy import IdentityPolicy, IdentityProvider
from controller.api.names import Kind
from controller.api.parse import parse
from controller.desired.identity import BY_ACCOUNT, identity_rule, proofs
from controller.desired.metadata import Role
from controller.model import IdentityRule, Key, Pod, Spire
from controller.tests import samples
from controller.tests.fakes import SITE

MATH = Key(Kind.AGENT, "team", "math")
STACK = Key(Kind.STACK, "base", "default")
SPIRE = dataclasses.replace(SITE, spire=Spire(trust_domain="example.org", jwks_url="https://spire"))
BY_SVID = IdentityRule(provider=IdentityProvider.SPIRE, trust_domain="example.org", jwt_seconds=300)


def policy(
    *targets: Key, name: str = "who", created: str = "2026-11-22T10:00:00Z", **spec: Any
) -> IdentityPolicy:
    refs = [{"kind": str(target.kind), "name": target.name} for target in targets]
    body = samples.policy(name, targets[0].namespace, targetRefs=refs, **spec)
    return parse(
        IdentityPolicy,
        {**body, "metadata": {**body["metadata"], "uid": name, "creationTimestamp": created}},
    )


def by(provider: str | None = None, **more: Any) -> dict[str, Any]:
    return {"workloadIdentity": {**({"provider": provider} if provider else {}), **more}}


@pytest.mark.parametrize(
    ("policies", "wanted"),
    [
        pytest.param([], BY_ACCOUNT, id="no policy"),
        pytest.param([policy(MATH)], BY_ACCOUNT, id="a policy that says nothing of it"),
        pytest.param([policy(MATH, **by("SPIRE"))], BY_SVID, id="SPIRE"),
        pytest.param([policy(MATH, **by())], BY_SVID, id="nothing named where SPIRE is installed"),
        pytest.param(
            [policy(MATH, **by("ServiceAccount"))],
            IdentityRule(jwt_seconds=600),
            id="a token: at least what Kubernetes makes",
        ),
        pytest.param(
            [policy(MATH, **by("SPIRE", jwtSeconds=60, trustDomain="example.org"))],
            dataclasses.replace(BY_SVID, jwt_seconds=60),
            id="all of it named",
        ),
        pytest.param([policy(STACK, **by("SPIRE"))], BY_SVID, id="of its Stack"),
        pytest.param(
            [policy(STACK, **by("ServiceAccount")), policy(MATH, **by("SPIRE"))],
            BY_SVID,
            id="its own before its Stack's",
        ),
        pytest.param(
            [policy(STACK, **by("SPIRE")), policy(MATH)],
            BY_SVID,
            id="its own says nothing of it: its Stack's",
        ),
        pytest.param(
            [policy(MATH, name="a"), policy(MATH, **by("SPIRE"))],
            BY_SVID,
            id="an older one says nothing of it",
        ),
        pytest.param(
            [
                policy(MATH, name="z", created="2026-11-22T09:00:00Z", **by("SPIRE")),
                policy(MATH, name="a", **by("ServiceAccount")),
            ],
            BY_SVID,
            id="the oldest",
        ),
        pytest.param(
            [policy(dataclasses.replace(MATH, namespace="base"), **by("SPIRE"))],
            BY_ACCOUNT,
            id="one of that name elsewhere",
        ),
        pytest.param(
            [policy(Key(Kind.TOOL, "team", "math"), **by("SPIRE"))], BY_ACCOUNT, id="another kind"
        ),
    ],
)
def test_the_nearest_policy_says_how_a_workload_proves_itself(
    policies: list[IdentityPolicy], wanted: IdentityRule
) -> None:
    assert identity_rule((MATH, STACK), policies, SPIRE, is_installed=True) == wanted


@pytest.mark.parametrize(
    ("site", "is_installed", "more", "told"),
    [
        (SITE, False, {}, "the operator was not told of a SPIRE; tell it"),
        (SPIRE, False, {}, "the cluster has no ClusterSPIFFEIDs; install SPIRE"),
        (SPIRE, True, {"trustDomain": "other.org"}, "is of example.org, not of other.org"),
    ],
    ids=["not told", "not installed", "another trust domain"],
)
def test_what_spire_cannot_do_is_told_with_the_field_and_the_way_out(
    site: Any, is_installed: bool, more: dict[str, str], told: str
) -> None:
    wanted = [policy(MATH, **by("SPIRE", **more))]

    rule = identity_rule((MATH, STACK), wanted, site, is_installed=is_installed)

    assert rule.problem.startswith("IdentityPolicy who, spec.workloadIdentity.")
    assert told in rule.problem


def test_who_leaves_the_choice_gets_tokens_where_there_is_no_spire() -> None:
    rule = identity_rule((MATH, STACK), [policy(MATH, **by())], SPIRE, is_installed=False)

    assert rule == IdentityRule(jwt_seconds=600)


OLD, NEW = Pod(name="old", component="worker", revision="1"), Pod(name="new", component="worker")
SVID = "spiffe://example.org/ns/team/agent/math"


@pytest.mark.parametrize(
    ("rule", "pods", "wanted"),
    [
        pytest.param(BY_ACCOUNT, (OLD,), (None, True), id="tokens"),
        pytest.param(BY_SVID, (), (SVID, False), id="SVIDs from the beginning"),
        pytest.param(BY_SVID, (OLD, NEW), (SVID, True), id="SVIDs, and pods with tokens still"),
        pytest.param(BY_SVID, (NEW,), (SVID, False), id="SVIDs, all rolled out"),
    ],
)
def test_tokens_count_until_no_pod_has_one(
    rule: IdentityRule, pods: tuple[Pod, ...], wanted: tuple[str | None, bool]
) -> None:
    made = proofs(Role.AGENT, MATH, rule, pods=pods, current="")

    assert (made["spiffe_id"], made["service_account_token"]) == wanted
