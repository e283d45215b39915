"""The workload's proof of identity: a JWT-SVID, renewed in the background."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Final

from runtime.contract.agent_config import WorkloadApi
from runtime.identity.token import NoProof, WorkloadToken
from runtime.identity.workload_api import fetch_jwt_svid

log = logging.getLogger(__name__)

RENEW_AT: Final = 0.5
"""Of what is left of its life: the agent has a new one from the half of it on."""
LEAST_SECONDS: Final = 1.0
RETRY_SECONDS: Final = 1.0

type Fetch = Callable[[str, str, str], WorkloadToken]


class SvidSource:
    """Holds a JWT-SVID that is good, from the first `read` until the process ends.

    A thread of its own fetches it, since the Workload API may wait for the kubelet, and whoever
    opens a connection must not.
    """

    def __init__(self, api: WorkloadApi, fetch: Fetch = fetch_jwt_svid) -> None:
        self._api = api
        self._fetch = fetch
        self._held: WorkloadToken | None = None
        self._why_not = f"no SVID for {api.spiffe_id} has been fetched yet"
        self._renewing: threading.Thread | None = None

    def read(self) -> WorkloadToken:
        """The SVID as it is now.

        Raises:
            NoProof: there is none, or it has ended and there is no new one.
        """
        if self._renewing is None:
            name = f"svid {self._api.audience}"
            self._renewing = threading.Thread(target=self._renew, name=name, daemon=True)
            self._renewing.start()
        held = self._held
        if held is None or held.expires <= time.time():
            raise NoProof(self._why_not)
        return held

    def _renew(self) -> None:
        while True:
            time.sleep(self._once())

    def _once(self) -> float:
        """Fetch; gives for how many seconds to wait until the next time."""
        api = self._api
        try:
            self._held = self._fetch(api.socket, api.audience, api.spiffe_id)
        except NoProof as error:
            if str(error) != self._why_not:
                log.warning("no SVID", extra={"spiffe_id": api.spiffe_id, "error": str(error)})
            self._why_not = str(error)
            return RETRY_SECONDS
        return max(LEAST_SECONDS, RENEW_AT * (self._held.expires - time.time()))
