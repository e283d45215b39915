"""The agent from instructions of every framework that is installed here shows what it can do."""

import subprocess
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import pytest

from runtime.adapters.registry import MODULES
from runtime.contract.agent_config import Framework
from runtime.kit.check import DISTRIBUTIONS, SCENARIOS
from runtime.kit.limits import LIMITS
from runtime.kit.report import Report, Verdict

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

ROOT = Path(__file__).parents[3]


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
    file = tmp_path / "report.json"
    options = ["--framework", framework, *stand_in(framework, request), "--report", str(file)]
    done = subprocess.run(
        [sys.executable, "-m", "runtime", "check", *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr

    report = Report.decode(file.read_bytes())
    limits = {name for of, name in LIMITS if of is framework}
    assert {result.scenario: result.verdict for result in report.results} == {
        scenario.name: Verdict.CANNOT if scenario.name in limits else Verdict.PROVED
        for scenario in SCENARIOS
    }
