"""Who asks: a user of the Stack's issuer, an agent that asks for a model, the operator, or nobody.

Source:
    RFC 6750, section 3 (what a bearer token is refused with); OpenAI API reference, "Errors".
"""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

from runtime.amf.errors import ApiError, Forbidden, IssuerAway, OutOfReach, Unauthenticated
from runtime.amf.known import KnownAgents
from runtime.contract.access import User
from runtime.contract.auth_config import SERVER_AUDIENCE, ServerAuth, workload_principal
from runtime.contract.value import ObjectName
from runtime.identity import tokens
from runtime.identity.keys import IssuerKeys, discovery_url
from runtime.identity.tokens import Reason, claimed_issuer
from runtime.identity.users import UserVerifier
from runtime.identity.workloads import WorkloadVerifier

OF_AGENTS: Final = re.compile(
    r"/v1/(chat/completions|completions|embeddings|models|responses|conversations)(/.*)?"
)
"""Where models are asked, by any of the frameworks."""
OF_THE_OPERATOR: Final = re.compile(r"/v1/(models|providers)")
RETRY_SECONDS: Final = 5

WHY: Final[Mapping[Reason, str]] = MappingProxyType(
    {
        Reason.MALFORMED_TOKEN: "it is no whole JWT",
        Reason.ALGORITHM: "it is not signed with an algorithm that is accepted here",
        Reason.UNKNOWN_ISSUER: "it is of another issuer",
        Reason.UNKNOWN_KEY: "it is signed with a key that its issuer does not publish",
        Reason.SIGNATURE: "its signature is wrong",
        Reason.AUDIENCE: "it is for another audience",
        Reason.EXPIRED: "it has expired",
        Reason.CLOCK: "it is not valid yet, so one of the two clocks is wrong",
        Reason.NO_ACCESS_TOKEN: "it is no access token",
        Reason.NO_USER: "its subject is no name of a user",
        Reason.NO_SERVICE_ACCOUNT: "its subject is no workload",
        Reason.NO_WORKLOAD: "its subject is no workload",
    }
)
"""What is wrong with a token, for whoever has sent it."""


class Callers:
    """Those whom the server of a Stack lets in.

    Shape:
        agents  of the Stack; None while nobody knows them.
    """

    def __init__(self, auth: ServerAuth, agents: Callable[[], KnownAgents | None]) -> None:
        self._auth = auth
        self._agents = agents
        self._keys = IssuerKeys([auth.users])
        self._users = UserVerifier(self._keys, auth.audience)
        self._workloads = WorkloadVerifier(IssuerKeys(auth.workloads), SERVER_AUDIENCE)

    @property
    def discovery(self) -> str:
        """Where clients read how to log in (OpenID Connect Discovery)."""
        return discovery_url(self._auth.users.issuer)

    def why_not(self) -> str | None:
        """What keeps new users from being let in, None if nothing does; it asks behind our back."""
        why = self._keys.look(self._auth.users.issuer)
        return why and (
            f"the keys of spec.auth.issuer {self._auth.users.issuer} cannot be fetched, so users "
            f"are refused whose keys are not known from before: {why}; let the issuer be reachable "
            "from the server, or correct the field"
        )

    async def caller(self, token: str, method: str, path: str) -> User:
        """As whom the bearer of `token` may do what he asks for, with what it says of him.

        Raises:
            Unauthenticated: nothing proves who it is.
            Forbidden: a workload that may not do that.
            IssuerAway, OutOfReach: nobody can say who it is.
        """
        try:
            if claimed_issuer(token) != self._auth.users.issuer:
                account = (await self._workloads.identity(token)).service_account
                self._check_workload(account, method, path)
                return User(principal=workload_principal(account))
            user = await self._users.user(token)
            return User(principal=user.principal, claims=user.described)
        except tokens.Refused as refused:
            raise self._refusal(refused) from refused

    def _check_workload(self, account: ObjectName, method: str, path: str) -> None:
        if account == self._auth.operator:
            if method == "GET" and OF_THE_OPERATOR.fullmatch(path):
                return
            raise Forbidden("The operator may ask which models and providers there are, no more.")
        agents = self._agents()
        if agents is None or not agents.read.is_set():
            message = f"Nobody knows yet whether {account} is an Agent's; ask again in a while."
            raise OutOfReach(message, retry_after=RETRY_SECONDS)
        if account not in agents.service_accounts:
            raise Forbidden(f"{account} is no workload of an Agent of this Stack.")
        if not OF_AGENTS.fullmatch(path):
            raise Forbidden("An agent may ask models here, and nothing else.")

    def _refusal(self, refused: tokens.Refused) -> ApiError:
        issuer, audience = self._auth.users.issuer, self._auth.audience
        if refused.reason is Reason.KEYS_UNREACHABLE:
            message = "The keys of the token's issuer cannot be fetched; ask again in a while."
            return IssuerAway(message, retry_after=RETRY_SECONDS)
        is_without = refused.reason is Reason.NO_TOKEN
        why = "There is no token" if is_without else f"The token is refused: {WHY[refused.reason]}"
        return Unauthenticated(
            f"{why}. Send an access token of {issuer} for the audience {audience} as Authorization:"
            " Bearer <token>, which clients of OpenAI's API make of their api_key.",
            is_without=is_without,
        )
