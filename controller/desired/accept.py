"""What a valid spec may still ask for in vain: the version cannot do it, or it fits to nothing."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from controller.api.agent import Agent
from controller.api.conditions import AcceptedReason, ResolvedRefsReason
from controller.api.fields import ScalingEngine
from controller.api.stack import Flavour, Stack
from controller.api.tool import Tool
from controller.desired.claims import holders
from controller.desired.identity import identity_problems
from controller.desired.references import config_map_of, config_map_problem, module_of, stack_of
from controller.desired.server import PROVIDERS
from controller.model import AgentView, Problem, Reference, StackView, WorkloadView

ESCAPED: Final = "${"
"""With this the server's configuration refers to its environment."""


def agent_problems(view: WorkloadView[Agent]) -> tuple[Problem, ...]:
    """Everything that keeps an Agent from being what its spec says; empty if nothing does."""
    return (
        *_unsupported_of_agent(view.owner),
        *_invalid(view),
        *_binding_problems("spec.tools[{}].toolRef", view.tools, view),
        *_binding_problems("spec.agents[{}].agentRef", view.agents, view),
        *_itself(view),
        *_clashes(view),
        *_approval_problems(view),
        *_model_problems(view),
        *identity_problems(view.identity),
    )


def tool_problems(view: WorkloadView[Tool]) -> tuple[Problem, ...]:
    """Everything that keeps a Tool from being what its spec says; empty if nothing does."""
    return (*_unused_schema(view.owner), *_invalid(view), *identity_problems(view.identity))


def _unused_schema(tool: Tool) -> Iterator[Problem]:
    if tool.spec.input_schema and tool.spec.python is None:
        who = "the MCP server" if tool.spec.mcp is not None else "the OpenAPI document"
        message = (
            f"spec.inputSchema: only a Python function takes one, {who} has its own; remove it"
        )
        yield Problem(AcceptedReason.INVALID, message)


def stack_problems(view: StackView) -> tuple[Problem, ...]:
    """Everything that keeps a Stack from being what its spec says; empty if nothing does."""
    return (
        *_unsupported_of_stack(view.owner),
        *_back_to_llama_stack(view.owner),
        *_conflict(view),
        *(
            Problem(
                ResolvedRefsReason.REF_NOT_FOUND,
                f"{one.field}: there is no key {one.key} in a Secret {one.name} in namespace "
                f"{view.key.namespace}; create it",
            )
            for one in view.secrets
            if one.digest is None
        ),
        *identity_problems(view.identity),
    )


def _not_yet(field: str, what: str, way_out: str) -> Problem:
    message = f"{field}: {what} is not in this version; {way_out}"
    return Problem(AcceptedReason.UNSUPPORTED_VALUE, message)


def _unsupported_of_agent(agent: Agent) -> Iterator[Problem]:
    spec = agent.spec
    if spec.triggers:
        yield _not_yet("spec.triggers", "a trigger", "remove it and submit by the API")


def _unsupported_of_stack(stack: Stack) -> Iterator[Problem]:
    spec = stack.spec
    if spec.auth is not None:
        for name, value in (("issuer", spec.auth.issuer), ("audience", spec.auth.audience)):
            if ESCAPED in value:
                yield _escaped(f"spec.auth.{name}")
    for place, model in enumerate(spec.models):
        field = f"spec.models[{place}]"
        if model.provider not in PROVIDERS:
            choose = f"use one of {', '.join(sorted(PROVIDERS))}"
            yield _not_yet(f"{field}.provider", f"the provider {model.provider}", choose)
        for name, value in (("model", model.model), ("baseUrl", model.base_url or "")):
            if ESCAPED in value:
                yield _escaped(f"{field}.{name}")


def _escaped(field: str) -> Problem:
    message = f"{field}: must not contain {ESCAPED!r}; write the value itself"
    return Problem(AcceptedReason.INVALID, message)


def _back_to_llama_stack(stack: Stack) -> Iterator[Problem]:
    """OGX changes the tables that it takes over; to Llama Stack they are broken from then on.

    Source:
        ogx 1.5.0, `core/conversations/conversations.py`; llama-stack ends with 0.7.
    """
    served = stack.status.version.server
    if stack.spec.server.flavour is Flavour.LLAMA_STACK and served and served[:2] != "0.":
        message = (
            f"spec.server.flavour: OGX {served} has taken over what is stored here, and LlamaStack "
            "cannot read it any more; set OGX, or make another Stack"
        )
        yield Problem(AcceptedReason.INVALID, message)


def _conflict(view: StackView) -> Iterator[Problem]:
    other = holders(view.claims).get(view.key)
    if other is not None:
        yield Problem(
            AcceptedReason.CONFLICT,
            f"spec.messaging.external.url: {other.key} uses this NATS already; "
            "give each Stack a NATS of its own",
        )


def _invalid(view: WorkloadView[Any]) -> Iterator[Problem]:
    spec = view.owner.spec
    if spec.scaling.engine is not ScalingEngine.BUILTIN:
        yield _not_yet("spec.scaling.engine", "KEDA", "use Builtin")
    yield from pod_template_problems(spec.pod_template)
    if view.stack.problem is not None:
        yield view.stack.problem
    stack = view.stack.usable
    if stack is not None and spec.execution.timeout_seconds > stack.spec.retention.task_seconds:
        yield Problem(
            AcceptedReason.INVALID,
            f"spec.execution.timeoutSeconds: {spec.execution.timeout_seconds} is longer than "
            f"{view.stack.key} keeps a task ({stack.spec.retention.task_seconds}); lower it, or "
            "raise spec.retention.taskSeconds of the Stack",
        )
    use = config_map_of(view.owner)
    if use is not None and (problem := config_map_problem(use, view.key.namespace, view.source)):
        yield problem


def _binding_problems(
    field: str, bound: Iterable[Reference[Any]], view: AgentView
) -> Iterator[Problem]:
    """What keeps the objects of one list of the spec from being called."""
    for place, one in enumerate(bound):
        if one.problem is not None:
            yield one.problem
        elif one.target is not None and (other := stack_of(one.target)) != view.stack.key:
            message = (
                f"{field.format(place)}: {one.key} belongs to {other}, not to "
                f"{view.stack.key}; give both the same stackRef"
            )
            yield Problem(AcceptedReason.INVALID, message)


def _itself(view: AgentView) -> Iterator[Problem]:
    """An agent that asks itself waits for itself."""
    for place, one in enumerate(view.agents):
        if one.key == view.key:
            field = f"spec.agents[{place}].agentRef"
            message = f"{field}: it names the Agent itself, which cannot call itself; remove it"
            yield Problem(AcceptedReason.INVALID, message)


def _clashes(view: AgentView) -> Iterator[Problem]:
    """Agents that a model could not tell from what else it may call.

    An Agent is called by its name without its namespace. What a Tool has, it has to find out first,
    so that a function which is not known yet clashes later.
    """
    taken = {
        function.name: f"the function {function.name} of {tool.key}"
        for tool in view.tools
        if tool.usable is not None
        for function in tool.usable.status.tools
    }
    for place, one in enumerate(view.agents):
        other = taken.get(one.key.name)
        taken[one.key.name] = str(one.key)
        if other is not None:
            message = (
                f"spec.agents[{place}].agentRef: {one.key} and {other} would be called by the same "
                "name; remove one of them, or give it another name"
            )
            yield Problem(AcceptedReason.CONFLICT, message)


def _approval_problems(view: WorkloadView[Agent]) -> Iterator[Problem]:
    """A run that waits for a person is a record and its effects, which expire."""
    stack = view.stack.usable
    if stack is None:
        return
    kept = stack.spec.retention.task_seconds
    for place, use in enumerate(view.owner.spec.tools):
        if use.approval.required and use.approval.timeout_seconds > kept:
            yield Problem(
                AcceptedReason.INVALID,
                f"spec.tools[{place}].approval.timeoutSeconds: {use.approval.timeout_seconds} is "
                f"longer than {view.stack.key} keeps a task ({kept}); lower it, or raise "
                "spec.retention.taskSeconds of the Stack",
            )


def _model_problems(view: WorkloadView[Agent]) -> Iterator[Problem]:
    stack, wanted = view.stack.usable, view.owner.spec.model_ref
    if stack is None:
        return
    names = [model.name for model in stack.spec.language_models]
    if not names and wanted is None and module_of(view.owner) is not None:
        return  # code of the user's own may do without a model
    if not names:
        message = (
            f"spec.modelRef: {view.stack.key} has no language model; add one to its spec.models"
        )
        yield Problem(ResolvedRefsReason.REF_NOT_FOUND, message)
    elif wanted is not None and wanted.name not in names:
        message = (
            f"spec.modelRef: {view.stack.key} has no language model {wanted.name}; it has "
            f"{', '.join(names)}"
        )
        yield Problem(ResolvedRefsReason.REF_NOT_FOUND, message)


def pod_template_problems(template: Mapping[str, Any]) -> Iterator[Problem]:
    """What keeps `spec.podTemplate` from being laid over a pod; Kubernetes judges the rest."""
    for name, value in template.items():
        if name not in ("metadata", "spec"):
            yield _bad_template(name, "is no part of a PodTemplateSpec; it has metadata and spec")
        elif not isinstance(value, Mapping):
            yield _bad_template(name, "must be an object")
        else:
            yield from _bad_members(name, value)


_OBJECTS: Final = {"metadata": ("labels", "annotations"), "spec": ()}
_LISTS: Final = {"metadata": (), "spec": ("containers", "initContainers", "volumes")}


def _bad_members(name: str, value: Mapping[str, Any]) -> Iterator[Problem]:
    for member in _OBJECTS[name]:
        if not isinstance(value.get(member, {}), Mapping):
            yield _bad_template(f"{name}.{member}", "must be an object")
    for member in _LISTS[name]:
        entries = value.get(member, [])
        if not isinstance(entries, list):
            yield _bad_template(f"{name}.{member}", "must be a list")
        elif not all(_has_name(entry) for entry in entries):
            yield _bad_template(f"{name}.{member}", "each entry must be an object with a name")


def _has_name(entry: object) -> bool:
    return isinstance(entry, Mapping) and isinstance(entry.get("name"), str)


def _bad_template(path: str, message: str) -> Problem:
    return Problem(AcceptedReason.INVALID, f"spec.podTemplate.{path}: {message}")
