"""What the trust plane is told, and what each workload may do on the queue."""

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
        asks     the Agents it may call (Agent).
        spiffe_id              of the SVIDs that prove it; null: none does.
        service_account_token  whether a token of its ServiceAccount proves it.
    """

    role: Role
    name: ObjectName
    durable: str | None = None
    calls: tuple[ObjectName, ...] = ()
    asks: tuple[ObjectName, ...] = ()
    spiffe_id: str | None = None
    service_account_token: bool = True


class Issuer(Value):
    """Who signs the tokens that prove a workload's identity.

    Shape:
        issuer    the `iss` claim; or a trust domain, `spiffe://<trust domain>`, that signs SVIDs:
                  these are told by their `sub`.
        jwks      the key set itself, or null and
        jwks_url  where it is fetched, with `ca_file` and the bearer token in `token_file`.
    """

    issuer: str
    jwks: dict[str, Any] | None = None
    jwks_url: str | None = None
    ca_file: str | None = None
    token_file: str | None = None


class TrustedStack(Value):
    """One Stack whose NATS server asks the trust plane."""

    stack: ObjectName
    url: str


class TrustConfig(Versioned):
    """`trust.json`.

    Shape:
        audience           that every workload token must be for.
        operator           ServiceAccount of the operator, which may do everything in `WORK`.
        account_seed_file  nkey seed of the account that signs the users it admits.
        user_seed_file     nkey seed of the trust plane's own user in the account `AUTH`.
    """

    audience: str = "k8gentai"
    issuers: tuple[Issuer, ...]
    operator: ObjectName
    account_seed_file: str
    user_seed_file: str
    stacks: tuple[TrustedStack, ...] = ()


USER_SECONDS = 600  # how long the queue lets a workload in for one proof, at most
