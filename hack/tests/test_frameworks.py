"""The page of frameworks is what the kit found, about all that the runtime knows."""

from hack.frameworks import MODULE, PAGE, module, page, read
from runtime.adapters.registry import MODULES
from runtime.contract.agent_config import Framework
from runtime.kit.capabilities import SCENARIOS_BY_CAPABILITY, capabilities
from runtime.kit.check import SCENARIOS
from runtime.kit.limits import LIMITS
from runtime.kit.report import Report, Result, Verdict


def test_the_page_is_made_from_the_results() -> None:
    assert PAGE.read_text() == page(read()), "run `make frameworks`"


def test_what_the_operator_reports_is_made_from_the_results() -> None:
    assert MODULE.read_text() == module(read()), "run `make frameworks`"


def test_every_scenario_stands_for_one_capability() -> None:
    named = sorted(name for names in SCENARIOS_BY_CAPABILITY.values() for name in names)
    assert named == sorted(scenario.name for scenario in SCENARIOS)


def test_a_capability_is_proved_by_all_of_its_scenarios() -> None:
    seen = {
        "tool call": Verdict.PROVED,
        "tool error": Verdict.CANNOT,
        "cancel": Verdict.PROVED,
        "cancel amid text": Verdict.PROVED,
        "stream": Verdict.NOT_APPLICABLE,
        "timeout": Verdict.FAILED,
    }
    results = tuple(Result(scenario=name, verdict=verdict) for name, verdict in seen.items())
    report = Report(framework=Framework.AG2, version="1.2", agent="x", results=results)
    assert capabilities(report) == ("Cancel",)


def test_the_results_are_of_all_frameworks_and_scenarios() -> None:
    names = [scenario.name for scenario in SCENARIOS]
    found = {one.framework: [result.scenario for result in one.results] for one in read()}
    assert found == dict.fromkeys(MODULES, names), "run `make frameworks`"


def test_nothing_has_failed_and_every_limit_was_seen() -> None:
    undone = {
        (report.framework, result.scenario): (result.verdict, result.reason)
        for report in read()
        for result in report.results
        if result.verdict is not Verdict.PROVED
    }
    assert undone == {
        key: (Verdict.CANNOT, limit.reason) for key, limit in LIMITS.items() if not limit.own
    }


def test_what_is_not_proved_is_told_with_its_reason() -> None:
    results = (
        Result(scenario="answer", verdict=Verdict.PROVED),
        Result(scenario="stream", verdict=Verdict.CANNOT, reason="it has no voice"),
        Result(scenario="usage", verdict=Verdict.FAILED, expected="a cost", seen="none"),
    )
    shown = page([Report(framework=Framework.AG2, version="1.2", agent="x", results=results)])
    marks = {line.split(" | ")[0]: line.split(" | ")[-1] for line in shown.splitlines()}
    assert marks["| answer"] == "✓ |"
    assert marks["| stream"] == "cannot |"
    assert marks["| usage"] == "**failed** |"
    assert marks["| conversation"] == "not run |"
    assert "- AG2, stream: it has no voice" in shown
    assert "- AG2, usage: expected a cost; seen: none" in shown
