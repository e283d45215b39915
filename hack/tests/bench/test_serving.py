"""The figures of the API servers: what is wanted of them, and where they stand."""

import pytest
import serving
import summary
from figures import Pair, Result

SIZE = serving.Size(rounds=3, requests=100, streams=1_000, hold_seconds=1)
CROWD = serving.Crowd(streams=1_000, begun=3.04, ended=14, before=175 * 1024, peak=225 * 1024)


def found(cost: float = 0.5, growth: Result | None = None) -> serving.Found:
    rounds = [Pair(0.4, cost)]
    both = growth or Result(serving.GROWTH, [Pair(100, 180)])
    return serving.Found(Result(serving.COST, rounds), both, CROWD)


@pytest.mark.parametrize(
    ("cost", "met"), [pytest.param(0.6, True, id="just"), pytest.param(0.61, False, id="more")]
)
def test_a_request_may_cost_half_as_much_again(cost: float, met: bool) -> None:
    assert found(cost).cost.met is met


def test_the_section_has_every_figure_and_the_readme_too() -> None:
    section = serving.section(found(), SIZE, (1.0, 2.0))
    page = summary.with_servers("Machine: here.\n\n| a |\n", section)

    for shown in ("1.25", "1.80", "1,000 streams", "3.0 s", "175 MiB", "225 MiB", "51 KiB"):
        assert shown in section
    assert "Load average while\nmeasuring: 1.0 to 2.0." in section
    assert "51 KiB" in summary.of(page)
    assert summary.of(page).count("Machine:") == 1


def test_what_cannot_be_bounded_is_told() -> None:
    skipped = Result(serving.GROWTH, skipped="no group of processes can be made")

    assert "not measured: no group of" in serving.section(found(growth=skipped), SIZE, (0, 0))
