"""Users, workloads and their requests to a real transaction token service."""

import json
from typing import Any

import httpx

from runtime.contract.agent_config import TokenAccess
from runtime.contract.trust_config import Issuer, UserIssuer, Workload
from runtime.contract.txn_token import ASSERTION_AUDIENCE, JWT_BEARER, TOKEN_EXCHANGE
from runtime.identity.exchange import TokenClient
from runtime.tests import issuer as issuers
from runtime.tests.nats import DOMAIN, RunningStack, service_account


def user_token(issuer: issuers.UserIssuer, sub: str = "ada", **claims: Any) -> str:
    """An access token of a user who may do sums and write mails."""
    return issuer.token(sub, **({"scope": "sums mail"} | claims))


def trusted(issuer: issuers.UserIssuer) -> UserIssuer:
    """What the trust plane is told of the issuer."""
    return UserIssuer(issuer=Issuer(issuer=issuer.url), audience=issuers.AUDIENCE)


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
