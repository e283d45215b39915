"""The transaction tokens of one worker process: had for a grant, kept while they are good."""

import logging
import time
from typing import Final, Self

from runtime.contract.agent_config import AgentConfig, ToolConfig
from runtime.contract.txn_token import Work
from runtime.identity.exchange import Held, NotGranted, TokenClient

audit = logging.getLogger("k8gentai.audit")

LEFT_SECONDS: Final = 30.0
"""A token that ends sooner is not begun anything with."""


class Delegations:
    """What users let a worker do, each for one task or call."""

    def __init__(self, client: TokenClient) -> None:
        self.client = client
        self._held: dict[str, Held] = {}

    @classmethod
    def of(cls, config: AgentConfig | ToolConfig) -> Self | None:
        """Those of a worker; None on an open Stack, which has none.

        Raises:
            ValueError: grants are required, and nothing says where they are traded.
        """
        if not config.require_grant:
            return None
        if config.tokens is None:
            raise ValueError("requireGrant is set, and tokens is missing")
        return cls(TokenClient(config.tokens))

    async def fresh(self, grant: str | None, work: Work) -> Held:
        """A new token: the service looks again whether user and workload are still allowed.

        Raises:
            NotGranted: the grant is not there, or not for this work and this workload.
            ServiceAway: nobody can say for now.
        """
        if grant is None:
            raise NotGranted("there is no grant")
        held = await self.client.trade(grant, work)
        now = time.time()
        self._held = {one: kept for one, kept in self._held.items() if kept.token.expires > now}
        self._held[grant] = held
        return held

    async def held(self, grant: str | None, work: Work) -> Held:
        """The token that there is, or a new one if it ends soon.

        Raises:
            NotGranted, ServiceAway: see `fresh`.
        """
        kept = self._held.get(grant or "")
        if kept is not None and kept.token.expires > time.time() + LEFT_SECONDS:
            return kept
        return await self.fresh(grant, work)


def refused(subject: str, work: str, why: str) -> None:
    """One line of the audit log for a message that is not work, whatever it arrived under."""
    audit.warning(
        "message refused",
        extra={"what": "refused", "reason": f"unsigned: {why}", "subject": subject, "work": work},
    )
