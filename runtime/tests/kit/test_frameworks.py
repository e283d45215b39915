"""The agent from instructions of every framework that is installed here shows what it can do."""

from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from runtime.adapters.registry import MODULES
from runtime.contract.agent_config import Framework
from runtime.kit.check import DISTRIBUTIONS, SCENARIOS
from runtime.kit.limits import LIMITS
from runtime.kit.report import Verdict
from runtime.tests.kit.checking import report_of

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]


def is_installed(framework: Framework) -> bool:
    try:
        version(DISTRIBUTIONS[framework])
    except PackageNotFoundError:
        return False
    return True


def stand_in(framework: Framework, request: pytest.FixtureRequest) -> list[str]:
    """Where the framework finds the stand-in model; Llama Stack speaks the Responses API."""
    if framework is Framework.LLAMA_STACK:
        url = request.getfixturevalue("stack_url")
        return ["--stand-in", url, "--stand-in-model", "small/stand-in"]
    return ["--stand-in", request.getfixturevalue("model_url")]


@pytest.mark.parametrize("framework", [one for one in MODULES if is_installed(one)])
def test_a_framework_can_all_but_its_known_limits(
    framework: Framework, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    report = report_of(tmp_path, "--framework", framework, *stand_in(framework, request))
    limits = {name for (of, name), one in LIMITS.items() if of is framework and not one.own}
    assert {result.scenario: result.verdict for result in report.results} == {
        scenario.name: Verdict.CANNOT if scenario.name in limits else Verdict.PROVED
        for scenario in SCENARIOS
    }
