from types import MappingProxyType
from typing import Any

import pytest
from pydantic import ValidationError

from controller.api.agent import Agent, AgentSpec
from controller.api.names import API_VERSION, Kind
from controller.api.parse import (
    MODEL_BY_KIND,
    InvalidSpec,
    model_of,
    parse,
    parse_strictly,
)
from controller.api.resource import Envelope
from controller.api.stack import Stack
from controller.tests.api.bad_specs import BAD, GONE, Bad, changed
from controller.tests.api.good_specs import ALSO_GOOD, GOOD

ALL_GOOD = (*GOOD.values(), *ALSO_GOOD)


def _name(body: dict[str, Any]) -> str:
    return f"{body['kind']} {body['metadata']['name']}"


@pytest.mark.parametrize("body", ALL_GOOD, ids=_name)
def test_what_the_design_shows_is_read(body: dict[str, Any]) -> None:
    model = MODEL_BY_KIND[Kind(body["kind"])]
    resource = parse(model, body)

    assert resource.metadata.name == body["metadata"]["name"]
    assert parse_strictly(model, body) == resource


@pytest.mark.fault(18)
@pytest.mark.parametrize("bad", BAD, ids=str)
def test_a_bad_spec_is_a_sentence_that_names_the_field(bad: Bad) -> None:
    with pytest.raises(InvalidSpec) as refused:
        parse(MODEL_BY_KIND[bad.kind], bad.body())

    assert (refused.value.field, refused.value.message) == (bad.at, bad.message)
    is_named = bad.message.startswith(f"{bad.at} ")
    assert str(refused.value) == (bad.message if is_named else f"{bad.at}: {bad.message}")


def test_of_several_errors_each_is_named() -> None:
    body = changed(GOOD[Kind.AGENT], "spec.execution", {"concurrency": 0, "timeoutSeconds": 0})

    with pytest.raises(InvalidSpec) as refused:
        parse(Agent, body)

    assert str(refused.value) == (
        "spec.execution.timeoutSeconds: must be at least 1, not 0; "
        "spec.execution.concurrency: must be at least 1, not 0"
    )


def test_a_long_value_is_not_repeated_in_full() -> None:
    body = changed(GOOD[Kind.AGENT], "spec.framework", "x" * 10_000)

    with pytest.raises(InvalidSpec) as refused:
        parse(Agent, body)

    assert len(str(refused.value)) < 200


def test_the_defaults_are_those_of_the_design() -> None:
    spec = AgentSpec.model_validate(
        {"stackRef": {"name": "s"}, "framework": "AG2", "source": {"module": {"entrypoint": "a:b"}}}
    )

    assert spec.dump() == {
        "stackRef": {"name": "s"},
        "framework": "AG2",
        "description": "",
        "source": {"module": {"entrypoint": "a:b"}},
        "tools": [],
        "agents": [],
        "scaling": {
            "minReplicas": 0,
            "maxReplicas": 10,
            "targetBacklogPerReplica": 4,
            "targetAgeSeconds": 5,
            "idleSeconds": 60,
            "engine": "Builtin",
        },
        "execution": {
            "timeoutSeconds": 600,
            "ackWaitSeconds": 10,
            "concurrency": 4,
            "maxInputBytes": 524288,
            "clientTimeoutSeconds": 3600,
            "whenBusy": "Queue",
        },
        "retryPolicy": {"maxAttempts": 5, "onCrash": "Resume"},
        "budget": {"tokens": 100000, "toolCalls": 100},
        "deletionPolicy": "Drain",
        "drainSeconds": 600,
        "triggers": [],
        "allowedNamespaces": {"from": "Same"},
        "suspend": False,
        "podTemplate": {},
    }


def test_a_stack_needs_no_word_about_its_store_and_queue() -> None:
    spec = parse(Stack, changed(GOOD[Kind.STACK], "spec", {})).spec

    assert spec.storage.dump() == {"sqlite": {"size": "1Gi"}}
    assert spec.messaging.dump() == {
        "managed": {"replicas": 3, "storage": "2Gi", "syncInterval": "always"}
    }
    assert spec.retention.dump() == {
        "taskSeconds": 86400,
        "eventSeconds": 3600,
        "deadLetterSeconds": 604800,
    }
    assert spec.auth is None


def test_a_quantity_may_be_written_as_a_number() -> None:
    stack = parse(Stack, changed(GOOD[Kind.STACK], "spec.server.resources.requests.cpu", 2))

    assert stack.spec.server.resources.requests["cpu"] == "2"


@pytest.mark.parametrize("body", ALL_GOOD, ids=_name)
def test_what_was_read_can_be_written_and_read_again(body: dict[str, Any]) -> None:
    model = MODEL_BY_KIND[Kind(body["kind"])]
    resource = parse(model, body)

    assert parse(model, resource.dump()) == resource


def test_python_names_are_no_field_names() -> None:
    """The API server knows camelCase alone; so does the door."""
    body = changed(GOOD[Kind.AGENT], "spec.stack_ref", {"name": "other"})

    said = r"^spec\.stackRef: is required; stack_ref stands there, and is no field$"
    with pytest.raises(InvalidSpec, match=said):
        parse(Agent, changed(body, "spec.stackRef", GONE))
    assert parse(Agent, body) == parse(Agent, GOOD[Kind.AGENT])
    with pytest.raises(InvalidSpec, match=r"no such field; did you mean stackRef\?$"):
        parse_strictly(Agent, body)


def test_unknown_fields_are_ignored_or_refused_by_name() -> None:
    plain = changed(GOOD[Kind.AGENT], "spec.podTemplate.anything", {"goes": True})
    body = changed(plain, "spec.tools[1].toolRef.kind", "Tool")
    body = changed(body, "spec.scaling.minimum", 3)

    assert parse(Agent, body) == parse(Agent, plain) == parse_strictly(Agent, plain)
    with pytest.raises(InvalidSpec) as refused:
        parse_strictly(Agent, body)
    assert str(refused.value) == (
        "spec.tools[1].toolRef.kind: there is no such field; "
        "spec.scaling.minimum: there is no such field"
    )


SLIPS: dict[str, Any] = {
    "spec.tool": [],
    "spec.framework": "Langgraph",
    "spec.source": {"declarative": {"instrutions": "Add."}},
    "spec.tools[0].toolRef.nam": "x",
    "spec.scaling.minReplica": 1,
}


def test_no_mistake_hides_another_and_a_near_one_is_named() -> None:
    body = GOOD[Kind.AGENT]
    for place, value in SLIPS.items():
        body = changed(body, place, value)

    with pytest.raises(InvalidSpec) as refused:
        parse_strictly(Agent, body)

    assert str(refused.value).split("; spec") == [
        (
            "spec.framework: must be one of 'LangGraph', 'CrewAI', 'AG2', 'LlamaStack' or "
            "'BeeAI', not 'Langgraph'; did you mean LangGraph?"
        ),
        ".source.declarative.instructions: is required; instrutions stands there, and is no field",
        ".tools[0].toolRef.nam: there is no such field; did you mean name?",
        ".scaling.minReplica: there is no such field; did you mean minReplicas?",
        ".tool: there is no such field; did you mean tools?",
    ]


@pytest.mark.parametrize(("kind", "meant"), [("Agnt", "; did you mean Agent?"), ("Pod", "")])
def test_a_kind_that_is_none_names_the_one_that_is_meant(kind: str, meant: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        model_of({"apiVersion": API_VERSION, "kind": kind})
    assert str(refused.value).endswith(f"not '{kind}'{meant}")


def test_any_name_may_stand_where_the_user_chooses_them() -> None:
    pods = changed(GOOD[Kind.AGENT], "spec.podTemplate", {"spec": {"any": None}})
    labelled = changed(pods, "metadata.anything", 1)
    assert parse_strictly(Agent, labelled) == parse(Agent, pods)


def test_any_mapping_is_read() -> None:
    """kopf hands out views, not dicts."""
    body = GOOD[Kind.AGENT]
    view = MappingProxyType({**body, "spec": MappingProxyType(body["spec"])})

    assert parse(Agent, view) == parse(Agent, body)


def test_what_was_read_cannot_be_changed() -> None:
    agent = parse(Agent, GOOD[Kind.AGENT])

    with pytest.raises(ValidationError, match="frozen"):
        agent.spec.replicas = 3  # type: ignore[misc] # the point of the test


def test_metadata_of_a_living_object_is_read() -> None:
    body = changed(
        GOOD[Kind.AGENT],
        "metadata",
        {
            "name": "math",
            "namespace": "team",
            "uid": "6f0c",
            "generation": 7,
            "resourceVersion": "12",
            "labels": {"a": "b"},
            "annotations": {"c": "d"},
            "finalizers": ["k8gentai.dev/cleanup"],
            "creationTimestamp": "2026-11-22T16:05:00Z",
            "deletionTimestamp": "2026-11-22T17:05:00Z",
            "managedFields": [{"manager": "kubectl"}],
        },
    )

    metadata = parse(Agent, body).metadata

    assert metadata.is_deleting
    assert metadata.dump() == {
        name: value for name, value in body["metadata"].items() if name != "managedFields"
    }


def test_a_status_nobody_can_read_is_empty() -> None:
    """It is the operator's own to write: what stands there must not stop it."""
    body = {**GOOD[Kind.AGENT], "status": {"replicas": "many", "conditions": [{}]}}

    agent = parse(Agent, body)

    assert agent.status.replicas == 0
    assert agent.status.conditions == ()


def test_an_object_with_a_bad_spec_can_still_be_reported_on() -> None:
    condition = {
        "type": "Ready",
        "status": "True",
        "reason": "Ready",
        "message": "",
        "lastTransitionTime": "2026-11-22T16:05:00Z",
        "observedGeneration": 1,
    }
    body = {
        **changed(GOOD[Kind.AGENT], "spec", "nonsense"),
        "status": {"observedGeneration": 1, "conditions": [condition], "backlog": 3},
    }

    envelope = parse(Envelope, body)

    assert envelope.metadata.name == "math"
    assert [entry.dump() for entry in envelope.status.conditions] == [condition]


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_is_found_by_its_name(kind: Kind) -> None:
    assert model_of({"apiVersion": API_VERSION, "kind": kind.value}) is MODEL_BY_KIND[kind]


@pytest.mark.parametrize(
    "body",
    [
        pytest.param({"apiVersion": "v1", "kind": "ConfigMap"}, id="a core object"),
        pytest.param({"apiVersion": "kagent.dev/v1", "kind": "Agent"}, id="another group's Agent"),
        pytest.param({}, id="nothing"),
    ],
)
def test_other_objects_are_none_of_ours(body: dict[str, Any]) -> None:
    assert model_of(body) is None


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param(
            {"apiVersion": API_VERSION, "kind": "Agnet"},
            "kind: must be one of Stack, Agent, Tool, IdentityPolicy, not 'Agnet'; "
            "did you mean Agent?",
            id="a kind that does not exist",
        ),
        pytest.param(
            {"apiVersion": "k8gentai.dev/v9", "kind": "Agent"},
            "apiVersion: must be k8gentai.dev/v1alpha1, not 'k8gentai.dev/v9'",
            id="a version that does not exist",
        ),
    ],
)
def test_a_slip_within_our_group_is_told(body: dict[str, Any], sentence: str) -> None:
    with pytest.raises(InvalidSpec) as refused:
        model_of(body)

    assert str(refused.value) == sentence
