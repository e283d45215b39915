"""Brings the tables that a reader of the README wants from the page of the benchmarks."""

import re

TABLE = re.compile(r"(?:^\|.*\n)+", re.MULTILINE)
MACHINE = re.compile(r"^Machine: .*$", re.MULTILINE)
FIRST_TABLES = 2  # what was compared, and the memory; the rest is for who reads the page
SERVERS = "## API servers\n"
PLACE = re.compile(
    r"(<!-- figures: `make bench` writes them -->\n).*?(<!-- end of figures -->)", re.DOTALL
)


def of(page: str) -> str:
    """The machine and the first tables of `page`, and the tables of its API servers."""
    first, _, servers = page.partition(SERVERS)
    tables = TABLE.findall(first)[:FIRST_TABLES] + TABLE.findall(servers)
    return "\n".join(["", *MACHINE.findall(first), "", *tables, ""])


def servers_of(page: str) -> str:
    """What `page` has of its API servers, to its end; nothing if it has nothing."""
    _, found, section = page.partition(SERVERS)
    return found + section


def with_servers(page: str, section: str) -> str:
    """`page` with `section` in the place of what it had of its API servers."""
    before = page.partition(SERVERS)[0].rstrip() + "\n"
    return f"{before}\n{section}" if section else before


def into(readme: str, page: str) -> str:
    """`readme` with the figures of `page` in their place.

    Raises:
        ValueError: the README has no place for them.
    """
    if not PLACE.search(readme):
        raise ValueError("README.md has lost the comments between which the figures stand")
    return PLACE.sub(lambda found: found[1] + of(page) + found[2], readme)
