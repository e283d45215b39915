"""What a ServiceAccount is in a Stack, from the bucket that only the operator writes."""

from collections.abc import Awaitable, Callable

from runtime.contract.keys import workload_entry
from runtime.contract.subjects import Bucket
from runtime.contract.trust_config import Role, Workload
from runtime.contract.value import ObjectName
from runtime.identity.tokens import Reason, Refused

type Newest = Callable[[Bucket, str], Awaitable[bytes | None]]


async def workload_of(service_account: ObjectName, newest: Newest) -> Workload:
    """What the workload that runs as `service_account` is.

    Shape:
        newest  reads the newest value of a key from a bucket of the Stack.

    Raises:
        Refused: nothing, or nobody can say.
    """
    who = str(service_account)
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
