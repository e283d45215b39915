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


def test_the_figures_of_the_servers_take_the_place_of_those_before() -> None:
    page = "# Page\n\n| a |\n"
    once = summary.with_servers(page, "## API servers\n\n| b |\n")
    again = summary.with_servers(once, "## API servers\n\n| c |\n")

    assert again == "# Page\n\n| a |\n\n## API servers\n\n| c |\n"
    assert summary.with_servers(page, summary.servers_of(again)) == again
    assert summary.with_servers(page, summary.servers_of(page)) == page
    assert "| a |\n\n| c |\n" in summary.of(again)
