"""Brings the tables that a reader of the README wants from the page of the benchmarks."""

import re

TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
MACHINE = re.compile(r"^Machine: .*$", re.MULTILINE)
FIRST_TABLES = 2  # what was compared, and the memory; the rest is for who reads the page
PLACE = re.compile(
    r"(<!-- figures: `make bench` writes them -->\n).*?(<!-- end of figures -->)", re.DOTALL
)


def of(page: str) -> str:
    """The machine and the first tables of `page`."""
    tables = TABLE.findall(page)[:FIRST_TABLES]
    return "\n".join(["", *MACHINE.findall(page), "", *tables, ""])


def into(readme: str, page: str) -> str:
    """`readme` with the figures of `page` in their place.

    Raises:
        ValueError: the README has no place for them.
    """
    if not PLACE.search(readme):
        raise ValueError("README.md has lost the comments between which the figures stand")
    return PLACE.sub(lambda found: found[1] + of(page) + found[2], readme)
