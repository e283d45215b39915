"""The figures that the README shows."""

from pathlib import Path

import pytest
import summary

ROOT = Path(__file__).parents[3]
README = (ROOT / "README.md").read_text()


def test_the_readme_shows_the_figures_of_the_last_benchmark() -> None:
    assert summary.into(README, (ROOT / "docs" / "bench.md").read_text()) == README


def test_other_figures_take_their_place() -> None:
    page = "Machine: a new one.\n\n| measure |\n| --- |\n| 7 |\n\n| memory |\n\n| cpu |\n"
    written = summary.into(README, page)
    assert "Machine: a new one.\n\n| measure |\n| --- |\n| 7 |\n\n| memory |\n" in written
    assert "| cpu |" not in written
    assert summary.into(written, (ROOT / "docs" / "bench.md").read_text()) == README


def test_figures_without_a_place_are_told() -> None:
    with pytest.raises(ValueError, match=r"README\.md"):
        summary.into("no place", "| a |\n")
