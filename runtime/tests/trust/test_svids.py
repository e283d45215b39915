"""What the trust plane makes of SVIDs, with real keys of two trust domains and of Kubernetes."""

import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from runtime.contract.trust_config import Issuer, Role, Workload
from runtime.contract.value import ObjectName
from runtime.identity.keys import IssuerKeys
from runtime.identity.tokens import Reason, Refused
from runtime.identity.workloads import WorkloadVerifier
from runtime.tests.trust.callouts import Stack, a_server

NOW = 1_800_000_000.0
KUBERNETES = "https://kubernetes.default.svc"
DOMAIN, OTHER = "spiffe://example.org", "spiffe://other.org"
KEYS = {issuer: ec.generate_private_key(ec.SECP256R1()) for issuer in (KUBERNETES, DOMAIN)}
MATH = ObjectName(namespace="team", name="agent-math")
SVID = f"{DOMAIN}/ns/team/agent/math"
TOKEN = "system:serviceaccount:team:agent-math"


def issuer(name: str) -> Issuer:
    # Both call their key by one name: it is the authority that has to be told apart.
    key = ECAlgorithm.to_jwk(KEYS[name].public_key(), as_dict=True) | {"kid": "1"}
    return Issuer(issuer=name, jwks={"keys": [key]})


VERIFIER = WorkloadVerifier(IssuerKeys((issuer(KUBERNETES), issuer(DOMAIN))), "k8gentai")


def signed(sub: str, by: str = DOMAIN, **other: Any) -> str:
    claims = {"sub": sub, "aud": ["k8gentai"], "iat": NOW, "exp": NOW + 300} | other
    return jwt.encode(claims, KEYS[by], algorithm="ES256", headers={"kid": "1"})


@pytest.mark.parametrize("more", [{}, {"iss": "https://oidc.example.org"}], ids=["no iss", "iss"])
async def test_an_svid_proves_the_service_account_its_workload_runs_as(
    more: dict[str, str],
) -> None:
    identity = await VERIFIER.identity(signed(SVID, **more), NOW)

    assert (identity.service_account, identity.spiffe_id) == (MATH, SVID)
    assert identity.expires == NOW + 300


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        pytest.param(
            signed(f"{OTHER}/ns/team/agent/math"), Reason.UNKNOWN_ISSUER, id="another trust domain"
        ),
        pytest.param(signed(SVID, by=KUBERNETES), Reason.SIGNATURE, id="signed by Kubernetes"),
        pytest.param(
            signed(SVID, by=KUBERNETES, iss=KUBERNETES),
            Reason.SIGNATURE,
            id="Kubernetes speaks for SPIRE",
        ),
        pytest.param(
            signed(TOKEN, iss=KUBERNETES), Reason.SIGNATURE, id="SPIRE speaks for Kubernetes"
        ),
        pytest.param(
            signed(TOKEN, iss=DOMAIN), Reason.UNKNOWN_ISSUER, id="a service account of SPIRE's"
        ),
        pytest.param(signed(SVID, aud=["keycloak"]), Reason.AUDIENCE, id="another audience"),
        pytest.param(signed(SVID, exp=NOW - 1), Reason.EXPIRED, id="expired"),
        pytest.param(
            signed(f"{DOMAIN}/spire/server"), Reason.NO_WORKLOAD, id="the SPIRE server's own"
        ),
        pytest.param(signed(f"{DOMAIN}/ns/team/sa/agent-math"), Reason.NO_WORKLOAD, id="no kind"),
        pytest.param(signed(f"{DOMAIN}/ns/team/agent/a.b"), Reason.NO_WORKLOAD, id="a dot"),
        pytest.param(signed(DOMAIN), Reason.NO_WORKLOAD, id="a trust domain"),
        pytest.param(signed("spiffe://"), Reason.UNKNOWN_ISSUER, id="no trust domain"),
    ],
)
async def test_an_authority_speaks_for_its_own_alone(token: str, reason: Reason) -> None:
    with pytest.raises(Refused) as refused:
        await VERIFIER.identity(token, NOW)
    assert refused.value.reason is reason


def knowing(**workload: Any) -> Stack:
    """A Stack that knows one agent, as `workload` says."""
    stack = Stack(a_server())
    stack.verifier = VERIFIER
    stack.operator = ObjectName(namespace="team", name="agent-chief")
    name = ObjectName(namespace="team", name="math")
    entry = Workload(role=Role.AGENT, name=name, durable="math-1", **workload)
    stack.policy["policy/workloads.team.agent-math"] = entry.encode()
    return stack


def fresh(sub: str, **other: Any) -> str:
    by = KUBERNETES if sub == TOKEN else DOMAIN
    return signed(sub, by, iss=by, iat=time.time(), exp=time.time() + 300, **other)


@pytest.mark.parametrize(
    ("workload", "token", "is_let_in"),
    [
        pytest.param({}, TOKEN, True, id="no policy: its token"),
        pytest.param({}, SVID, False, id="no policy: no SVID"),
        pytest.param(
            {"spiffe_id": SVID, "service_account_token": False}, SVID, True, id="SPIRE: its SVID"
        ),
        pytest.param(
            {"spiffe_id": SVID, "service_account_token": False}, TOKEN, False, id="SPIRE: no token"
        ),
        pytest.param({"spiffe_id": SVID}, TOKEN, True, id="while it rolls out: its token, too"),
        pytest.param(
            {"spiffe_id": f"{OTHER}/ns/team/agent/math"}, SVID, False, id="of another trust domain"
        ),
    ],
)
async def test_a_workload_proves_itself_as_its_policy_says(
    workload: dict[str, Any], token: str, is_let_in: bool
) -> None:
    assert (await knowing(**workload).sent(fresh(token)) is not None) is is_let_in


async def test_an_svid_is_never_the_operator(caplog: pytest.LogCaptureFixture) -> None:
    """The operator is named by its ServiceAccount, and an SVID can name one of that name."""
    chief = f"{DOMAIN}/ns/team/agent/chief"

    assert await knowing().sent(fresh(chief)) is None

    (line,) = caplog.records
    assert (vars(line)["who"], vars(line)["reason"]) == (chief, "unknown workload")
