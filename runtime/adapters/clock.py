"""The clock of a run, for frameworks that write the time into what they ask models.

Each attempt has to ask what the one before has asked, to find its answers; so it is asked at the
time at which the run began.
"""

from datetime import datetime, tzinfo
from typing import Self, override

from runtime.adapters.scope import current


class RunClock(datetime):
    """Stands for `datetime` in a framework's module; of no run, it is the time of day."""

    @override
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        """The time at which the run that this code belongs to began."""
        scope = current()
        if scope is None or scope.recorded is None:
            return super().now(tz)
        return cls.fromtimestamp(scope.recorded.began, tz)
