"""What is logged while an agent is on trial, which is told only where a scenario failed.

Frameworks log each failure of a model, and the kit lets models fail at will.
"""

import logging
from collections import deque
from typing import Final, override

MOST_LINES: Final = 20


class Logged(logging.Handler):
    """Keeps the last lines that were logged since the last time."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._lines: deque[str] = deque(maxlen=MOST_LINES)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        """Keep the first line of a record: a traceback is more than anybody wants here."""
        said = record.getMessage().partition("\n")[0]
        self._lines.append(f"{record.name}: {said}")

    def taken(self) -> list[str]:
        """These lines; from here on there are none."""
        lines = [*self._lines]
        self._lines.clear()
        return lines
