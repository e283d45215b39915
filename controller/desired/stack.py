"""What a Stack implies."""

from collections.abc import Iterable, Mapping

from controller.api.names import Component
from controller.api.stack import Stack
from controller.desired.identity import BY_ACCOUNT, policy_entry, proofs
from controller.desired.messaging import dispatcher_children, nats_children
from controller.desired.metadata import Role, key_of, workload_name
from controller.desired.server import server_children
from controller.desired.streams import desired_buckets, desired_streams, dispatcher_consumers
from controller.model import Desired, IdentityRule, KvEntry, Pod, Site
from runtime.contract.subjects import StackSubjects
from runtime.contract.trust_config import Role as QueueRole
from runtime.contract.trust_config import Workload


def desired_stack(
    stack: Stack,
    site: Site,
    secrets: Iterable[str] = (),
    rule: IdentityRule = BY_ACCOUNT,
    pods: Iterable[Pod] = (),
) -> Desired:
    """Everything that a Stack with nothing against it implies.

    Args:
        stack: the Stack.
        site: where things are.
        secrets: a digest of each value that its server reads from a Secret when it starts.
        rule: how its server and its dispatcher are to prove who they are.
        pods: that are there of it.
    """
    server, revision = server_children(stack, site, secrets, rule)
    dispatcher, dispatching = dispatcher_children(stack, site, rule)
    revisions = {Component.SERVER: revision, Component.DISPATCHER: dispatching}
    return Desired(
        children=(*nats_children(stack, site), *server, *dispatcher),
        bound=(dispatcher[-1].ref,),
        streams=desired_streams(stack, site),
        buckets=desired_buckets(stack, site),
        consumers=dispatcher_consumers(stack),
        entries=stack_entries(stack, rule, tuple(pods), revisions),
        revision=revision,
    )


def stack_entries(
    stack: Stack, rule: IdentityRule, pods: tuple[Pod, ...], revisions: Mapping[Component, str]
) -> tuple[KvEntry, ...]:
    """What the server and the dispatcher may do on the queue, and how they prove themselves."""
    key = key_of(stack)
    subjects = StackSubjects(key.object_name)
    return tuple(
        policy_entry(
            subjects,
            workload_name(role, key),
            Workload(
                role=queue_role,
                name=key.object_name,
                **proofs(
                    role,
                    key,
                    rule,
                    pods=(pod for pod in pods if pod.component == component),
                    current=revisions[component],
                ),
            ),
        )
        for role, queue_role, component in (
            (Role.SERVER, QueueRole.SERVER, Component.SERVER),
            (Role.DISPATCHER, QueueRole.DISPATCHER, Component.DISPATCHER),
        )
    )
