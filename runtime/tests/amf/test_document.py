"""The document of the API: what is added to what FastAPI writes."""

import re
from typing import Any

import pytest

from runtime.amf import errors
from runtime.amf.chat import RunFailed
from runtime.amf.document import TAGS, completed, is_ours, operations
from runtime.amf.statuses import KINDS, meanings, refusals
from runtime.amf.unrouted import PATHS


def told(**more: Any) -> dict[str, Any]:
    """A document as FastAPI writes it."""
    invalid = {"422": {"description": "Validation Error"}}
    ours = {"tags": ["Responses"], "responses": {"200": {"content": {}}, **invalid}}
    stream = {"content": {"text/event-stream": {"schema": {"type": "integer"}}}}
    paths = {
        "/v1/responses/{response_id}": {"get": {**ours, "parameters": [{"name": "response_id"}]}},
        "/v1/chat/completions": {
            "post": {
                "tags": ["Inference"],
                "requestBody": {},
                "responses": {"200": stream, "500": {"$ref": "#/nowhere"}},
            }
        },
        "/v1/files": {"get": {"tags": ["Files"], "responses": {"200": {}, "400": {}}}},
    }
    return {"paths": paths, "components": {"schemas": {"HTTPValidationError": {}}}} | more


def test_every_reference_leads_somewhere() -> None:
    document = completed(told(), {})

    for kind, name in re.findall(r"'#/components/(\w+)/(\w+)'", str(document)):
        assert name in document["components"][kind]
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_what_is_no_route_is_told() -> None:
    document = completed(told(), {})

    assert PATHS.keys() <= document["paths"].keys()
    assert [one["name"] for one in document["tags"]] == list(TAGS)
    ours = {where for where, operation in operations(document) if is_ours(operation)}
    assert "POST /mcp" in ours
    assert "POST /v1/chat/completions" in ours
    assert "GET /v1/files" not in ours


def test_what_is_read_beside_the_body_is_a_parameter() -> None:
    found = dict(operations(completed(told(), {})))

    resumed = found["GET /v1/responses/{response_id}"]
    assert [one["name"] for one in resumed["parameters"]] == [
        "response_id",
        "stream",
        "starting_after",
    ]
    assert "text/event-stream" in resumed["responses"]["200"]["content"]
    asked = found["POST /v1/chat/completions"]
    assert [one["name"] for one in asked["parameters"]] == ["Idempotency-Key"]


def test_a_stream_is_made_of_events_with_data() -> None:
    found = dict(operations(completed(told(), {})))

    answer = found["POST /v1/chat/completions"]["responses"]["200"]
    event = answer["content"]["text/event-stream"]["schema"]
    assert event["required"] == ["data"]
    assert event["properties"]["data"]["contentSchema"] == {"type": "integer"}


@pytest.mark.parametrize(
    ("where", "about", "statuses"),
    [
        pytest.param("GET /v1/files", {"is_ours": False}, "default", id="Llama Stack's own"),
        pytest.param("GET /v1/models", {"has_input": False}, "401 503", id="nothing is asked"),
        pytest.param("GET /v1/agents", {}, "400 401 503", id="a question"),
        pytest.param("GET /v1/agents/{agent_id}", {}, "400 401 404 503", id="an id"),
        pytest.param("POST /v1/agents", {"has_body": True}, "400 401 404 413 415 503", id="a body"),
        pytest.param(
            "POST /v1alpha/agents", {"has_body": True}, "400 401 404 413 415 503", id="of 0.3"
        ),
        pytest.param(
            "POST /v1/responses",
            {"has_body": True},
            "400 401 403 404 409 413 415 422 429 503 504",
            id="a run",
        ),
        pytest.param(
            "GET /v1/responses/{response_id}", {}, "400 401 404 410 503", id="a stream that goes on"
        ),
    ],
)
def test_with_what_a_request_is_refused(where: str, about: Any, statuses: str) -> None:
    asked = {"is_ours": True, "has_input": True, "has_body": False} | about

    assert list(refusals(where, **asked)) == statuses.split()


def test_every_kind_of_refusal_is_told() -> None:
    def below(kind: type[errors.ApiError]) -> set[type[errors.ApiError]]:
        return {kind}.union(*(below(one) for one in kind.__subclasses__()))

    told = {code for codes in meanings().values() for code, _ in codes}
    ours = {one for one in below(errors.ApiError) if one.__module__.startswith("runtime.amf")}
    assert RunFailed in ours
    assert set(KINDS) == {one for one in ours if one.code is not None}
    assert told == {one.code for one in KINDS}
