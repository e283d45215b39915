"""Pages of what is read in another order."""

import random

import pytest

from runtime.amf.page import Page, Place

PLACES: list[Place] = [(float(second), name) for second in range(10) for name in "ab"]


def page(after: Place | None = None, limit: int = 3, *, newest_first: bool = True) -> Page[Place]:
    made: Page[Place] = Page(limit=limit, newest_first=newest_first, after=after)
    for place in random.Random(7).sample(PLACES, len(PLACES)):
        made.add(place, place)
    return made


@pytest.mark.parametrize("newest_first", [True, False])
@pytest.mark.parametrize("limit", [1, 3, 20, 100])
def test_the_pages_together_are_the_list(limit: int, *, newest_first: bool) -> None:
    listed: list[Place] = []
    while (one := page(listed[-1] if listed else None, limit, newest_first=newest_first)).has_more:
        listed += one.items
    listed += one.items

    assert listed == sorted(PLACES, reverse=newest_first)


def test_a_page_holds_a_few_however_many_there_are() -> None:
    made: Page[int] = Page(limit=2, newest_first=False)
    for number in range(1000):
        made.add((float(1000 - number), "a"), number)

    assert made.items == [999, 998]
    assert len(made._found) <= 6


def test_nothing_is_a_page_too() -> None:
    empty: Page[int] = Page(limit=2, newest_first=True)

    assert empty.items == []
    assert not empty.has_more
