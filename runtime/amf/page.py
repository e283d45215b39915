"""One page of a long list whose order is not the one in which it is read. Pure."""

import heapq
from dataclasses import dataclass, field

type Place = tuple[float, str]


@dataclass(slots=True, kw_only=True)
class Page[Item]:
    """The `limit` items that come first, of all that are added.

    No more than twice as many are held, however many there are.

    Shape:
        after  the place of the last item of the page before, None on the first page.
    """

    limit: int
    newest_first: bool
    after: Place | None = None
    _found: list[tuple[Place, Item]] = field(default_factory=list)

    def add(self, place: Place, item: Item) -> None:
        """One item; no two have the same place."""
        if self.after is not None and not self._is_later(place, self.after):
            return
        self._found.append((place, item))
        if len(self._found) > 2 * (self.limit + 1):
            self._found = self._first()

    @property
    def items(self) -> list[Item]:
        """The page."""
        return [item for _, item in self._first()[: self.limit]]

    @property
    def has_more(self) -> bool:
        """Whether another page follows."""
        return len(self._found) > self.limit

    def _is_later(self, place: Place, than: Place) -> bool:
        return place < than if self.newest_first else place > than

    def _first(self) -> list[tuple[Place, Item]]:
        first = heapq.nlargest if self.newest_first else heapq.nsmallest
        return first(self.limit + 1, self._found, key=lambda found: found[0])
