"""What Stacks report."""

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from controller.api.conditions import (
    Condition,
    ConditionType,
    ReadyReason,
    abnormal,
    carried_over,
)
from controller.api.stack import ProviderHealth, ServedModel, StackStatus, Versions
from controller.api.workload_status import access
from controller.model import Outcome, Provider, StackView, Stage, Thought
from controller.status.conditions import (
    Speaker,
    as_seen,
    complete,
    judgements,
    programmed,
)
from controller.status.identity import identity

UNHEALTHY: Final = "Error"
"""What the server says of a provider that is not well; others may just not tell."""

# As the CRD limits them: what a server says of itself is cut, so that a status is never refused.
MOST_MODELS: Final = 1024
MOST_PROVIDERS: Final = 256
WORD_LENGTH: Final = 64
ID_LENGTH: Final = 128
MODEL_LENGTH: Final = 253
IDENTIFIER_LENGTH: Final = 512
MESSAGE_LENGTH: Final = 4096


def stack_status(
    view: StackView, thought: Thought, outcome: Outcome, now: datetime, *, version: str
) -> StackStatus:
    """What a Stack reports; `version` is the operator's."""
    server, before, auth = view.server, view.owner.status, view.owner.spec.auth
    providers = tuple(map(_provider, server.providers[:MOST_PROVIDERS])) if server else ()
    healthy = sum(one.health != UNHEALTHY for one in providers)
    revision = thought.desired.revision if thought.desired else ""
    served = server.version[:WORD_LENGTH] if server else before.version.server
    return before.model_copy(
        update={
            "observed_generation": view.owner.metadata.generation,
            "conditions": stack_conditions(view, thought, outcome, now),
            "url": thought.url or before.url,
            "version": Versions(operator=version[:WORD_LENGTH], server=served),
            "replicas": _server_count(view, "replicas"),
            "available_replicas": _server_count(view, "readyReplicas"),
            "access": access(has_auth=auth is not None),
            "issuer": auth.issuer if auth else None,
            "models": tuple(_served_models(view)),
            "providers": providers,
            "healthy_providers": f"{healthy}/{len(providers)}" if server else None,
            "revision": revision or before.revision,
        }
    )


def _provider(one: Provider) -> ProviderHealth:
    return ProviderHealth(
        api=one.api[:WORD_LENGTH],
        id=one.id[:ID_LENGTH],
        type=one.type[:ID_LENGTH],
        health=one.health[:WORD_LENGTH],
        message=one.message[:MESSAGE_LENGTH],
    )


def _server_count(view: StackView, field: str) -> int:
    name = f"server-{view.key.name}"
    for ref, found in view.children.items():
        if (ref.kind, ref.name) == ("Deployment", name):
            return int(found.get("status", {}).get(field, 0))
    return 0


def _served_models(view: StackView) -> Iterator[ServedModel]:
    names = {model.name for model in view.owner.spec.models}
    for identifier in view.server.models[:MOST_MODELS] if view.server else ():
        provider, _, rest = identifier.partition("/")
        name = provider if provider in names else rest or provider
        yield ServedModel(name=name[:MODEL_LENGTH], identifier=identifier[:IDENTIFIER_LENGTH])


def stack_conditions(
    view: StackView, thought: Thought, outcome: Outcome, now: datetime
) -> tuple[Condition, ...]:
    """The conditions of a Stack; Degraded while one of the server's providers is not well."""
    speaker = Speaker(view.owner.metadata.generation, now)
    leaving = "it is being deleted" if thought.stage is Stage.GONE else ""
    parts = (
        *judgements(thought.problems, speaker),
        programmed(thought, outcome, speaker, leaving),
        identity(thought, view.children, outcome, speaker),
    )
    degraded = carried_over(_degraded(view, speaker), view.owner.status.conditions)
    return (*complete(view.owner, as_seen(thought, outcome), parts, speaker), *degraded)


def _degraded(view: StackView, speaker: Speaker) -> Iterator[Condition]:
    providers = view.server.providers if view.server else ()
    told = "; ".join(
        f"provider {one.id}: {one.message or one.health}"
        for one in providers
        if one.health == UNHEALTHY
    )
    if told:
        cause = speaker.says(ReadyReason.DEPENDENCY_NOT_READY, told)
        yield abnormal(ConditionType.DEGRADED, cause)
