"""What a run hands over to its client: it ends one response of the run and begins the next."""

from collections.abc import Sequence

from runtime.contract.client_calls import ClientCall
from runtime.contract.messages import OutputNeeded, ResponseOptions, TokenUsage
from runtime.contract.value import Value


class Handover(Value):
    """Calls that the client is to make together.

    Shape:
        first         number of its first call among all of the run.
        attempt, seq  where the events that tell of it stand.
        used          what the models of the run had taken and given by then, in all.
        response      what the client asked of the response that goes on with the outputs; null
                      until he has given them.

    Units:
        asked, expires, given   seconds since the epoch; `given` is null until that has happened.
    """

    calls: tuple[ClientCall, ...]
    first: int = 0
    attempt: int
    seq: int
    used: TokenUsage = TokenUsage()
    asked: float
    expires: float
    given: float | None = None
    response: ResponseOptions | None = None

    @property
    def is_open(self) -> bool:
        """Whether the client has given no outputs yet."""
        return self.given is None

    @property
    def functions(self) -> str:
        """What is to be called, in words."""
        return ", ".join(dict.fromkeys(call.function for call in self.calls))

    def giving(self, outputs: Sequence[str], now: float, response: ResponseOptions) -> "Handover":
        """This handover once the client has given an output for each call, in their order."""
        calls = tuple(
            call.model_copy(update={"output": output})
            for call, output in zip(self.calls, outputs, strict=True)
        )
        return self.model_copy(update={"calls": calls, "given": now, "response": response})

    def events(self, task: str, place: int) -> list[OutputNeeded]:
        """The events that tell of it, as the run's handover number `place`."""
        return [
            OutputNeeded(
                task=task,
                attempt=self.attempt,
                seq=self.seq + number,
                key=call.key,
                function=call.function,
                arguments=call.arguments,
                handover=place,
                number=self.first + number,
                left=len(self.calls) - number - 1,
                used=self.used,
            )
            for number, call in enumerate(self.calls)
        ]
