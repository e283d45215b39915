import copy
from datetime import UTC, datetime, timedelta

from controller.api.names import Kind
from controller.model import Key, Progress
from controller.reconcile import World, reconcile
from controller.tests import samples
from controller.tests.fakes import FakeCluster, FakeQueue, Outside

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


class Scene:
    """An outside, an operator in it, and the time."""

    def __init__(self, outside: Outside | None = None) -> None:
        self.outside = outside or Outside.new()
        self.world: World = self.outside.world()
        self.now = NOW

    def copy(self) -> "Scene":
        """The same scene with a new operator in it."""
        return Scene(copy.deepcopy(self.outside))

    @property
    def cluster(self) -> FakeCluster:
        return self.outside.cluster

    @property
    def queue(self) -> FakeQueue:
        return self.outside.streams.at(samples.QUEUE_URL)

    def wait(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)

    def delete(self, key: Key) -> None:
        self.cluster.mark_deleted(key, self.now.strftime("%Y-%m-%dT%H:%M:%SZ"))

    def nats_is_down(self) -> None:
        self.outside.streams.down.add(samples.QUEUE_URL)

    def nats_is_back(self) -> None:
        self.outside.streams.down.clear()

    async def reconcile(self, key: Key) -> Progress:
        """One step; a finalizer goes when nothing of the object is left."""
        progress = await reconcile(key, self.world, self.now)
        if progress.finished:
            self.cluster.objects.pop(key, None)
        return progress

    async def rest(self, *keys: Key) -> None:
        """Reconcile until nothing changes any more; Kubernetes' own controllers do their part."""
        for _ in range(10):
            before = self.outside.snapshot()
            for key in keys:
                await self.reconcile(key)
            self.cluster.settle()
            if self.outside.snapshot() == before:
                return
        raise AssertionError("it does not come to rest")


def with_code(scene: Scene) -> Scene:
    scene.cluster.config_maps["team", "arithmetic"] = {"arithmetic.py": "def add(a, b): ..."}
    return scene


async def running(scene: Scene) -> tuple[Key, Key, Key]:
    """A Stack, a Tool and an Agent that uses it, all of them at rest and ready."""
    with_code(scene)
    keys = (
        scene.cluster.put(samples.stack()),
        scene.cluster.put(samples.tool()),
        scene.cluster.put(samples.agent(tools=[{"toolRef": {"name": "add"}}])),
    )
    await scene.rest(*keys)
    assert all(is_true(scene, key, "Ready") for key in keys)
    return keys


def is_true(scene: Scene, key: Key, condition: str) -> bool:
    return bool(scene.cluster.condition(key, condition)["status"] == "True")


def told(scene: Scene, key: Key, condition: str) -> tuple[str, str, str]:
    found = scene.cluster.condition(key, condition)
    return found["status"], found["reason"], found["message"]


def key_of(kind: Kind, name: str, namespace: str = "team") -> Key:
    return Key(kind, namespace, name)
