"""The ids by which clients name responses and calls; whoever reads one knows the run.

A run has one response, and one more each time that its client gives outputs of functions. So a
response is named by run and number, the first by its run alone.
"""

import re
from dataclasses import dataclass
from typing import Self, override

RESPONSE = re.compile(r"resp_([0-9a-f]{32})(?:_([1-9][0-9]{0,5}))?")
CALL = re.compile(r"call_([0-9a-f]{32})_([0-9]{1,6})")


@dataclass(frozen=True, slots=True, order=True)
class ResponseId:
    """The response number `part` of the run `task`."""

    task: str
    part: int = 0

    @classmethod
    def read(cls, text: str) -> Self | None:
        """The response that `text` names, None if it is no agent's."""
        match = RESPONSE.fullmatch(text)
        return cls(match[1], int(match[2] or 0)) if match else None

    @property
    def bare(self) -> str:
        """Without `resp_`."""
        return f"{self.task}_{self.part}" if self.part else self.task

    @override
    def __str__(self) -> str:
        return f"resp_{self.bare}"


def call_id(task: str, number: int) -> str:
    """The id of a call of the client: number `number` of the run `task`."""
    return f"call_{task}_{number}"


def call_of(text: str) -> tuple[str, int] | None:
    """The run and the number of the call that `text` names, None if it is no agent's."""
    match = CALL.fullmatch(text)
    return (match[1], int(match[2])) if match else None
