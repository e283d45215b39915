"""When an object is reconciled."""

import asyncio
import contextlib
import itertools
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from datetime import datetime
from typing import Any

import pytest

from controller import wake
from controller.api.names import (
    API_VERSION,
    LABEL_OWNER_KIND,
    LABEL_OWNER_NAME,
    Component,
    Kind,
    child_labels,
)
from controller.errors import ClusterUnavailable
from controller.model import ChildRef, Key, Manifest, Progress
from controller.wake import Wakes

MATH = Key(Kind.AGENT, "team", "math")
STACK = Key(Kind.STACK, "team", "default")
ADD = Key(Kind.TOOL, "team", "add")
LAST = Key(Kind.TOOL, "team", "last")
MODULE = ChildRef("v1", "ConfigMap", "team", "math-agent")


class Reconciles:
    """What a reconcile is told to give, in order; then nothing more to do."""

    def __init__(self, *script: Progress | BaseException) -> None:
        self.count: Counter[Key] = Counter()
        self.at: list[float] = []
        self.under_way = 0
        self.most_under_way = 0
        self.lasts = 0.0
        self._script = itertools.chain(script, itertools.repeat(Progress()))

    async def __call__(self, key: Key, now: datetime) -> Progress:
        assert now.tzinfo is not None
        self.count[key] += 1
        self.at.append(asyncio.get_running_loop().time())
        self.under_way += 1
        self.most_under_way = max(self.under_way, self.most_under_way)
        try:
            await asyncio.sleep(self.lasts)
        finally:
            self.under_way -= 1
        step = next(self._script)
        if isinstance(step, BaseException):
            raise step
        return step

    async def another(self, key: Key) -> None:
        """Wait until `key`, which was just woken, has been reconciled once more."""
        before = self.count[key]
        await until(lambda: self.count[key] == before + 1)


@contextlib.asynccontextmanager
async def kept(wakes: Wakes, reconciles: Reconciles, *keys: Key) -> AsyncIterator[None]:
    """From the first reconcile of each on."""
    tasks = [asyncio.create_task(wakes.keep(key)) for key in keys]
    await until(lambda: all(reconciles.count[key] for key in keys))
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def all_quiet(wakes: Wakes, reconciles: Reconciles) -> None:
    """Wait until whoever was woken by now would have been reconciled, and again if need be.

    All are woken in the same way and in their order; `LAST` is woken after them.
    """
    async with kept(wakes, reconciles, LAST):
        for _ in range(3):
            wakes.wake(LAST)
            await reconciles.another(LAST)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not holds():
            await asyncio.sleep(0.001)


def agent(
    *, uid: str = "1", generation: int = 1, tools: Iterable[str] = ("add",), **more: Any
) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": "Agent",
        "metadata": {
            "namespace": "team",
            "name": "math",
            "uid": uid,
            "generation": generation,
            **more,
        },
        "spec": {
            "stackRef": {"name": "default"},
            "framework": "LangGraph",
            "source": {
                "module": {"entrypoint": "math_agent:graph", "configMapRef": {"name": MODULE.name}}
            },
            "tools": [{"toolRef": {"name": name}} for name in tools],
        },
    }


def stack(*, ready: str = "False", models: int = 0) -> Manifest:
    return {
        "apiVersion": API_VERSION,
        "kind": "Stack",
        "metadata": {"namespace": "team", "name": "default", "uid": "s", "generation": 1},
        "spec": {},
        "status": {
            "conditions": [{"type": "Ready", "status": ready, "reason": "Ready", "message": "…"}],
            "models": [{}] * models,
        },
    }


async def test_who_begins_to_keep_an_object_reconciles_it() -> None:
    reconciles = Reconciles()
    async with kept(Wakes(reconciles), reconciles, MATH):
        assert reconciles.count[MATH] == 1


async def test_many_wakes_are_one_reconcile() -> None:
    reconciles = Reconciles()
    wakes = Wakes(reconciles)
    async with kept(wakes, reconciles, MATH):
        for _ in range(100):
            wakes.wake(MATH)
        await all_quiet(wakes, reconciles)

    assert reconciles.count[MATH] == 2


async def test_a_wake_during_a_reconcile_is_another_one_afterwards() -> None:
    """It may have read the world before what the wake is about."""
    reconciles = Reconciles()
    reconciles.lasts = 0.05
    wakes = Wakes(reconciles)
    async with kept(wakes, reconciles, MATH):
        assert reconciles.under_way == 1
        wakes.wake(MATH)
        await until(lambda: reconciles.count[MATH] == 2)
        await all_quiet(wakes, reconciles)

    assert reconciles.count[MATH] == 2


async def test_an_object_is_not_reconciled_twice_at_once_and_others_need_not_wait() -> None:
    reconciles = Reconciles()
    reconciles.lasts = 0.02
    wakes = Wakes(reconciles)
    async with kept(wakes, reconciles, MATH, MATH, MATH):
        await until(lambda: reconciles.count[MATH] == 3)
        assert reconciles.most_under_way == 1
    async with kept(wakes, reconciles, MATH, ADD, STACK):
        assert reconciles.under_way == 3


async def test_an_object_nobody_wakes_is_looked_at_now_and_then() -> None:
    reconciles = Reconciles()
    async with kept(Wakes(reconciles, resync=0.02), reconciles, MATH):
        await until(lambda: reconciles.count[MATH] >= 4)


async def test_what_asks_for_another_reconcile_gets_it_ever_later() -> None:
    reconciles = Reconciles(*[Progress(again_in=0.02)] * 5)
    async with kept(Wakes(reconciles), reconciles, MATH):
        await until(lambda: reconciles.count[MATH] == 5)

    waits = [after - before for before, after in itertools.pairwise(reconciles.at)]
    for wait, asked in zip(waits, (0.02, 0.04, 0.08, 0.16), strict=True):
        assert asked * 0.9 <= wait < asked * 1.1 + 0.05


async def test_a_wake_ends_the_backing_off() -> None:
    reconciles = Reconciles(*[Progress(again_in=0.02)] * 3, Progress(again_in=60.0))
    wakes = Wakes(reconciles)
    async with kept(wakes, reconciles, MATH):
        await until(lambda: reconciles.count[MATH] == 4)
        wakes.wake(MATH)
        await until(lambda: reconciles.count[MATH] == 5)


@pytest.mark.parametrize(
    "error", [ClusterUnavailable(), ZeroDivisionError(), asyncio.CancelledError()], ids=repr
)
async def test_a_failure_is_tried_again_and_touches_nobody_else(
    error: BaseException, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ClusterUnavailable, "retry_after", 0.01)
    monkeypatch.setattr(wake, "FAULT_SECONDS", 0.01)
    reconciles = Reconciles(error, error)
    async with kept(Wakes(reconciles), reconciles, MATH):
        await until(lambda: reconciles.count[MATH] == 3)
        await asyncio.sleep(0.05)  # several times as long as a failure waits

    assert reconciles.count[MATH] == 3


async def test_a_deletion_is_pursued_until_nothing_is_left() -> None:
    reconciles = Reconciles(
        Progress(again_in=0.01),
        ClusterUnavailable(),
        Progress(again_in=60),
        Progress(finished=True),
    )
    wakes = Wakes(reconciles)
    finishing = asyncio.create_task(wakes.finish(MATH))
    async with asyncio.timeout(5):
        while not finishing.done():
            wakes.wake(MATH)
            await asyncio.sleep(0.01)

    assert reconciles.count[MATH] == 4
    assert not wakes._triggers, "nothing is remembered of it"


async def test_a_deletion_waits_for_the_reconcile_under_way() -> None:
    reconciles = Reconciles(Progress(), Progress(finished=True))
    reconciles.lasts = 0.03
    wakes = Wakes(reconciles)
    async with kept(wakes, reconciles, MATH):
        await wakes.finish(MATH)

    assert reconciles.most_under_way == 1


async def test_a_change_of_the_object_wakes_it_and_what_it_wrote_itself_does_not() -> None:
    reconciles = Reconciles()
    wakes = Wakes(reconciles)
    wakes.seen(MATH, agent())
    async with kept(wakes, reconciles, MATH):
        wakes.seen(MATH, {**agent(), "status": {"conditions": [{"type": "Ready"}]}})
        await all_quiet(wakes, reconciles)
        assert reconciles.count[MATH] == 1

        for news in (
            agent(generation=2),
            agent(generation=2, deletionTimestamp="2026-11-22T16:00:00Z"),
            agent(uid="2"),
        ):
            wakes.seen(MATH, news)
            await reconciles.another(MATH)


async def test_a_child_wakes_its_owner_and_what_is_no_child_nobody() -> None:
    reconciles = Reconciles()
    wakes = Wakes(reconciles)
    labels = child_labels(MATH.kind, MATH.namespace, MATH.name, Component.WORKER)
    async with kept(wakes, reconciles, MATH):
        wakes.wake_owner(labels)
        await reconciles.another(MATH)
        wakes.wake_owner({**labels, LABEL_OWNER_NAME: "other"})
        wakes.wake_owner({LABEL_OWNER_KIND: "deployment"})
        await all_quiet(wakes, reconciles)

    assert reconciles.count[MATH] == 2


async def test_what_a_spec_names_wakes_it() -> None:
    reconciles = Reconciles()
    wakes = Wakes(reconciles)
    wakes.seen(MATH, agent())
    async with kept(wakes, reconciles, MATH):
        for ref in (STACK.ref, ADD.ref, MODULE):
            wakes.wake_referrers(ref)
            await reconciles.another(MATH)
        wakes.wake_referrers(ChildRef("v1", "ConfigMap", "other", MODULE.name))
        await all_quiet(wakes, reconciles)

    assert reconciles.count[MATH] == 4


async def test_what_a_spec_names_no_more_does_not_wake_it() -> None:
    reconciles = Reconciles()
    wakes = Wakes(reconciles)
    wakes.seen(MATH, agent())
    wakes.seen(MATH, agent(generation=2, tools=()))
    async with kept(wakes, reconciles, MATH):
        wakes.wake_referrers(ADD.ref)
        await all_quiet(wakes, reconciles)
        assert reconciles.count[MATH] == 1

        wakes.gone(MATH, "1")
        wakes.wake_referrers(STACK.ref)
        await all_quiet(wakes, reconciles)

    assert reconciles.count[MATH] == 1
    assert not wakes._referrers


async def test_a_stack_wakes_its_agents_for_its_conditions_and_not_for_its_numbers() -> None:
    reconciles = Reconciles()
    wakes = Wakes(reconciles)
    wakes.seen(MATH, agent())
    wakes.seen(STACK, stack())
    async with kept(wakes, reconciles, MATH):
        wakes.seen(STACK, stack(models=3))
        await all_quiet(wakes, reconciles)
        assert reconciles.count[MATH] == 1

        wakes.seen(STACK, stack(ready="True"))
        await until(lambda: reconciles.count[MATH] == 2)

        wakes.gone(STACK, "s")
        await until(lambda: reconciles.count[MATH] == 3)


async def test_a_stack_that_leaves_a_nats_wakes_those_that_want_it() -> None:
    other = Key(Kind.STACK, "team", "other")
    external = {"spec": {"models": [], "messaging": {"external": {"url": "nats://a,nats://b"}}}}
    mine = {**stack(), **external}
    metadata = {**mine["metadata"], "name": "other", "uid": "o"}
    reconciles = Reconciles()
    wakes = Wakes(reconciles)
    wakes.seen(STACK, mine)
    wakes.seen(other, {**mine, "metadata": metadata})
    async with kept(wakes, reconciles, other):
        wakes.seen(STACK, {**mine, "status": {}})
        await all_quiet(wakes, reconciles)
        assert reconciles.count[other] == 1

        managed = {**stack(), "metadata": {**mine["metadata"], "generation": 2}}
        wakes.seen(STACK, managed)
        await until(lambda: reconciles.count[other] == 2)

        wakes.seen(STACK, mine)
        wakes.gone(STACK, "s")
        await until(lambda: reconciles.count[other] == 3)


def policy(*targets: str) -> Manifest:
    refs = [dict(zip(("kind", "name"), one.split("/"), strict=True)) for one in targets]
    metadata = {"name": "who", "namespace": "team", "uid": "p", "generation": len(refs)}
    return {
        "apiVersion": API_VERSION,
        "kind": "IdentityPolicy",
        "metadata": metadata,
        "spec": {"targetRefs": refs},
    }


async def test_a_policy_wakes_whom_it_is_attached_to() -> None:
    """Of a Stack also its agents; who was attached to it, too, and nobody else."""
    who = Key(Kind.IDENTITY_POLICY, "team", "who")
    reconciles = Reconciles()
    wakes = Wakes(reconciles)
    wakes.seen(MATH, agent())
    async with kept(wakes, reconciles, MATH):
        wakes.seen(who, policy("Tool/add"))
        await all_quiet(wakes, reconciles)
        assert reconciles.count[MATH] == 1

        wakes.seen(who, policy("Tool/add", "Stack/default"))
        await until(lambda: reconciles.count[MATH] == 2)
        wakes.seen(who, policy("Tool/add", "Stack/default"))
        await all_quiet(wakes, reconciles)
        assert reconciles.count[MATH] == 2
        wakes.seen(who, policy("Tool/add"))
        await until(lambda: reconciles.count[MATH] == 3)
        wakes.seen(who, policy("Agent/math", "Tool/add"))
        await until(lambda: reconciles.count[MATH] == 4)
        wakes.gone(who, "p")
        await until(lambda: reconciles.count[MATH] == 5)


async def test_the_end_of_an_object_does_not_forget_its_successor() -> None:
    """The watch may tell of a re-created object before it tells of the end of the first."""
    reconciles = Reconciles()
    wakes = Wakes(reconciles)
    wakes.seen(MATH, agent(uid="1"))
    wakes.seen(MATH, agent(uid="2"))
    wakes.gone(MATH, "1")
    async with kept(wakes, reconciles, MATH):
        wakes.wake_referrers(ADD.ref)
        await until(lambda: reconciles.count[MATH] == 2)


def test_an_object_that_cannot_be_read_refers_to_nothing() -> None:
    wakes = Wakes(Reconciles())
    wakes.seen(MATH, agent())
    wakes.seen(MATH, {**agent(generation=2), "spec": {"framework": 7}})

    assert not wakes._referrers
