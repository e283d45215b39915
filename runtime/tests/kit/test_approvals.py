"""A call that needs a person, in every framework that is installed here: parked, and gone on."""

import asyncio
import time
from typing import Any

import pytest

from runtime.adapters.registry import MODULES, build
from runtime.contract.agent_config import Framework
from runtime.contract.approval import Verdict
from runtime.contract.messages import Task
from runtime.contract.runs import RunState
from runtime.tests.agent.test_handler import MATH, Place
from runtime.tests.agent.test_parking import BINDING, decided
from runtime.tests.agents import ADD, SPEC, Config
from runtime.tests.clients import closed_clients
from runtime.tests.kit.test_frameworks import is_installed
from runtime.tools.approvals import Approvals
from runtime.tools.numbering import Numbering
from runtime.tools.port import Agreement, Announce, ToolFunction
from runtime.worker.outcomes import Done

__all__ = ["closed_clients"]  # a fixture

pytestmark = [
    pytest.mark.integration,
    pytest.mark.usefixtures("closed_clients"),
    # One event loop for all, as in a worker: the clients of models keep their connections in it.
    pytest.mark.asyncio(loop_scope="module"),
    # CrewAI reads the fields that it has deprecated.
    pytest.mark.filterwarnings("ignore:(.* is )?deprecated:DeprecationWarning"),
]


class Adding:
    """A toolbox whose only function adds once a person agrees; `made` are the calls it made."""

    def __init__(self) -> None:
        self.made: list[dict[str, Any]] = []
        self.asked = 0.0

    def bind(
        self,
        task: Task,
        announce: Announce,
        numbering: Numbering | None = None,
        agreement: Agreement | None = None,
    ) -> tuple[ToolFunction, ...]:
        del task, announce, numbering
        assert isinstance(agreement, Approvals)

        async def call(arguments: dict[str, Any]) -> str:
            self.asked = time.monotonic()
            await agreement.agreed(str(arguments), "add", "{}", seconds=60)
            self.made.append(arguments)
            return str(arguments["a"] + arguments["b"])

        return (ToolFunction(SPEC, ADD, call),)


@pytest.mark.parametrize("framework", [one for one in MODULES if is_installed(one)])
async def test_a_run_parks_within_a_second_and_goes_on_when_somebody_agrees(
    framework: Framework, request: pytest.FixtureRequest, config: Config
) -> None:
    llama = framework is Framework.LLAMA_STACK
    url = request.getfixturevalue("stack_url" if llama else "model_url")
    model = "small/stand-in" if llama else "stand-in"
    place, toolbox = Place(), Adding()
    made = config(framework=framework, url=url, model=model, tools=(BINDING,))
    place.handler.config = made.model_copy(update={"agent": MATH})
    place.handler.adapter = await build(place.handler.config, (SPEC,))
    place.handler.toolbox = toolbox
    task = await place.accept("What is 12 + 30?")

    assert await asyncio.wait_for(place.handler.handle(await place.delivery()), 60) == Done()
    assert time.monotonic() - toolbox.asked < 1
    record = await place.record(task)
    assert (record.state, len(record.approvals), toolbox.made) == (RunState.PARKED, 1, [])

    await decided(place, task, Verdict.APPROVED)
    assert await asyncio.wait_for(place.handler.handle(await place.delivery()), 60) == Done()
    record = await place.record(task)
    assert record.state is RunState.COMPLETED, record.message
    assert "42" in (record.text or "")
    assert toolbox.made == [{"a": 12, "b": 30}]
