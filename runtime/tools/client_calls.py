"""The functions of a run's client: bound as tools are, and called by the client himself."""

import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from pydantic_core import to_json

from runtime.contract.catalogue import FunctionSpec
from runtime.contract.client_calls import ClientCall, ClientFunction
from runtime.contract.handover import Handover
from runtime.contract.value import ObjectName
from runtime.json_schema import BadSchema, ForeignSchema
from runtime.tools.calls import step_of
from runtime.tools.errors import CallBudgetSpent
from runtime.tools.numbering import Numbering
from runtime.tools.port import ToolFailure, ToolFunction
from runtime.tools.waiting import Waiting


def specs_of(functions: Iterable[ClientFunction]) -> tuple[FunctionSpec, ...]:
    """Functions of a client in the shape of those of tools."""
    return tuple(
        FunctionSpec(name=one.name, description=one.description, input_schema=one.parameters)
        for one in functions
    )


@dataclass(slots=True, kw_only=True)
class ClientCalls:
    """What the client has given in earlier attempts, and what he has to be asked for after this.

    Shape:
        handovers  those in the run record.
        parallel   whether he may be asked for several at once; else the others have to wait for
                   another attempt.
        needed     the calls he has to make; whoever waits for one waits until it is cancelled.
    """

    handovers: Iterable[Handover] = ()
    waiting: Waiting = field(default_factory=Waiting)
    parallel: bool = True
    needed: list[ClientCall] = field(default_factory=list)
    _given: dict[str, str] = field(init=False)

    def __post_init__(self) -> None:
        calls = [call for handover in self.handovers for call in handover.calls]
        self._given = {call.key: call.output for call in calls if call.output is not None}

    def bind(
        self,
        functions: Iterable[ClientFunction],
        numbering: Numbering,
        *,
        owner: ObjectName,
        budget: int | None = None,
    ) -> tuple[ToolFunction, ...]:
        """The functions for one attempt.

        Shape:
            owner   the agent that calls them: they are no Tool's.
            budget  how many calls the run may make, of tools and of these together.
        """
        bound = _Bound(self, numbering, budget)
        return tuple(
            ToolFunction(spec=spec, tool=owner, call=partial(bound.call, spec))
            for spec in specs_of(functions)
        )

    async def output(self, call: ClientCall) -> str:
        """What the client gave for this call; if he has not been asked for it, never.

        Raises:
            ToolFailure: he may not be asked any more; a sentence for the model.
        """
        if (given := self._given.get(call.key)) is not None:
            return given
        if self.waiting.is_over:
            raise ToolFailure(
                f"{call.function} is called by the client, and this run has waited for as long as "
                "its Stack allows (retention.taskSeconds); it was not called"
            )
        if self.parallel or not self.needed:
            self.needed.append(call)
        return await self.waiting.stay()


@dataclass(slots=True)
class _Bound:
    """The client's functions in one attempt."""

    calls: ClientCalls
    numbering: Numbering
    budget: int | None

    async def call(self, spec: FunctionSpec, arguments: dict[str, Any]) -> str:
        """Have the client make one call; gives its output as text for the model.

        Raises:
            ToolFailure: with a sentence for the model.
            CallBudgetSpent: the task must not go on.
        """
        made = len(self.numbering)
        if self.budget is not None and made >= self.budget:
            raise CallBudgetSpent(
                f"the task made {made} tool calls, and spec.budget.toolCalls allows no more"
            )
        text = to_json(arguments, fallback=str, inf_nan_mode="null").decode()
        plain: dict[str, Any] = json.loads(text)
        _check(spec, plain)
        step = f"client.{step_of(spec.name, plain)}"
        key = f"{step}.{self.numbering.take(step)}"
        return await self.calls.output(ClientCall(key=key, function=spec.name, arguments=text))


def _check(spec: FunctionSpec, arguments: dict[str, Any]) -> None:
    """Spare the client what does not fit what he has declared."""
    try:
        fault = ForeignSchema(spec.input_schema).fault(arguments)
    except BadSchema as error:
        raise ToolFailure(f"the schema of {spec.name} cannot be used: {error}") from error
    if fault is not None:
        raise ToolFailure(f"wrong arguments: {fault}")
