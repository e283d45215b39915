"""Who each workload is, and what the trust plane is told of it."""

from controller.api.stack import Stack
from controller.desired.metadata import Role, key_of, workload_name
from controller.model import Key, KvEntry, Site
from runtime.contract.agent_config import Queue, TokenAccess
from runtime.contract.keys import workload_entry
from runtime.contract.subjects import Bucket, StackSubjects
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName


def policy_entry(subjects: StackSubjects, account: ObjectName, workload: Workload) -> KvEntry:
    """What the workload that runs as `account` may do on the queue of its Stack."""
    return KvEntry(subjects.bucket(Bucket.POLICY), workload_entry(account), workload.encode())


def queue_url(stack: Stack, site: Site) -> str:
    """The address of a Stack's queue: its own NATS, or the one it names."""
    external = stack.spec.messaging.external
    return external.url if external else site.queue_url(key_of(stack).object_name)


def token_access(site: Site, role: Role, owner: Key, stack: Stack) -> TokenAccess | None:
    """How a workload asks for transaction tokens; None where everybody is let in."""
    if stack.spec.auth is None:
        return None
    return TokenAccess(
        url=site.tokens_url,
        trust_domain=site.trust_domain,
        token_file=site.assertion_file(workload_name(role, owner)),
        # Once in the queue, and once for what the run waits for outside.
        grant_seconds=2 * stack.spec.retention.task_seconds if role is Role.SERVER else None,
    )


def queue_access(site: Site, role: Role, owner: Key, stack: Stack) -> Queue:
    """How a workload reaches the queue of its Stack and proves who it is."""
    account = workload_name(role, owner)
    return Queue(
        stack=key_of(stack).object_name,
        url=queue_url(stack, site),
        token_file=site.token_file(account),
        service_account=account,
    )
