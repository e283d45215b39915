"""Whom the server of a Stack lets in."""

from typing import Final

from runtime.contract.trust_config import Issuer
from runtime.contract.value import ObjectName, Value

SERVER_AUDIENCE: Final = "k8gentai-server"
"""For whom the tokens are that workloads show to servers of Stacks. What they show to the queue is
for another audience, so no server can pass for one of its agents there."""

SYSTEM_PREFIX: Final = "system:serviceaccount:"
"""What the names of workloads begin with, as Kubernetes writes them; a user's begins with https."""


class ServerAuth(Value):
    """Whose tokens the server of a Stack accepts.

    Shape:
        users      who signs the tokens of users, and `audience` that they must be for.
        workloads  who signs those of workloads.
        operator   the ServiceAccount that may ask how the server is.
    """

    users: Issuer
    audience: str
    workloads: tuple[Issuer, ...]
    operator: ObjectName


def workload_principal(service_account: ObjectName) -> str:
    """The name of a workload for the server, which no user can have."""
    return f"{SYSTEM_PREFIX}{service_account.namespace}:{service_account.name}"
