"""Users, workloads and their requests to a real transaction token service."""

import json
import time
from dataclasses import dataclass, field
from typing import Any

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

from runtime.contract.agent_config import TokenAccess
from runtime.contract.trust_config import Issuer, UserIssuer, Workload
from runtime.contract.txn_token import ASSERTION_AUDIENCE, JWT_BEARER, TOKEN_EXCHANGE
from runtime.identity.exchange import TokenClient
from runtime.tests.nats import DOMAIN, RunningStack, service_account

ISSUER = "https://issuer.example/realms/agents"
AUDIENCE = "k8gentai"


@dataclass
class Users:
    """An issuer of access tokens."""

    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    def jwks(self) -> dict[str, Any]:
        return {
            "keys": [
                ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
                | {"kid": "users", "alg": "ES256"}
            ]
        }

    @property
    def trusted(self) -> UserIssuer:
        return UserIssuer(issuer=Issuer(issuer=ISSUER, jwks=self.jwks()), audience=AUDIENCE)

    def token(self, sub: str = "ada", *, without: str = "", **claims: Any) -> str:
        now = time.time()
        said = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": sub,
            "scope": "sums mail",
            "iat": int(now),
            "exp": int(now) + 300,
        } | claims
        said.pop(without, None)
        return jwt.encode(said, self.key, algorithm="ES256", headers={"kid": "users"})


def client_of(running: RunningStack, workload: Workload, url: str) -> TokenClient:
    """The product's own client, as the process of `workload` has it."""
    account = service_account(workload)
    path = running.folder / f"{account.namespace}.{account.name}.assertion"
    running.issuer.write_token(path, account, 3600, ASSERTION_AUDIENCE)
    return TokenClient(TokenAccess(url=url, trust_domain=DOMAIN, token_file=str(path)))


async def post(url: str, assertion: str, details: dict[str, Any], **fields: str) -> httpx.Response:
    """One request as anybody could make it."""
    form = {
        "grant_type": TOKEN_EXCHANGE,
        "audience": DOMAIN,
        "client_assertion": assertion,
        "client_assertion_type": JWT_BEARER,
        "request_details": json.dumps(details),
    } | fields
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(f"{url}/token", data=form)
