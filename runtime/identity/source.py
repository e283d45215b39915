"""Which of its two proofs a workload shows to the queue."""

from runtime.contract.agent_config import Queue
from runtime.identity.token import ProofSource
from runtime.identity.token_file import TokenFile


def proof_source(queue: Queue) -> ProofSource:
    """Where the proof comes from that `queue` names.

    Raises:
        ValueError: it names none.
    """
    if queue.workload_api is not None:
        # Only who has SVIDs pays for the client of the Workload API.
        from runtime.identity.svid import SvidSource  # noqa: PLC0415

        return SvidSource(queue.workload_api)
    if queue.token_file is None:
        raise ValueError(f"nothing proves {queue.service_account} to its queue")
    return TokenFile(queue.token_file)
