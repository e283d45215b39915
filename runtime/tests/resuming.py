"""One task of an agent of any framework, and the attempts at it, some of which are cut off.

Tools, ledger and checkpoints are the real ones on a queue in memory, the model is the stand-in.
"""

import asyncio
import contextlib
import itertools
import json
import logging
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import pytest
import pytest_asyncio

from runtime.adapters.port import Adapter, AgentFailure, Run, Step
from runtime.adapters.registry import build
from runtime.contract.agent_config import AgentConfig, Declarative, Framework
from runtime.contract.catalogue import FunctionSpec
from runtime.contract.handover import Handover
from runtime.contract.messages import Options, ResponseOptions
from runtime.contract.subjects import Bucket
from runtime.kit.proxy import Endpoint, ModelProxy
from runtime.state.checkpoints import Checkpoint, Checkpoints
from runtime.tests.adapter_contract import TOTAL
from runtime.tests.agents import CLIENTS, SPEC, Config, answer, asking, cost, steps_of, text
from runtime.tests.tools.place import MATH, Place, Scripted, adding, task
from runtime.tools.client_calls import ClientCalls
from runtime.tools.numbering import Numbering
from runtime.tools.port import ToolFunction
from runtime.tools.waiting import Waiting
from runtime.transport.memory_store import MemoryBuckets, MemoryStore

SUMS = "What is 1 + 2 + 3?"
"""Two calls of `add`, one after the other, and so three turns of the model."""
EQUAL = "What is 0 + 0 + 0?"
"""The same, and the two calls are equal."""


@dataclass
class Attempts:
    """The attempts at one task; each has an adapter of its own, as in another process.

    Shape:
        kept_in  where the attempts keep how far they have come.
    """

    config: AgentConfig
    proxy: ModelProxy
    stream: bool = False
    other_model: str = "slow-1"
    restarts: bool = False
    spec: FunctionSpec = SPEC
    place: Place = field(default_factory=Place)
    kept_in: MemoryBuckets = field(default_factory=MemoryBuckets)
    made: int = 0
    handovers: tuple[Handover, ...] = ()

    def __post_init__(self) -> None:
        self.place.executor = Scripted(adding, (self.spec,))
        self.place.handler = replace(self.place.handler, executor=self.place.executor)

    async def whole(self, question: str = SUMS, **facts: Any) -> list[Step]:
        """The next attempt, to its end."""
        async with self._tools() as (tools, numbering):
            adapter = await build(self.config, (self.spec,))
            return await steps_of(adapter, self._run(question, tools, numbering, **facts))

    async def cut(self, question: str = SUMS, *, calls: int = 1, **facts: Any) -> list[Step]:
        """The next attempt, which is killed when so many calls of tools have their results.

        It is cancelled, which a process that is killed is not: what it keeps from then on is lost.
        """
        reached, left, lasting = asyncio.Event(), calls, self.kept_in

        def last(function: ToolFunction) -> ToolFunction:
            async def call(arguments: dict[str, Any]) -> str:
                nonlocal left, lasting
                result = await function.call(arguments)
                left -= 1
                if left == 0:
                    lasting = _copy(self.kept_in)
                    reached.set()
                    await asyncio.Event().wait()
                return result

            return replace(function, call=call)

        steps: list[Step] = []

        async def go(adapter: Adapter, run: Run) -> None:
            async for step in adapter.run(run):
                steps.append(step)  # noqa: PERF401  # what came until the end is what counts

        async with self._tools() as (tools, numbering):
            adapter = await build(self.config, (self.spec,))
            run = self._run(question, tuple(map(last, tools)), numbering, **facts)
            going = asyncio.create_task(go(adapter, run))
            waiting = asyncio.create_task(reached.wait())
            await asyncio.wait({going, waiting}, timeout=60, return_when="FIRST_COMPLETED")
            assert reached.is_set(), going
            going.cancel()
            await asyncio.wait({going}, timeout=10)
        self.kept_in = lasting
        return steps

    async def with_client(self, question: str = SUMS) -> list[Step]:
        """The next attempt, which has no tools but one of its client: to its end, or to a call."""
        numbering, asked = Numbering(), asyncio.Event()
        calls = ClientCalls(handovers=self.handovers, waiting=Waiting(on_needed=asked.set))
        tools = calls.bind((CLIENTS,), numbering, owner=MATH)
        run = self._run(question, tools, numbering, functions=(CLIENTS,))
        adapter = await build(self.config, ())
        going = asyncio.create_task(steps_of(adapter, run))
        waiting = asyncio.create_task(asked.wait())
        await asyncio.wait({going, waiting}, timeout=60, return_when="FIRST_COMPLETED")
        if not asked.is_set():
            waiting.cancel()
            return await going
        going.cancel()
        await asyncio.wait({going}, timeout=10)
        made = Handover(calls=tuple(calls.needed), attempt=self.made, seq=1, asked=0, expires=1)
        given = [str(await adding("add", json.loads(call.arguments))) for call in calls.needed]
        self.handovers += (made.giving(given, 1, ResponseOptions()),)
        return []

    def _run(
        self, question: str, tools: tuple[ToolFunction, ...], numbering: Numbering, **facts: Any
    ) -> Run:
        self.made += 1
        return replace(
            asking(question, *tools),
            attempt=self.made,
            options=Options(stream=self.stream, **facts),
            checkpoint=None if self.restarts else self._checkpoint,
            numbering=numbering,
        )

    @contextlib.asynccontextmanager
    async def _tools(self) -> AsyncIterator[tuple[tuple[ToolFunction, ...], Numbering]]:
        numbering = Numbering()
        async with self.place.working(), self.place.toolbox() as box:
            yield box.bind(task(seconds=60), self.place.tell, numbering), numbering

    async def kept(self) -> bytes | None:
        """What the last attempt has kept."""
        return await self._checkpoint.load()

    async def put(self, data: bytes) -> None:
        """Keep something else in the place of what was kept."""
        checkpoint = self._checkpoint
        await checkpoint.load()
        await checkpoint.save(lambda: data)

    def change(self, what: str) -> None:
        """Let the next attempt be one of another version of the agent."""
        config = self.config
        match what:
            case "instructions":
                other = Declarative(instructions="You do sums well.")
                self.config = config.model_copy(update={"declarative": other})
            case "model":
                other_model = config.model.model_copy(update={"id": self.other_model})
                self.config = config.model_copy(update={"model": other_model})
            case "tools":
                self.spec = SPEC.model_copy(update={"description": "Add two whole numbers."})

    @property
    def _checkpoint(self) -> Checkpoint:
        store = MemoryStore(self.kept_in, Bucket.CHECKPOINTS)
        return Checkpoints(store).of(MATH, task().id, self.made)

    @property
    def effects(self) -> list[dict[str, Any]]:
        """What the tool was asked to do."""
        return self.place.executor.asked

    @property
    def questions(self) -> list[str]:
        """What the model was asked, in all attempts."""
        return [json.dumps(call.body, sort_keys=True) for call in self.proxy.calls]


def _copy(buckets: MemoryBuckets) -> MemoryBuckets:
    """What the buckets hold now, whatever is written to them later."""
    entries = {name: dict(held) for name, held in buckets.entries.items()}
    return MemoryBuckets(entries, itertools.count(next(buckets.revisions)))


@contextlib.asynccontextmanager
async def listened(url: str) -> AsyncIterator[ModelProxy]:
    """The model at `url` with somebody between who hears what it is asked."""
    async with ModelProxy(Endpoint(url)).serving() as proxy:
        yield proxy


type Made = Callable[..., Attempts]
"""Attempts at a task of the agent under test; `stream` is theirs, further facts its spec's."""


@pytest_asyncio.fixture(loop_scope="module")
async def attempts(request: pytest.FixtureRequest, config: Config) -> AsyncIterator[Made]:
    """Attempts at a task of an agent from instructions, of the framework of the test's class."""
    contract: type[ResumeContract] = request.cls
    async with listened(request.getfixturevalue(contract.served_by)) as proxy:

        def made(*, stream: bool = False, restarts: bool = False, **facts: Any) -> Attempts:
            proxy.calls.clear()
            given = {"framework": contract.framework, "model": contract.model, **facts}
            return Attempts(
                config(url=proxy.url, **given),
                proxy,
                stream=stream,
                restarts=restarts,
                other_model=contract.other_model,
            )

        yield made


async def goes_on(attempts: Made, question: str, calls: int, *, stream: bool = False) -> None:
    expected = await attempts(stream=stream).whole(question)
    place = attempts(stream=stream)
    await place.cut(question, calls=calls)
    assert len(place.questions) == calls
    steps = await place.whole(question)
    assert answer(steps) == answer(expected)
    assert cost(steps) == cost(expected)
    assert text(steps) == (answer(steps) if stream else "")
    assert len(place.effects) == 2
    assert len(place.questions) == len(set(place.questions)) == 3


def why_not(caplog: pytest.LogCaptureFixture) -> str:
    """What the log says of a checkpoint that was not used."""
    (record,) = [one for one in caplog.records if one.levelno >= logging.WARNING]
    assert record.message == "a checkpoint cannot be used; the run begins anew"
    return str(record.__dict__["error"])


def newer(kept: bytes) -> bytes:
    return json.dumps(json.loads(kept) | {"schema": 2}).encode()


def hollow(kept: bytes) -> bytes:
    return json.dumps(json.loads(kept) | {"said": [0]}).encode()


class ResumeContract:
    """What a run of every framework keeps, and how the next attempt goes on.

    Shape:
        served_by           the fixture whose value is the address of the model.
        model, other_model  names that it knows there.
    """

    framework: ClassVar[Framework]
    served_by: ClassVar[str] = "model_url"
    model: ClassVar[str] = "stand-in"
    other_model: ClassVar[str] = "slow-1"

    @pytest.mark.fault(1)
    @pytest.mark.parametrize("stream", [False, True])
    @pytest.mark.parametrize("calls", [1, 2])
    async def test_a_run_goes_on(
        self,
        attempts: Made,
        calls: int,
        stream: bool,  # a parameter of the table
    ) -> None:
        """The model is asked nothing twice, and no tool does twice what it has done."""
        await goes_on(attempts, SUMS, calls, stream=stream)

    async def test_a_run_goes_on_to_the_form_that_is_wanted(self, attempts: Made) -> None:
        expected = answer(await attempts().whole(output=TOTAL))
        assert set(json.loads(expected)) == {"total"}
        place = attempts()
        await place.cut(calls=2, output=TOTAL)
        assert answer(await place.whole(output=TOTAL)) == expected
        assert len(place.effects) == 2
        assert len(place.questions) == len(set(place.questions)) == 3

    @pytest.mark.parametrize("stream", [False, True])
    async def test_a_run_that_calls_its_client_goes_on_with_each_output(
        self,
        attempts: Made,
        stream: bool,  # a parameter of the table
    ) -> None:
        expected = await attempts(stream=stream).whole()
        place = attempts(stream=stream)
        assert await place.with_client() == []
        assert await place.with_client() == []
        steps = await place.with_client()
        assert answer(steps) == answer(expected)
        assert cost(steps) == cost(expected)
        assert len(place.handovers) == 2
        assert len(place.questions) == len(set(place.questions)) == 3

    async def test_it_goes_on_as_often_as_need_be(self, attempts: Made) -> None:
        place = attempts()
        await place.cut()
        await place.cut(calls=2)
        assert "6" in answer(await place.whole())
        assert len(place.effects) == 2
        assert len(place.questions) == len(set(place.questions)) == 3

    async def test_a_run_of_one_turn_keeps_nothing(self, attempts: Made) -> None:
        place = attempts()
        await place.whole("Hello")
        assert await place.kept() is None

    async def test_an_agent_that_restarts_keeps_nothing_and_asks_again(
        self, attempts: Made
    ) -> None:
        place = attempts(restarts=True)
        await place.cut(calls=2)
        assert await place.kept() is None
        assert "6" in answer(await place.whole())
        assert len(place.effects) == 2
        assert len(place.questions) == 2 + 3

    @pytest.mark.parametrize(
        ("changed", "said"),
        [
            pytest.param(lambda _: b"\xc1garbage", "Invalid JSON", id="damaged"),
            pytest.param(newer, "schema", id="newer"),
            pytest.param(hollow, "", id="hollow"),
        ],
    )
    async def test_what_cannot_be_used_begins_the_run_anew(
        self,
        attempts: Made,
        caplog: pytest.LogCaptureFixture,
        changed: Callable[[bytes], bytes],
        said: str,
    ) -> None:
        place = attempts()
        await place.cut(calls=2)
        kept = await place.kept()
        assert kept is not None
        await place.put(changed(kept))
        with caplog.at_level(logging.WARNING):
            assert "6" in answer(await place.whole())
        assert said in why_not(caplog)
        assert len(place.effects) == 2
        assert len(place.questions) == 2 + 3

    @pytest.mark.parametrize("change", ["instructions", "model", "tools"])
    async def test_another_version_of_the_agent_begins_anew(
        self, attempts: Made, caplog: pytest.LogCaptureFixture, change: str
    ) -> None:
        place = attempts()
        await place.cut(calls=2)
        place.change(change)
        with caplog.at_level(logging.WARNING):
            assert "6" in answer(await place.whole())
        assert "other instructions, code, model or tools" in why_not(caplog)
        assert len(place.effects) == 2
        assert len(place.questions) == 2 + 3

    async def test_attempts_share_the_limit_of_turns(self, attempts: Made) -> None:
        place = attempts(iterations=2)
        await place.cut(calls=2)
        with pytest.raises(AgentFailure, match="maxIterations"):
            await place.whole()
        assert len(place.questions) == 2

    async def test_no_key_is_kept(self, attempts: Made, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "canary")
        place = attempts()
        await place.cut(calls=2)
        kept = await place.kept()
        assert kept is not None
        assert b"canary" not in kept
        assert b"uthorization" not in kept


class EqualCallsContract(ResumeContract):
    """The same of frameworks that let a model make one call twice in a row."""

    async def test_equal_calls_of_the_client_have_each_an_output(self, attempts: Made) -> None:
        place = attempts()
        for _ in range(2):
            assert await place.with_client(EQUAL) == []
        assert answer(await place.with_client(EQUAL)) == answer(await attempts().whole(EQUAL))
        assert len({call.key for one in place.handovers for call in one.calls}) == 2

    @pytest.mark.fault(1)
    @pytest.mark.parametrize("calls", [1, 2])
    async def test_equal_calls_are_told_apart(self, attempts: Made, calls: int) -> None:
        """Each has an effect of its own, in whatever attempt it is made."""
        await goes_on(attempts, EQUAL, calls)
