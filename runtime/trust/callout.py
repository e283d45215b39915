"""The auth callout: whom a Stack's NATS server lets in, and with which permissions.

Source:
    NATS documentation, "Auth Callout"; ADR-26; nats-server 2.15.1, `server/auth_callout.go`.
"""

import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from runtime.contract.subjects import StackSubjects
from runtime.contract.trust_config import USER_SECONDS, Role, Workload
from runtime.contract.value import ObjectName
from runtime.identity.tokens import Reason, Refused
from runtime.identity.workloads import Identity, WorkloadVerifier
from runtime.transport.port import Unavailable
from runtime.trust.nkeys import NotSigned, Prefix, Signer, signed_claims
from runtime.trust.permissions import Permissions, permissions
from runtime.trust.workloads import Newest, standing, workload_of
from runtime.trust.xkeys import NotSealed, Xkey

audit = logging.getLogger("k8gentai.audit")

SUBJECT: Final = "$SYS.REQ.USER.AUTH"
GROUP: Final = "k8gentai-trust"
REQUEST_AUDIENCE: Final = "nats-authorization-request"
XKEY_HEADER: Final = "Nats-Server-Xkey"
"""The key that the server made for its answer when it started."""
REQUEST_SECONDS: Final = 60
"""How far the clock of a NATS server may be off ours."""
JITTER: Final = 0.1
"""User JWTs end up to this part earlier, so that workloads do not come back all at once."""
MAX_CLIENT: Final = 120


@dataclass(frozen=True, slots=True)
class Request:
    """What the server asks: may this connection in?

    Shape:
        user    public nkey that the server made for this one connection.
        server  id (public nkey) of the server, to which the answer is addressed.
        xkey    of the server, for which the answer is sealed.
        token   what the client brought, "" if nothing. Never logged.
        client  `<host> <name it gave itself>`, for the audit line.
    """

    user: str
    server: str
    xkey: str
    token: str
    client: str


def read_request(data: bytes, now: float) -> Request:
    """The request in a JWT of the server; `now` in seconds since the epoch.

    The server's key is made when it starts, so it vouches for nothing but the integrity of the
    request. That it is our server follows from the connection: only it asks in `AUTH`.

    Raises:
        Refused: it is no fresh request that the server it names has signed.
    """
    try:
        claims = signed_claims(data.decode(), Prefix.SERVER)
        body = claims["nats"]
        server, options, info = body["server_id"]["id"], body["connect_opts"], body["client_info"]
        if claims["aud"] != REQUEST_AUDIENCE or claims["iss"] != server:
            raise Refused(Reason.MALFORMED_REQUEST)
        if not abs(float(claims["iat"]) - now) <= REQUEST_SECONDS:
            raise Refused(Reason.CLOCK)
        return Request(
            user=str(body["user_nkey"]),
            server=str(server),
            xkey=str(body["server_id"]["xkey"]),
            token=str(options.get("auth_token", "")),
            client=_printable(f"{info.get('host', '')} {options.get('name', '')}".strip()),
        )
    except (NotSigned, KeyError, TypeError, AttributeError, ValueError) as error:
        raise Refused(Reason.MALFORMED_REQUEST) from error


def _opened(data: bytes, sender: str, xkey: Xkey, now: float) -> Request:
    """The request that a server has sealed with the key that it names in the request itself."""
    try:
        request = read_request(xkey.open(data, sender), now)
    except NotSealed as error:
        raise Refused(Reason.NOT_SEALED) from error
    if request.xkey != sender:
        raise Refused(Reason.MALFORMED_REQUEST)
    return request


def _printable(text: str) -> str:
    """What a client says of itself, made fit for one line of a log."""
    return "".join(c if c.isprintable() else "?" for c in text[:MAX_CLIENT])


def bearer(name: str) -> tuple[ObjectName, str] | None:
    """The ServiceAccount and the digest in the name of a user JWT; None if it is none of ours."""
    match name.split(" "):
        case [account, digest] if account.count("/") == 1:
            namespace, _, named = account.partition("/")
            return ObjectName(namespace=namespace, name=named), digest
        case _:
            return None


def admission(
    request: Request,
    identity: Identity,
    allowed: Permissions,
    signer: Signer,
    now: float,
    *,
    digest: str,
) -> bytes:
    """The answer that lets the connection in until the identity's token ends, or sooner.

    Shape:
        An authorization response around a user JWT, both signed by the account's key. The name in
        the user JWT is what NATS shows in its monitoring instead of the token: see `bearer`. The
        `digest` tells by which entry of the policy it was let in.

    Units:
        `now` in seconds since the epoch; the user JWT ends `USER_SECONDS` later at most.
    """
    jitter = random.uniform(1 - JITTER, 1)  # noqa: S311 - spreads load, protects nothing
    expires = int(min(identity.expires, now + USER_SECONDS * jitter))
    user = signer.sign(
        {
            "sub": request.user,
            "aud": str(allowed.account),
            "name": f"{identity.service_account} {digest}",
            "iat": int(now),
            "exp": expires,
            "nats": _user(allowed),
        }
    )
    return signer.sign(
        {
            "sub": request.user,
            "aud": request.server,
            "iat": int(now),
            "nats": {"type": "authorization_response", "version": 2, "jwt": user},
        }
    ).encode()


def _user(allowed: Permissions) -> dict[str, Any]:
    if not allowed.publish or not allowed.subscribe:
        raise ValueError("an empty list of subjects would allow them all")
    return {
        "type": "user",
        "version": 2,
        "pub": {"allow": list(allowed.publish)},
        "sub": {"allow": list(allowed.subscribe)},
        "subs": -1,
        "data": -1,
        "payload": -1,
    }


class Rules(Protocol):
    """What holds for all Stacks; it changes when the configuration does."""

    @property
    def verifier(self) -> WorkloadVerifier:
        """Whose tokens count."""
        ...

    @property
    def signer(self) -> Signer:
        """The key that admits."""
        ...

    @property
    def xkey(self) -> Xkey:
        """The key for which servers seal."""
        ...

    @property
    def operator(self) -> ObjectName:
        """The ServiceAccount that may do everything in `WORK`."""
        ...


class Callout:
    """Answers the requests of one Stack's NATS server, and writes one audit line for each.

    Shape:
        newest  reads the newest value of a key from a bucket of the Stack.
    """

    def __init__(self, stack: ObjectName, rules: Callable[[], Rules], newest: Newest) -> None:
        self._stack = stack
        self._subjects = StackSubjects(stack)
        self._rules = rules
        self._newest = newest

    async def answer(self, data: bytes, headers: Mapping[str, str]) -> bytes | None:
        """The admission, sealed; None for a refusal: a silent timeout slows down guessing.

        Args:
            data: the request, sealed.
            headers: `XKEY_HEADER` names the key that has sealed it.
        """
        now, rules, request = time.time(), self._rules(), None
        try:
            request = _opened(data, headers.get(XKEY_HEADER, ""), rules.xkey, now)
            identity = await rules.verifier.identity(request.token, now)
            workload = await self._workload(identity, rules)
            allowed = self._permissions(workload, identity)
        except Refused as refused:
            self._audit("refused", request, who=refused.who, reason=refused.reason)
            return None
        self._audit("admitted", request, who=identity.who, reason=workload.role)
        answer = admission(request, identity, allowed, rules.signer, now, digest=workload.digest)
        return rules.xkey.seal(answer, request.xkey)

    async def standing(self, service_account: ObjectName) -> str | None:
        """The digest of what a workload may do now, None if it would not be let in.

        Raises:
            Unavailable: the policy cannot be read.
        """
        who = str(service_account)
        try:
            if service_account == self._rules().operator:
                return self._operator.digest
            return (await standing(service_account, self._newest, who)).digest
        except Refused as refused:
            if refused.reason is Reason.POLICY_UNREADABLE:
                raise Unavailable(f"the policy of {who} cannot be read") from refused
            return None

    async def _workload(self, identity: Identity, rules: Rules) -> Workload:
        if identity.spiffe_id is None and identity.service_account == rules.operator:
            return self._operator
        return await workload_of(identity, self._newest)

    @property
    def _operator(self) -> Workload:
        return Workload(role=Role.OPERATOR, name=self._stack)

    def _permissions(self, workload: Workload, identity: Identity) -> Permissions:
        try:
            return permissions(workload, self._subjects, identity.service_account)
        except ValueError as error:
            raise Refused(Reason.POLICY_UNREADABLE, identity.who) from error

    def _audit(self, what: str, request: Request | None, *, who: str | None, reason: str) -> None:
        level = logging.INFO if what == "admitted" else logging.WARNING
        audit.log(
            level,
            "connection %s",
            what,
            extra={
                "stack": str(self._stack),
                "who": who,
                "client": request.client if request else None,
                "what": what,
                "reason": str(reason),
            },
        )
