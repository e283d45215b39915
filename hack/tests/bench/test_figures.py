import pytest
from figures import By, Measure, Pair, Result, by_process, comparison, table

RATIO = Measure("rate", "req/s", By.RATIO, at_least=0.8)
MORE = Measure("lag", "ms", By.DIFFERENCE, at_most=3)
OWN = Measure("memory", "MiB", By.ITSELF, at_most=12)
FREE = Measure("time", "s", By.DIFFERENCE)


@pytest.mark.parametrize(
    ("measure", "rounds", "compared", "met"),
    [
        pytest.param(RATIO, [(100, 90), (50, 40), (10, 1)], [0.9, 0.8, 0.1], True, id="median"),
        pytest.param(RATIO, [(100, 79)], [0.79], False, id="too slow"),
        pytest.param(MORE, [(1, 4), (2, 2.5)], [3, 0.5], True, id="a little more"),
        pytest.param(MORE, [(1, 4.5)], [3.5], False, id="too much more"),
        pytest.param(OWN, [(99, 12)], [12], True, id="its own figure, whatever the other's"),
        pytest.param(OWN, [(1, 12.5)], [12.5], False, id="too big"),
        pytest.param(FREE, [(1, 9)], [8], None, id="nothing is wanted"),
        pytest.param(RATIO, [], [], None, id="nothing was measured"),
    ],
)
def test_a_round_is_compared_in_itself_and_the_median_counts(
    measure: Measure,
    rounds: list[tuple[float, float]],
    compared: list[float],
    met: bool | None,
) -> None:
    result = Result(measure, [Pair(*each) for each in rounds])

    assert result.compared == pytest.approx(compared)
    assert result.met is met


def test_the_table_says_what_was_measured_wanted_and_found() -> None:
    shown = comparison(
        [
            Result(RATIO, [Pair(100, 90), Pair(200, 100), Pair(100, 85)]),
            Result(MORE, [Pair(1, 5)]),
            Result(OWN, [Pair(4.5, 3.25)]),
            Result(FREE, skipped="no cluster answers"),
        ],
        "plain",
        "ours",
    )

    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown.splitlines()]
    assert rows[0] == ["measure", "plain", "ours", "compared", "over the rounds", "wanted", ""]
    assert [" | ".join(row) for row in rows[2:]] == [
        "rate | 100 req/s | 90.0 req/s | 0.85 | 0.50 to 0.90 | at least 0.80 | met",
        "lag | 1.00 ms | 5.00 ms | +4.00 ms | +4.00 ms to +4.00 ms | at most +3.00 ms | **missed**",
        "memory | 4.50 MiB | 3.25 MiB | 3.25 MiB | 3.25 MiB to 3.25 MiB | at most 12.0 MiB | met",
        "time | - | - | - | - |  | not measured: no cluster answers",
    ]


def test_columns_are_of_even_width() -> None:
    assert table(["a", "long name"], [["longer still", "b"]]).splitlines() == [
        "| a            | long name |",
        "| ------------ | --------- |",
        "| longer still | b         |",
    ]


def test_figures_by_process() -> None:
    shown = by_process("whole, streamed", "ms", {"worker": [1.234, 12.34]})

    assert shown.splitlines()[0] == "| process | whole, ms | streamed, ms |"
    assert shown.splitlines()[2] == "| worker  | 1.23      | 12.3         |"
