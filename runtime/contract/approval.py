"""A person's word on one call of a tool, which a run waits for without a worker."""

from enum import StrEnum
from typing import Final

from runtime.contract.value import Value

MOST_REASON: Final = 2000
"""Characters of a person's reason at most."""


class Verdict(StrEnum):
    """What became of a call that a person has to agree to."""

    APPROVED = "Approved"
    DENIED = "Denied"
    EXPIRED = "Expired"


class Approval(Value):
    """One call that needs a person, and what was decided.

    Shape:
        call       its key in `effects`; a rerun makes the same key, and so finds the verdict.
        function   the name by which the model called it.
        arguments  the JSON object as text.
        verdict    null until somebody has decided, or nobody in time.
        by         the user who decided; `reason`: his words for the model.

    Units:
        expires, decided   seconds since the epoch.
    """

    call: str
    function: str
    arguments: str
    expires: float
    verdict: Verdict | None = None
    by: str | None = None
    reason: str | None = None
    decided: float | None = None

    @property
    def is_open(self) -> bool:
        """Whether nobody has decided yet."""
        return self.verdict is None

    @property
    def refusal(self) -> str | None:
        """Why the call must not be made, as a sentence for the model; None if nothing is known."""
        match self.verdict:
            case Verdict.DENIED:
                why = f": {self.reason}" if self.reason else ""
                return f"{self.by} did not agree to this call of {self.function}{why}"
            case Verdict.EXPIRED:
                return f"nobody agreed in time to this call of {self.function}; it was not made"
            case _:
                return None
