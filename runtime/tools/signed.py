"""Whether a call that was delivered is work, and the token that it carries on."""

from dataclasses import dataclass, field

from runtime.contract.messages import Call
from runtime.contract.spiffe import SpiffeId, WorkloadKind
from runtime.contract.work import call_work
from runtime.identity.delegation import Delegations
from runtime.identity.exchange import Held, NotGranted, ServiceAway
from runtime.tools.port import ToolFailure


@dataclass(slots=True)
class CallTokens:
    """The transaction tokens of one call: a new one for each request that it makes."""

    delegations: Delegations
    call: Call
    _first: Held | None

    async def jwt(self) -> str:
        """See `TokenSource`."""
        if (first := self._first) is not None:
            self._first = None
            return first.jwt
        try:
            held = await self.delegations.fresh(self.call.grant, call_work(self.call))
        except (NotGranted, ServiceAway) as error:
            raise ToolFailure(f"{self.call.function} may not go on: {error}") from error
        return held.jwt


@dataclass(frozen=True, slots=True)
class SignedCalls:
    """Checks the grants of calls; without `delegations` the Stack is open, and all is work."""

    delegations: Delegations | None = field(default=None)

    async def tokens(self, call: Call) -> CallTokens | None:
        """What the call carries on; None on an open Stack.

        Raises:
            NotGranted: nobody has granted this call to this tool, or another agent makes it.
            ServiceAway: nobody can say for now.
        """
        if self.delegations is None:
            return None
        held = await self.delegations.fresh(call.grant, call_work(call))
        trust_domain = self.delegations.client.trust_domain
        agent = SpiffeId(trust_domain=trust_domain, kind=WorkloadKind.AGENT, owner=call.caller)
        if held.token.act[:1] != (str(agent),):
            raise NotGranted("the grant is another agent's")
        return CallTokens(self.delegations, call, held)
