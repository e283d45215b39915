"""What is kept of a run, and which answer belongs to which question."""

import logging
from dataclasses import replace
from typing import Any

import pytest

from runtime.adapters.progress import Checkpointer, Progress, made_of
from runtime.contract.agent_config import AgentConfig, Declarative, Framework, Model, Module
from runtime.contract.messages import TokenUsage
from runtime.kit.resuming import Kept
from runtime.tests.agents import MATH, QUEUE, SPEC, asking
from runtime.tools.numbering import Numbering


def checkpointer(kept: Kept, attempt: int = 1, made_for: str = "this") -> Checkpointer:
    run = replace(asking(), attempt=attempt, checkpoint=kept, numbering=Numbering())
    return Checkpointer(run, made_for)


async def test_calls_and_costs_count_in_the_next_attempt() -> None:
    kept = Kept()
    first = checkpointer(kept)
    first.run.numbering.take("add")
    first.spent = TokenUsage(input_tokens=3, output_tokens=2)
    await first.save(lambda: ["said"])
    second = checkpointer(kept, 2)
    assert await second.found(list) == ["said"]
    assert second.spent == first.spent
    assert second.run.numbering.take("add") == 1


def broken(_said: Any) -> Any:
    raise ImportError("no such class")


@pytest.mark.parametrize(
    ("data", "made_for", "read", "why"),
    [
        pytest.param(b"{", "this", list, "Invalid JSON", id="damaged"),
        pytest.param(b"{}", "this", list, "Field required", id="empty"),
        pytest.param(
            Progress(made_for="this", said=[]).encode().replace(b'"schema":1', b'"schema":2'),
            "this",
            list,
            "schema",
            id="newer",
        ),
        pytest.param(
            Progress(made_for="that", said=[]).encode(), "this", list, "other", id="another's"
        ),
        pytest.param(
            Progress(made_for="this", calls=(("add", 0),), said=[]).encode(),
            "this",
            broken,
            "no such class",
            id="unreadable",
        ),
    ],
)
async def test_what_cannot_be_used_counts_for_nothing(
    data: bytes, made_for: str, read: Any, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    second = checkpointer(Kept(data), 2, made_for)
    assert await second.found(read) is None
    assert len(second.run.numbering) == 0
    assert second.spent == TokenUsage()
    assert why in caplog.records[0].__dict__["error"]


async def test_what_cannot_be_written_ends_the_keeping(caplog: pytest.LogCaptureFixture) -> None:
    kept = Kept()
    one = checkpointer(kept)
    with caplog.at_level(logging.WARNING):
        await one.save(lambda: ["said"])
        before = kept.data
        await one.save(lambda: [object()])
        await one.save(lambda: ["said", "more"])
    assert kept.data == before
    assert [record.message for record in caplog.records] == [
        "the run cannot be kept; a crash would begin anew"
    ]


CONFIG = AgentConfig(
    agent=MATH,
    queue=QUEUE,
    durable="d",
    framework=Framework.AG2,
    declarative=Declarative(instructions="You do sums."),
    model=Model(id="m", base_url="http://one/v1"),
)


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"model": Model(id="m", base_url="http://two/v1")}, True, id="address"),
        pytest.param({"declarative": Declarative(instructions="x")}, False, id="instructions"),
        pytest.param({"model": Model(id="n", base_url="http://one/v1")}, False, id="model"),
        pytest.param({"framework": Framework.BEEAI}, False, id="framework"),
        pytest.param({"declarative": None, "module": Module(entrypoint="a:b")}, False, id="module"),
    ],
)
def test_what_makes_another_agent(change: dict[str, Any], same: bool) -> None:
    other = CONFIG.model_copy(update=change)
    assert (made_of(other, (SPEC,)) == made_of(CONFIG, (SPEC,))) is same
    assert made_of(CONFIG, ()) != made_of(CONFIG, (SPEC,)) != made_of(CONFIG, (SPEC,), "more")


@pytest.mark.parametrize(
    ("change", "same"),
    [
        pytest.param({"path": "/elsewhere"}, True, id="place"),
        pytest.param({"revision": "two"}, False, id="revision"),
        pytest.param({"revision": None}, False, id="nobody knows"),
        pytest.param({"entrypoint": "a:c"}, False, id="entrypoint"),
    ],
)
def test_what_makes_other_code(change: dict[str, Any], same: bool) -> None:
    module = Module(entrypoint="a:b", path="/here", revision="one")
    one, other = (
        CONFIG.model_copy(update={"declarative": None, "module": found})
        for found in (module, module.model_copy(update=change))
    )
    assert (made_of(other, (SPEC,)) == made_of(one, (SPEC,))) is same
