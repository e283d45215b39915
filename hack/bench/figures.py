"""Figures from samples, and the tables they are shown in. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from statistics import median

NOTHING = "-"


class By(Enum):
    """How a side is set against the other, round by round."""

    RATIO = "ratio"
    DIFFERENCE = "difference"
    ITSELF = "itself"


@dataclass(frozen=True, slots=True)
class Measure:
    """What is measured, in which unit, and what is wanted of it.

    Shape:
        by        ITSELF: the wanted bound is for k8gentai's own figure, the other one is shown.
        at_least  wanted bound, on the ratio, the difference or the figure; likewise `at_most`.
    """

    title: str
    unit: str
    by: By
    at_least: float | None = None
    at_most: float | None = None


@dataclass(frozen=True, slots=True)
class Pair:
    """One round: the same thing on both sides, one right after the other."""

    plain: float
    ours: float


@dataclass(frozen=True, slots=True)
class Result:
    """All rounds of one measure; without any, why there are none."""

    measure: Measure
    rounds: Sequence[Pair] = field(default_factory=tuple)
    skipped: str = ""

    @property
    def compared(self) -> list[float]:
        """What the bound is for, round by round."""
        return [_compared(self.measure.by, pair) for pair in self.rounds]

    @property
    def met(self) -> bool | None:
        """The median keeps the bound; None if there is no bound or no figure."""
        bounds = self.measure.at_least, self.measure.at_most
        if not self.rounds or bounds == (None, None):
            return None
        figure = median(self.compared)
        above = self.measure.at_least is None or figure >= self.measure.at_least
        return above and (self.measure.at_most is None or figure <= self.measure.at_most)


def _compared(by: By, pair: Pair) -> float:
    match by:
        case By.RATIO:
            return pair.ours / pair.plain
        case By.DIFFERENCE:
            return pair.ours - pair.plain
    return pair.ours


def comparison(results: Sequence[Result], plain: str, ours: str, what: str = "measure") -> str:
    """A Markdown table of all results, a row each, under the names of the sides."""
    head = (what, plain, ours, "compared", "over the rounds", "wanted", "")
    return table(head, [_row(result) for result in results])


def _row(result: Result) -> tuple[str, ...]:
    measure = result.measure
    if not result.rounds:
        why = f"not measured: {result.skipped}"
        return measure.title, NOTHING, NOTHING, NOTHING, NOTHING, _wanted(measure), why
    compared = result.compared
    verdict = {True: "met", False: "**missed**", None: ""}[result.met]
    return (
        measure.title,
        f"{_number(median(pair.plain for pair in result.rounds))} {measure.unit}",
        f"{_number(median(pair.ours for pair in result.rounds))} {measure.unit}",
        _with_unit(measure, median(compared)),
        f"{_with_unit(measure, min(compared))} to {_with_unit(measure, max(compared))}",
        _wanted(measure),
        verdict,
    )


def _wanted(measure: Measure) -> str:
    if measure.at_least is not None:
        return f"at least {_with_unit(measure, measure.at_least)}"
    if measure.at_most is not None:
        return f"at most {_with_unit(measure, measure.at_most)}"
    return ""


def _with_unit(measure: Measure, figure: float) -> str:
    if measure.by is By.RATIO:
        return f"{figure:.2f}"
    sign = "+" if measure.by is By.DIFFERENCE and figure > 0 else ""
    return f"{sign}{_number(figure)} {measure.unit}"


def _number(figure: float) -> str:
    """Three digits that matter."""
    if abs(figure) >= 100:
        return f"{figure:.0f}"
    return f"{figure:.1f}" if abs(figure) >= 10 else f"{figure:.2f}"


def by_process(title: str, unit: str, figures: Mapping[str, Sequence[float]]) -> str:
    """A Markdown table of figures by process: one column for each name of `title`, by commas."""
    columns = [f"{name.strip()}, {unit}" for name in title.split(",")]
    rows = [(name, *map(_number, values)) for name, values in figures.items()]
    return table(("process", *columns), rows)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A Markdown table with columns of even width."""
    lines = [list(head), *map(list, rows)]
    widths = [max(3, *(len(line[i]) for line in lines)) for i in range(len(head))]
    lines.insert(1, ["-" * width for width in widths])
    padded = (
        " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "\n".join(f"| {line} |" for line in padded)
