"""A kit that cannot fail proves nothing: each broken adapter fails what it breaks, and no more."""

import asyncio

import pytest
import pytest_asyncio

from runtime.adapters.registry import build
from runtime.contract.agent_config import Framework
from runtime.kit.check import SCENARIOS, Subject, config_of, proved
from runtime.kit.proxy import Endpoint, ModelProxy
from runtime.kit.report import Result, Verdict
from runtime.kit.trial import SPECS, Trial
from runtime.tests.kit.broken import BROKEN, Break

pytestmark = [
    pytest.mark.integration,
    pytest.mark.timeout(400),
    pytest.mark.asyncio(loop_scope="module"),
]

AT_ONCE = 14  # they wait more than they work

type Results = dict[str, tuple[Result, ...]]


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def results(model_url: str, closed_clients: None) -> Results:
    """The results of all broken adapters, by how they are broken."""
    del closed_clients  # when all is over
    few = asyncio.Semaphore(AT_ONCE)

    async def checked(broken: Break) -> tuple[Result, ...]:
        stand_in = Endpoint(model_url, "stand-in")
        async with few, ModelProxy(stand_in, stand_in).serving() as proxy:
            adapter = await build(
                config_of(Subject(framework=Framework.LANGGRAPH), proxy, "stand-in"), SPECS
            )
            return await proved(Trial(adapter=broken(adapter), proxy=proxy), lambda _: None)

    found = await asyncio.gather(*(checked(broken) for broken, _ in BROKEN.values()))
    return dict(zip(BROKEN, found, strict=True))


@pytest.mark.parametrize("name", BROKEN)
async def test_a_broken_adapter_fails_what_it_breaks(name: str, results: Results) -> None:
    seen = {one.scenario: one.seen for one in results[name] if one.verdict is Verdict.FAILED}
    assert set(seen) == BROKEN[name][1], seen


async def test_every_scenario_is_failed_by_one_of_them() -> None:
    assert {name for _, broken in BROKEN.values() for name in broken} == {
        scenario.name for scenario in SCENARIOS
    }
