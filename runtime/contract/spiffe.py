"""SPIFFE IDs: how a workload is named by those that do not know Kubernetes.

Source:
    SPIFFE-ID specification, section 2 (trust domain and path).
"""

import re
from enum import StrEnum
from typing import override

from runtime.contract.value import ObjectName, Value

SCHEME = "spiffe://"
_ID = re.compile(
    r"spiffe://(?P<domain>[-._a-z0-9]+)"
    r"/ns/(?P<namespace>[-a-z0-9]+)/(?P<kind>[a-z]+)/(?P<name>[-.a-z0-9]+)"
)


class WorkloadKind(StrEnum):
    """What is named: the worker of an Agent or a Tool, the server of a Stack, its dispatcher."""

    AGENT = "agent"
    TOOL = "tool"
    STACK = "stack"
    DISPATCHER = "dispatcher"


_ACCOUNT_PREFIX = {
    WorkloadKind.AGENT: "agent",
    WorkloadKind.TOOL: "tool",
    WorkloadKind.STACK: "server",
    WorkloadKind.DISPATCHER: "dispatcher",
}


class SpiffeId(Value):
    """`spiffe://<trust domain>/ns/<namespace>/<kind>/<name>`.

    Shape:
        owner  the Agent, Tool or Stack.
    """

    trust_domain: str
    kind: WorkloadKind
    owner: ObjectName

    @override
    def __str__(self) -> str:
        """As it stands in the claim `sub` of a JWT-SVID."""
        path = f"ns/{self.owner.namespace}/{self.kind}/{self.owner.name}"
        return f"{trust_domain_id(self.trust_domain)}/{path}"

    @property
    def service_account(self) -> ObjectName:
        """The ServiceAccount that this workload runs as."""
        name = f"{_ACCOUNT_PREFIX[self.kind]}-{self.owner.name}"
        return ObjectName(namespace=self.owner.namespace, name=name)

    @classmethod
    def parse(cls, text: str) -> "SpiffeId":
        """The workload that `text` names.

        Raises:
            ValueError: it is no SPIFFE ID, or names no workload of ours.
        """
        found = _ID.fullmatch(text)
        if found is None:
            raise ValueError(f"{text!r} is no SPIFFE ID of a workload of ours")
        return cls(
            trust_domain=found["domain"],
            kind=WorkloadKind(found["kind"]),
            owner=ObjectName(namespace=found["namespace"], name=found["name"]),
        )


def trust_domain_id(trust_domain: str) -> str:
    """The SPIFFE ID of a trust domain: `spiffe://<trust domain>`."""
    return f"{SCHEME}{trust_domain}"


def trust_domain_of(spiffe_id: str) -> str:
    """The SPIFFE ID of the trust domain that any SPIFFE ID is of."""
    return trust_domain_id(spiffe_id.removeprefix(SCHEME).partition("/")[0])
