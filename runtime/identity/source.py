"""Which of its two proofs a workload shows: to the queue, or for transaction tokens."""

from runtime.contract.agent_config import Queue, TokenAccess
from runtime.identity.token import ProofSource
from runtime.identity.token_file import TokenFile


def proof_source(access: Queue | TokenAccess) -> ProofSource:
    """Where the proof comes from that `access` names.

    Raises:
        ValueError: it names none.
    """
    if access.workload_api is not None:
        # Only who has SVIDs pays for the client of the Workload API.
        from runtime.identity.svid import SvidSource  # noqa: PLC0415

        return SvidSource(access.workload_api)
    if access.token_file is None:
        raise ValueError(f"nothing proves to {access.url} who asks")
    return TokenFile(access.token_file)
