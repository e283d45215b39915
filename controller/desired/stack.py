"""What a Stack implies."""

from collections.abc import Iterable

from controller.api.stack import Stack
from controller.desired.identity import policy_entry
from controller.desired.messaging import dispatcher_children, nats_children
from controller.desired.metadata import Role, key_of, workload_name
from controller.desired.server import server_children
from controller.desired.streams import desired_buckets, desired_streams, dispatcher_consumers
from controller.model import Desired, KvEntry, Site
from runtime.contract.subjects import StackSubjects
from runtime.contract.trust_config import Role as QueueRole
from runtime.contract.trust_config import Workload


def desired_stack(stack: Stack, site: Site, secrets: Iterable[str] = ()) -> Desired:
    """Everything that a Stack with nothing against it implies.

    Args:
        stack: the Stack.
        site: where things are.
        secrets: a digest of each value that its server reads from a Secret when it starts.
    """
    server, revision = server_children(stack, site, secrets)
    dispatcher = dispatcher_children(stack, site)
    return Desired(
        children=(*nats_children(stack, site), *server, *dispatcher),
        bound=(dispatcher[-1].ref,),
        streams=desired_streams(stack, site),
        buckets=desired_buckets(stack, site),
        consumers=dispatcher_consumers(stack),
        entries=stack_entries(stack),
        revision=revision,
    )


def stack_entries(stack: Stack) -> tuple[KvEntry, ...]:
    """What the server and the dispatcher may do on the queue."""
    key = key_of(stack)
    subjects = StackSubjects(key.object_name)
    return tuple(
        policy_entry(
            subjects,
            workload_name(role, key),
            Workload(role=queue_role, name=key.object_name),
        )
        for role, queue_role in (
            (Role.SERVER, QueueRole.SERVER),
            (Role.DISPATCHER, QueueRole.DISPATCHER),
        )
    )
