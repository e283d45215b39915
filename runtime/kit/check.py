"""All scenarios, one after the other, against one agent that is made once."""

import asyncio
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Final

from runtime.adapters.registry import build
from runtime.contract.agent_config import (
    AgentConfig,
    Declarative,
    Framework,
    Model,
    Module,
    Queue,
)
from runtime.contract.value import ObjectName
from runtime.kit.answers import SAYING
from runtime.kit.calls import CALLING
from runtime.kit.ends import ENDING
from runtime.kit.limits import LIMITS, Limit
from runtime.kit.proxy import ModelProxy
from runtime.kit.report import Report, Result, Verdict
from runtime.kit.scenario import Scenario
from runtime.kit.trial import ADD, SPECS, Trial, Unable, Unmet, question, told, tool

SCENARIOS: Final = (*SAYING, *CALLING, *ENDING)
DISTRIBUTIONS: Final = {
    Framework.LANGGRAPH: "langgraph",
    Framework.CREWAI: "crewai",
    Framework.AG2: "ag2",
    Framework.LLAMA_STACK: "llama-stack-client",
    Framework.BEEAI: "beeai-framework",
}
"""Which package of Python is the framework."""
INSTRUCTIONS: Final = "You are a careful assistant. Always use your tools to calculate."
PATIENCE_SECONDS: Final = 90.0  # for one scenario
AGENT: Final = ObjectName(namespace="check", name="agent")
DEPTH: Final = 6  # calls of a blocked thread that are told
NOWHERE: Final = Queue(stack=AGENT, url="nats://nowhere", token_file="", service_account=AGENT)

type Tell = Callable[[Result], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Subject:
    """The agent to check: a user's module, or with None one from instructions."""

    framework: Framework
    module: Module | None = None

    @property
    def name(self) -> str:
        """What the report calls it."""
        return "an agent from instructions" if self.module is None else self.module.entrypoint


async def check(subject: Subject, proxy: ModelProxy, model: str, tell: Tell) -> Report:
    """What `subject` can do, with its model behind `proxy`; each result is told as it comes.

    Raises:
        BadAgent: the agent cannot be loaded; the message names the field of the spec.
    """
    adapter = await build(config_of(subject, proxy, model), SPECS)
    trial = Trial(adapter=adapter, proxy=proxy, own=subject.module is not None)
    results = await proved(trial, tell, _limits(subject))
    return Report(
        framework=subject.framework,
        version=version(DISTRIBUTIONS[subject.framework]),
        agent=subject.name,
        results=results,
    )


async def proved(
    trial: Trial, tell: Tell, limits: Mapping[str, Limit] | None = None
) -> tuple[Result, ...]:
    """The results of all scenarios on one adapter; `limits` by the names of scenarios."""
    known = limits or {}
    seen = await _looked_at(trial) if trial.own else trial
    results = []
    for scenario in SCENARIOS:
        result = await judged(scenario, seen, known.get(scenario.name))
        tell(result)
        results.append(result)
    return tuple(results)


async def judged(scenario: Scenario, trial: Trial, limit: Limit | None = None) -> Result:
    """How one scenario ends."""
    if (why_not := scenario.not_applicable(trial)) is not None:
        return Result(scenario=scenario.name, verdict=Verdict.NOT_APPLICABLE, reason=why_not)
    await trial.proxy.begin(scenario.fault)
    try:
        seen = await _seen(scenario, trial)
    except Unable as unable:
        return Result(scenario=scenario.name, verdict=Verdict.CANNOT, reason=str(unable))
    if seen is None:
        return Result(scenario=scenario.name, verdict=Verdict.PROVED)
    if limit is not None and limit.seen in seen:
        return Result(scenario=scenario.name, verdict=Verdict.CANNOT, reason=limit.reason)
    return Result(
        scenario=scenario.name, verdict=Verdict.FAILED, expected=scenario.expects, seen=seen
    )


async def _seen(scenario: Scenario, trial: Trial) -> str | None:
    """What came in place of what was expected, or None.

    Raises:
        Unable: the agent does not do this, in its own right.
    """
    # A task of its own: whatever the agent does to it, the next scenario gets its turn.
    checking = asyncio.create_task(scenario.check(trial), name=scenario.name)
    await asyncio.wait({checking}, timeout=PATIENCE_SECONDS)
    if not checking.done():
        checking.cancel()
        return f"no end within {PATIENCE_SECONDS:g} s{_blocked()}"
    if checking.cancelled():
        return "the run was cancelled, and nobody had asked for it"
    match checking.exception():
        case None:
            return None
        case Unable() as unable:
            raise unable
        case Unmet() as unmet:
            return str(unmet)
        case error:
            return told(error)


def _blocked() -> str:
    """Where code stands that blocks a thread beside the event loop's, innermost call first."""
    name_by_thread = {thread.ident: thread.name for thread in threading.enumerate()}
    told = []
    for thread, frame in sys._current_frames().items():  # noqa: SLF001 - the only way to see them
        if thread != threading.get_ident():
            calls = traceback.extract_stack(frame)[: -DEPTH - 1 : -1]
            lines = [f"{Path(one.filename).name}:{one.lineno} {one.name}" for one in calls]
            told.append(f"; {name_by_thread.get(thread, thread)} stands at {', '.join(lines)}")
    return "".join(told)


async def _looked_at(trial: Trial) -> Trial:
    """The trial with what a first run shows of a user's own agent."""

    async def add(arguments: dict[str, object]) -> str:
        return str(arguments)

    await trial.proxy.begin()
    running = asyncio.create_task(trial.steps(question("What is 417 + 25?", tool(add))))
    await asyncio.wait({running}, timeout=PATIENCE_SECONDS)
    if running.done() and not running.cancelled():
        running.exception()  # how it ended is what the scenarios are about
    running.cancel()
    return replace(
        trial,
        asks_model=bool(trial.proxy.calls),
        takes_tools=trial.proxy.heard(ADD.description),
    )


def config_of(subject: Subject, proxy: ModelProxy, model: str) -> AgentConfig:
    """The configuration that a worker of `subject` would have, but for the queue."""
    own = subject.module is not None
    return AgentConfig(
        agent=AGENT,
        queue=NOWHERE,
        durable="check",
        framework=subject.framework,
        declarative=None if own else Declarative(instructions=INSTRUCTIONS),
        module=subject.module,
        model=Model(id=model, base_url=proxy.url),
    )


def _limits(subject: Subject) -> dict[str, Limit]:
    own = subject.module is not None
    return {
        name: limit
        for (framework, name), limit in LIMITS.items()
        if framework is subject.framework and (own or not limit.own)
    }
