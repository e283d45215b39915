"""What an agent may call: allowed, checked, counted, asked over the queue, announced."""

import asyncio
import contextlib
import json
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from pydantic_core import to_json

from runtime.contract.agent_config import AgentBinding, AgentConfig, ToolBinding
from runtime.contract.catalogue import FunctionSpec, ToolFunctions
from runtime.contract.keys import functions_entry
from runtime.contract.messages import Call, CallResult, Outcome, Task
from runtime.contract.trust_config import Workload
from runtime.contract.value import ObjectName
from runtime.identity.delegation import Delegations
from runtime.state.rights import Rights
from runtime.tools.approvals import Approvals
from runtime.tools.calls import Calls, step_of
from runtime.tools.errors import CallBudgetSpent, EffectUnknown
from runtime.tools.granting import Granting
from runtime.tools.numbering import Numbering
from runtime.tools.offer import Offered, offers
from runtime.tools.port import (
    AgentAsked,
    Agreement,
    Announce,
    Announced,
    Called,
    Lending,
    Returned,
    ToolFailure,
    ToolFunction,
)
from runtime.transport.port import Store, TransportError

log = logging.getLogger(__name__)

type OnChange = Callable[[tuple[FunctionSpec, ...]], Awaitable[None]]

LOOK_SECONDS = 0.5
REFRESH_SECONDS = 5.0


class CatalogueToolbox:
    """A `Toolbox` of the functions that the agent's tools have written to the catalogue.

    What the agent's spec names and the agent may not call any more is not offered. The agents that
    it may ask are functions too. While it waits for one of them, its place in the worker is lent to
    other work.
    """

    def __init__(
        self,
        config: AgentConfig,
        catalogue: Store,
        rights: Rights,
        calls: Calls,
        lending: Lending,
        *,
        delegations: Delegations | None = None,
        refresh_seconds: float = REFRESH_SECONDS,
    ) -> None:
        self._config = config
        self._catalogue = catalogue
        self._rights = rights
        self._calls = calls
        self._lending = lending
        self._delegations = delegations
        self._refresh_seconds = refresh_seconds
        self._found: dict[ObjectName, ToolFunctions] = {}
        self._may: Workload | None = None
        self._is_known = False
        self._offered: dict[str, Offered] = {}
        self._problem: str | None = None

    @property
    def specs(self) -> tuple[FunctionSpec, ...]:
        """The functions as a model sees them."""
        return _specs(self._offered)

    def why_not(self) -> str | None:
        """Why the tools cannot be used as they are bound, in one sentence."""
        return self._problem

    async def open(self) -> None:
        """Find out what each bound tool can do; waits for tools that have not said so yet.

        Raises:
            BadSpec: the tools cannot be bound together.
        """
        while (missing := await self._look()) or not self._is_known:
            self._problem = (
                f"spec.tools: the Tool {missing} has not said yet what it can do; "
                "see its status, it has to start once"
                if missing
                else "what the agent may call could not be read from the queue yet"
            )
            await asyncio.sleep(LOOK_SECONDS)
        self._offered = self._offers()
        self._problem = None

    async def follow(self, on_change: OnChange) -> None:
        """Tell `on_change` the functions whenever a tool says something else; without end.

        What cannot be bound together, or what `on_change` does not take, stays away: what was
        offered before remains, and it is tried again.
        """
        while True:
            await asyncio.sleep(self._refresh_seconds)
            await self._look()
            before = self._offered
            try:
                self._offered = self._offers()
                if _specs(self._offered) != _specs(before):
                    log.info("functions have changed", extra={"functions": list(self._offered)})
                    await on_change(self.specs)
                self._problem = None
            except Exception as error:  # noqa: BLE001  # also of a user's code that is built anew
                self._offered = before
                self._problem = str(error)
                log.warning("the changed functions cannot be used", extra={"error": str(error)})

    def bind(
        self,
        task: Task,
        announce: Announce,
        numbering: Numbering | None = None,
        agreement: Agreement | None = None,
    ) -> tuple[ToolFunction, ...]:
        """The functions of one attempt at one task; see `Toolbox`."""
        attempt = _Attempt(
            task=task,
            announce=announce,
            calls=self._calls,
            lending=self._lending,
            budget=self._config.budget.tool_calls,
            numbering=Numbering() if numbering is None else numbering,
            agreement=Approvals() if agreement is None else agreement,
            permits=self._permits,
            granting=None if self._delegations is None else Granting(self._delegations, task),
        )
        return tuple(
            ToolFunction(spec=offered.spec, tool=offered.owner, call=partial(attempt.call, offered))
            for offered in self._offered.values()
        )

    def _offers(self) -> dict[str, Offered]:
        agents = tuple(one for one in self._config.agents if self._permits(one))
        return offers(self._tools, self._found, agents)

    def _permits(self, binding: ToolBinding | AgentBinding) -> bool:
        """Whether the agent may call this, as far as is known."""
        if self._may is None:
            return False
        match binding:
            case ToolBinding(tool=tool):
                return tool in self._may.calls
            case AgentBinding(agent=agent):
                return agent in self._may.asks

    @property
    def _tools(self) -> tuple[ToolBinding, ...]:
        return tuple(one for one in self._config.tools if self._permits(one))

    async def _look(self) -> ObjectName | None:
        """Read what may be called and what the tools say; gives one that has said nothing yet."""
        try:
            self._may = await self._rights.of(self._config.agent)
            self._is_known = True
        except TransportError as error:
            log.warning("the rights are out of reach", extra={"error": str(error)})
        for binding in self._tools:
            try:
                entry = await self._catalogue.get(functions_entry(binding.tool))
            except TransportError as error:
                log.warning("the catalogue is out of reach", extra={"error": str(error)})
                continue
            if entry is not None and (said := ToolFunctions.decode(entry.value)).is_known:
                self._found[binding.tool] = said
        tools = (binding.tool for binding in self._tools)
        return next((tool for tool in tools if tool not in self._found), None)


def _specs(offered: Mapping[str, Offered]) -> tuple[FunctionSpec, ...]:
    return tuple(one.spec for one in offered.values())


@dataclass(slots=True)
class _Attempt:
    """The calls of one attempt at one task."""

    task: Task
    announce: Announce
    calls: Calls
    lending: Lending
    budget: int | None
    numbering: Numbering
    agreement: Agreement
    permits: Callable[[ToolBinding | AgentBinding], bool]
    granting: Granting | None

    async def call(self, offered: Offered, arguments: dict[str, Any]) -> str:
        """Make one call; gives its result as text for the model.

        A call that waits for a person is not announced, and does not come back in this attempt.

        Raises:
            ToolFailure: with a sentence for the model.
            CallBudgetSpent: the task must not go on.
        """
        self._check_budget()
        plain: dict[str, Any] = json.loads(to_json(arguments, fallback=str, inf_nan_mode="null"))
        call = self._numbered(offered, plain)
        name = offered.spec.name
        problem = await self._problem(offered, call)
        await self._tell(_announced(offered, call))
        try:
            if problem is not None:
                raise problem
            output = await self._output(offered, call)
        except ToolFailure as failure:
            unknown = isinstance(failure, EffectUnknown)
            outcome = Outcome.UNKNOWN if unknown else Outcome.FAILED
            await self._tell(Returned(call.id, name, str(failure), outcome))
            raise
        await self._tell(Returned(call.id, name, output, Outcome.SUCCEEDED))
        return output

    async def _tell(self, what: Announced) -> None:
        """Announce it as well as may be: whoever reads along misses less than a run that fails."""
        try:
            await self.announce(what)
        except TransportError as error:
            told = {"call": what.call, "error": str(error)}
            log.warning("a call could not be announced", extra=told)

    async def _problem(self, offered: Offered, call: Call) -> ToolFailure | None:
        """Why the call must not be made; nobody is asked for one that does not fit its schema."""
        try:
            self._check_permitted(offered)
            offered.schema.check(call.arguments)
            if offered.approval_seconds is not None:
                await self._agreed(offered, call, offered.approval_seconds)
        except ToolFailure as failure:
            return failure
        return None

    def _check_permitted(self, offered: Offered) -> None:
        if not self.permits(offered.binding):
            raise ToolFailure(f"{offered.spec.name} may not be called any more; go on without it")

    async def _agreed(self, offered: Offered, call: Call, seconds: int) -> None:
        name = offered.spec.name
        if self.task.asked is not None:
            # Its response is told to nobody, and whoever asked waits with a clock that runs.
            raise ToolFailure(
                f"{name} needs the approval of a person, who cannot be asked in a run that another "
                "agent has begun"
            )
        arguments = to_json(call.arguments).decode()
        await self.agreement.agreed(call.id, name, arguments, seconds=seconds)

    async def _output(self, offered: Offered, call: Call) -> str:
        subject = offered.subject(self.calls.subjects, self.calls.caller)
        meanwhile = self.lending.lent(self.task) if offered.is_agent else contextlib.nullcontext()
        check = partial(self._check_permitted, offered)
        sign = None if self.granting is None else self.granting.sign(is_agent=offered.is_agent)
        return text_of(await self.calls.result(call, subject, meanwhile, check, sign=sign))

    def _check_budget(self) -> None:
        made = len(self.numbering)
        if self.budget is not None and made >= self.budget:
            raise CallBudgetSpent(
                f"the task made {made} tool calls, and spec.budget.toolCalls allows no more"
            )

    def _numbered(self, offered: Offered, arguments: dict[str, Any]) -> Call:
        caller, step = self.calls.caller, step_of(offered.function, arguments)
        index = self.numbering.take(offered.key(caller, self.task.id, step, 0))
        return Call(
            id=offered.key(caller, self.task.id, step, index),
            task=self.task.id,
            step=step,
            index=index,
            caller=caller,
            tool=offered.owner,
            function=offered.function,
            arguments=arguments,
            worker=self.calls.worker,
            deadline=offered.deadline(self.task.deadline, time.time()),
            traceparent=self.task.traceparent,
        )


def _announced(offered: Offered, call: Call) -> Called | AgentAsked:
    name, said = offered.spec.name, call.arguments.get("input")
    if offered.is_agent and isinstance(said, str):
        return AgentAsked(call.id, name, said)
    return Called(call.id, name, to_json(call.arguments).decode())


def text_of(result: CallResult) -> str:
    """A result as a model reads it: text as it is, anything else as JSON.

    Raises:
        ToolFailure: the call did not work out, or nobody knows whether it did.
    """
    match result.outcome:
        case Outcome.SUCCEEDED if isinstance(result.value, str):
            return result.value
        case Outcome.SUCCEEDED:
            return to_json(result.value).decode()
        case Outcome.UNKNOWN:
            raise EffectUnknown(result.error or "nobody knows how the call ended")
        case _:
            raise ToolFailure(result.error or "the call failed")
