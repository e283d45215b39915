"""The queue of a Stack, looked into as the operator may."""

import asyncio
import contextlib
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from controller.clients.jetstream import JetStream
from controller.model import Consumer, ConsumerRef, QueueFacts, QueueQuery
from e2e.kubectl import Namespace, kubectl
from runtime.contract.subjects import Bucket, StackSubjects, Stream
from runtime.contract.value import ObjectName

SYSTEM = "k8gentai-system"
OPERATOR = ObjectName(namespace=SYSTEM, name="k8gentai-operator")
NATS_PORT = 4222


class Queue:
    """The queue of one Stack."""

    def __init__(self, streams: JetStream, url: str, subjects: StackSubjects) -> None:
        self.subjects = subjects
        self._streams = streams
        self._url = url

    async def work_of(self, namespace: str) -> QueueFacts:
        """What the queue has of the Agents and Tools of a namespace, but for their run records."""
        facts = await self._streams.observe(
            self._url,
            QueueQuery(
                all_consumers_of=tuple(map(self.subjects.stream, (Stream.TASKS, Stream.CALLS))),
                entries=tuple(
                    (self.subjects.bucket(bucket), pattern)
                    for bucket, pattern in (
                        (Bucket.POLICY, f"workloads.{namespace}.>"),
                        (Bucket.CATALOGUE, f"*.{namespace}.*"),
                        (Bucket.CHECKPOINTS, f"{namespace}.>"),
                        (Bucket.EFFECTS, f"{namespace}.>"),
                        (Bucket.EFFECTS, f"*.*.{namespace}.>"),
                    )
                ),
            ),
        )
        consumers = {
            ref: one for ref, one in facts.consumers.items() if f" {namespace}/" in one.owner
        }
        return QueueFacts(consumers=consumers, entries=facts.entries)

    async def consumer(self, namespace: str) -> Consumer | None:
        """The consumer of the only Agent of a namespace that has what clients want."""
        consumers = (await self.work_of(namespace)).consumers
        return consumers[min(consumers)] if consumers else None

    async def delete_consumer(self, ref: ConsumerRef) -> None:
        """As somebody might do it who does not know better."""
        await self._streams.delete_consumer(self._url, ref)

    async def change_consumer(self, consumer: Consumer) -> None:
        """The same."""
        await self._streams.apply(self._url, consumer)


@contextlib.asynccontextmanager
async def looked_into(home: Namespace, stack: str) -> AsyncIterator[Queue]:
    """The queue of a Stack, for as long as the body runs."""
    account = ["-n", SYSTEM, OPERATOR.name]
    token = kubectl("create", "token", *account, "--audience=k8gentai", "--duration=10m")
    subjects = StackSubjects(ObjectName(namespace=home.name, name=stack))
    with tempfile.TemporaryDirectory() as folder, home.reached(f"nats-{stack}", NATS_PORT) as at:
        file = Path(folder, "token")
        await asyncio.to_thread(file.write_text, token)
        async with JetStream(OPERATOR, file).running() as streams:
            yield Queue(streams, f"nats://{at}", subjects)
