"""OpenAPI documents for tests, made of one operation."""

import json
from typing import Any

from runtime.contract.agent_config import HttpApi
from runtime.tools.openapi import Endpoint, Offer, offer_of

URL = "http://api.example/v2/openapi.json"
WHERE = f"the document at {URL}"


def document(
    operation: dict[str, Any] | None = None,
    *,
    path: str = "/pets",
    method: str = "get",
    version: str = "3.1.0",
    **parts: Any,
) -> dict[str, Any]:
    node = {
        "operationId": "op",
        "responses": {"200": {"description": "Good."}},
        **(operation or {}),
    }
    info = {"title": "Pets", "version": "1"}
    return {"openapi": version, "info": info, "paths": {path: {method: node}}, **parts}


def parameter(name: str, place: str = "query", **facts: Any) -> dict[str, Any]:
    required = {"required": True} if place == "path" else {}
    return {"name": name, "in": place, "schema": {"type": "string"}, **required, **facts}


def json_body(schema: Any, **facts: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}, **facts}


def offered(given: dict[str, Any] | str, *operations: str, base_url: str | None = None) -> Offer:
    text = given if isinstance(given, str) else json.dumps(given)
    api = HttpApi(url=URL, operations=operations or None, base_url=base_url)
    return offer_of(text, api, where=WHERE, url=URL)


def endpoint(given: dict[str, Any] | str, **facts: Any) -> Endpoint:
    offer = offered(given, **facts)
    assert offer.problem is None
    return offer.endpoints["op"]


def arguments_schema(given: dict[str, Any] | str) -> dict[str, Any]:
    return endpoint(given).operation.spec.input_schema
