"""What the trust plane is told, and what each workload may do on the queue."""

import hashlib
from enum import StrEnum
from typing import Any

from runtime.contract.value import ObjectName, Value, Versioned


class Role(StrEnum):
    """What a workload is to the queue of a Stack."""

    OPERATOR = "Operator"
    SERVER = "Server"
    DISPATCHER = "Dispatcher"
    AGENT = "Agent"
    TOOL = "Tool"


class Workload(Versioned):
    """What the workload with one ServiceAccount is, under `subjects.workload_entry` in `policy`.

    Shape:
        name     of the Agent, Tool or Stack that it serves.
        durable  the consumer it may pull from (Agent and Tool); an Agent also from the
                 `subjects.asked_durable` beside it.
        calls    the Tools it may call (Agent).
        asks     the Agents it may call (Agent). Both are without what policies deny.
        suspended  it may do nothing (Agent); null: it may.
        spiffe_id              of the SVIDs that prove it; null: none does.
        service_account_token  whether a token of its ServiceAccount proves it.
    """

    role: Role
    name: ObjectName
    durable: str | None = None
    calls: tuple[ObjectName, ...] = ()
    asks: tuple[ObjectName, ...] = ()
    suspended: bool | None = None
    spiffe_id: str | None = None
    service_account_token: bool = True

    @property
    def digest(self) -> str:
        """12 hexadecimal digits that another entry of the same workload has not."""
        return hashlib.sha256(self.encode()).hexdigest()[:12]


class Issuer(Value):
    """Who signs tokens that prove an identity.

    Shape:
        issuer    the `iss` claim; or a trust domain, `spiffe://<trust domain>`, that signs SVIDs:
                  these are told by their `sub`.
        jwks      the key set itself, or null and
        jwks_url  where it is fetched, with `ca_file` and the bearer token in `token_file`. Null:
                  where the issuer says (OpenID Connect Discovery).
        ca        certificates (PEM) of the authorities that vouch for its addresses, in place of
                  those in `ca_file`; with neither, those that are known everywhere do.
    """

    issuer: str
    jwks: dict[str, Any] | None = None
    jwks_url: str | None = None
    ca_file: str | None = None
    ca: str | None = None
    token_file: str | None = None


class UserIssuer(Value):
    """Who signs the access tokens of a Stack's users.

    Shape:
        audience  that each of them must be for.
    """

    issuer: Issuer
    audience: str


class TrustedStack(Value):
    """One Stack whose NATS server asks the trust plane.

    Shape:
        users  null: nobody can ask in the name of a user.
    """

    stack: ObjectName
    url: str
    users: UserIssuer | None = None


LONGEST_GRANT_SECONDS = 7 * 86400
"""No grant lives longer; keys that were taken out of use are published for as long."""


class TokenRules(Value):
    """What holds for every grant and every transaction token of an installation.

    Shape:
        service       who the transaction token service is in tokens, a SPIFFE ID.
        trust_domain  for which transaction tokens are good, and no other.
        max_hops      how many agents may act one for the other.

    Units:
        `token_seconds`, `grant_seconds`: how long a transaction token and a grant live at most.
    """

    service: str
    trust_domain: str
    token_seconds: int = 120
    grant_seconds: int = LONGEST_GRANT_SECONDS
    max_hops: int = 5


class TokenService(Value):
    """The transaction token service.

    Shape:
        audience           that a workload's token must be for to count as its client assertion.
        signing_keys_file  `SigningKeys` as JSON; read again and again.
    """

    port: int
    rules: TokenRules
    audience: str
    signing_keys_file: str


class TrustConfig(Versioned):
    """`trust.json`.

    Shape:
        audience           that every workload token must be for.
        operator           ServiceAccount of the operator, which may do everything in `WORK`.
        account_seed_file  nkey seed of the account that signs the users it admits.
        user_seed_file     nkey seed of the trust plane's own user in the account `AUTH`.
        xkey_seed_file     seed of the xkey for which NATS seals what it asks.
        tokens             null: an operator from before there was the service has written it.
    """

    audience: str = "k8gentai"
    issuers: tuple[Issuer, ...]
    operator: ObjectName
    account_seed_file: str
    user_seed_file: str
    xkey_seed_file: str
    tokens: TokenService | None = None
    stacks: tuple[TrustedStack, ...] = ()


USER_SECONDS = 600  # how long the queue lets a workload in for one proof, at most
