"""The calls of one attempt that a person has to agree to."""

from collections.abc import Iterable

from runtime.contract.approval import Approval
from runtime.tools.port import ToolFailure
from runtime.tools.waiting import Waiting


class Approvals:
    """What was decided in earlier attempts, and what has to be asked after this one.

    Shape:
        known   the approvals in the run record.
        needed  what has to be asked; whoever waits for such a call waits until it is cancelled.
    """

    def __init__(self, known: Iterable[Approval] = (), waiting: Waiting | None = None) -> None:
        self._known = {one.call: one for one in known}
        self.waiting = waiting or Waiting()
        self._needed: list[Approval] = []

    @property
    def needed(self) -> tuple[Approval, ...]:
        """The calls for which a person is needed, in the order in which they were made."""
        return tuple(self._needed)

    async def agreed(self, call: str, function: str, arguments: str, *, seconds: int) -> None:
        """See `Agreement`."""
        known = self._known.get(call)
        if known is None or known.is_open:
            if self.waiting.is_over:
                raise ToolFailure(_waited_enough(function))
            expires = self.waiting.expires(seconds)
            self._needed.append(
                Approval(call=call, function=function, arguments=arguments, expires=expires)
            )
            await self.waiting.stay()
        elif known.refusal is not None:
            raise ToolFailure(known.refusal)


def _waited_enough(function: str) -> str:
    return (
        f"{function} needs the approval of a person, and this run has waited for people for as "
        "long as its Stack allows (retention.taskSeconds); it was not made"
    )
