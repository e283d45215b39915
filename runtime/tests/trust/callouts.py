"""A Stack that is answered for, without a server: what one would ask, and what it reads."""

import random
import time
from typing import Any

import nkeys

from controller.clients.nkeys import account_seed, public_xkey, user_seed, xkey_seed
from controller.local.issuer import LocalIssuer
from runtime.contract.subjects import Bucket
from runtime.contract.value import ObjectName
from runtime.identity.keys import IssuerKeys
from runtime.identity.workloads import WorkloadVerifier
from runtime.transport.port import Unavailable
from runtime.trust.callout import XKEY_HEADER, Callout
from runtime.trust.nkeys import Signer
from runtime.trust.xkeys import Xkey

NOW = 1_800_000_000.0
USER = Signer(user_seed()).public_key
SERVER_SEED, TRUST_SEED = xkey_seed(), xkey_seed()
SERVER_XKEY, TRUST_XKEY = public_xkey(SERVER_SEED), public_xkey(TRUST_SEED)
MATH = ObjectName(namespace="team", name="agent-math")


def a_server() -> Signer:
    """The key pair of a NATS server; the nkeys library makes seeds of servers as well."""
    seed = nkeys.encode_seed(random.randbytes(32), nkeys.PREFIX_BYTE_SERVER)
    return Signer(seed.decode())


def request(server: Signer, **other: Any) -> dict[str, Any]:
    body = {
        "server_id": {"id": server.public_key, "name": "nats-default-0", "xkey": SERVER_XKEY},
        "user_nkey": USER,
        "client_info": {"host": "10.0.0.7"},
        "connect_opts": {"auth_token": "the token", "name": "agent-math"},
    }
    return {"aud": "nats-authorization-request", "iat": NOW, "nats": body} | other


class Stack:
    """A Stack whose `policy` bucket holds what the test says; its issuer and server are real."""

    def __init__(self, server: Signer) -> None:
        self.server = server
        self.issuer = LocalIssuer("k8gentai")
        self.policy: dict[str, bytes] = {}
        self.is_down = False
        keys = IssuerKeys((self.issuer.trusted(),))
        self.verifier = WorkloadVerifier(keys, "k8gentai")
        self.signer, self.xkey = Signer(account_seed()), Xkey(TRUST_SEED)
        self.operator = ObjectName(namespace="system", name="operator")
        self.callout = Callout(
            ObjectName(namespace="team", name="default"), lambda: self, self.newest
        )

    async def newest(self, bucket: Bucket, key: str) -> bytes | None:
        if self.is_down:
            raise Unavailable("the server is away")
        return self.policy.get(f"{bucket}/{key}")

    async def answer(self, service_account: ObjectName) -> bytes | None:
        """What the server reads of the answer to somebody with a good token."""
        return await self.sent(self.issuer.token(service_account, 600))

    async def sent(self, token: str, seed: str = SERVER_SEED, **other: Any) -> bytes | None:
        """The same to whoever brings `token`; `seed` seals, `other` is what the server claims."""
        claims = request(self.server, iat=time.time(), **other)
        claims["nats"]["connect_opts"]["auth_token"] = token
        sealed = Xkey(seed).seal(self.server.sign(claims).encode(), TRUST_XKEY)
        answer = await self.callout.answer(sealed, {XKEY_HEADER: public_xkey(seed)})
        return answer and Xkey(seed).open(answer, TRUST_XKEY)
