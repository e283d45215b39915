"""What a ServiceAccount is in a Stack, from the bucket that only the operator writes."""

from collections.abc import Awaitable, Callable

from runtime.contract.keys import workload_entry
from runtime.contract.subjects import Bucket
from runtime.contract.trust_config import Role, Workload
from runtime.contract.value import ObjectName
from runtime.identity.tokens import Reason, Refused
from runtime.identity.workloads import Identity

type Newest = Callable[[Bucket, str], Awaitable[bytes | None]]


async def workload_of(identity: Identity, newest: Newest) -> Workload:
    """What the workload that has proved to be `identity` is.

    Shape:
        newest  reads the newest value of a key from a bucket of the Stack.

    Raises:
        Refused: nothing, or nobody can say, or it is to prove itself in another way.
    """
    workload = await standing(identity.service_account, newest, identity.who)
    if not _vouched_for(identity, workload):
        raise Refused(Reason.OTHER_PROVIDER, identity.who)
    return workload


def _vouched_for(identity: Identity, workload: Workload) -> bool:
    """Whether the workload is to prove itself by this sort of token, and by this SPIFFE ID."""
    if identity.spiffe_id is None:
        return workload.service_account_token
    return identity.spiffe_id == workload.spiffe_id


async def standing(service_account: ObjectName, newest: Newest, who: str) -> Workload:
    """What may be done as `service_account`, whose subject is `who`.

    Raises:
        Refused: nothing, or nobody can say.
    """
    try:
        data = await newest(Bucket.POLICY, workload_entry(service_account))
    except Exception as error:
        raise Refused(Reason.POLICY_UNREADABLE, who) from error
    if data is None:
        raise Refused(Reason.UNKNOWN_WORKLOAD, who)
    try:
        workload = Workload.decode(data)
    except ValueError as error:
        raise Refused(Reason.POLICY_UNREADABLE, who) from error
    if workload.role is Role.OPERATOR:
        # The configuration names the operator; what a Stack's bucket says cannot.
        raise Refused(Reason.UNKNOWN_WORKLOAD, who)
    if workload.suspended:
        raise Refused(Reason.SUSPENDED, who)
    return workload
