"""From an OpenAPI document to functions: what is offered, and what is refused in which words."""

import copy
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from runtime.tests.tools.openapi_documents import (
    URL,
    WHERE,
    arguments_schema,
    document,
    endpoint,
    json_body,
    offered,
    parameter,
)
from runtime.tools.openapi import MAX_SPEC_BYTES, WAY_OUT

PET = {
    "type": "object",
    "required": ["id", "name"],
    "properties": {
        "id": {"type": "string", "readOnly": True},
        "name": {"type": "string", "title": "Name", "example": "Rex"},
        "friends": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}},
    },
}


def test_an_operation_becomes_a_function() -> None:
    given = document(
        {
            "summary": "Find pets.",
            "parameters": [
                parameter("id", "path", description="Whose."),
                parameter("limit", schema={"type": "integer", "default": 5}),
                parameter("X-Trace", "header", required=True),
            ],
            "requestBody": json_body({"type": "object"}, required=True, description="A filter."),
        },
        path="/pets/{id}",
        method="post",
    )

    found = endpoint(given)

    assert found.operation.spec.name == "op"
    assert found.operation.spec.description == "Find pets."
    assert found.operation.spec.input_schema == {
        "type": "object",
        "properties": {
            "id": {"type": "string", "description": "Whose."},
            "limit": {"type": "integer", "default": 5},
            "X-Trace": {"type": "string"},
            "body": {"type": "object", "description": "A filter."},
        },
        "required": ["id", "X-Trace", "body"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
def test_schemas_take_along_what_they_refer_to_and_nothing_read_only(version: str) -> None:
    body = json_body({"$ref": "#/components/schemas/Pet"})
    given = document(
        {"requestBody": body}, method="post", version=version, components={"schemas": {"Pet": PET}}
    )

    friends = {"type": "array", "items": {"$ref": "#/$defs/Pet"}}
    pet = {
        "type": "object",
        "required": ["name"],
        "properties": {"name": {"type": "string"}, "friends": friends},
    }
    schema = arguments_schema(given)
    assert schema["properties"]["body"] == pet
    assert schema["$defs"] == {"Pet": pet}
    check = endpoint(given).schema.check
    check({"body": {"name": "Rex", "friends": [{"name": "Ron", "friends": []}]}})


@pytest.mark.parametrize(
    ("version", "schema", "converted"),
    [
        ("3.0.3", {"type": "string", "nullable": True}, {"type": ["string", "null"]}),
        ("3.0.3", {"nullable": True}, {}),
        ("3.0.3", {"type": "integer", "minimum": 1, "exclusiveMinimum": True},
         {"type": "integer", "exclusiveMinimum": 1}),
        ("3.0.3", {"type": "integer", "maximum": 9, "exclusiveMaximum": False},
         {"type": "integer", "maximum": 9}),
        ("3.1.0", {"type": ["string", "null"], "exclusiveMinimum": 1},
         {"type": ["string", "null"], "exclusiveMinimum": 1}),
        ("3.1.0", {"anyOf": [{"type": "integer", "title": "A"}, {"type": "null"}], "title": "B"},
         {"anyOf": [{"type": "integer"}, {"type": "null"}]}),
        ("3.1.0", {"properties": {"title": {"type": "string", "xml": {}}}, "x-internal": 1},
         {"properties": {"title": {"type": "string"}}}),
        ("3.1.0", {"type": "string", "pattern": r"^\p{L}+$"}, {"type": "string"}),
        ("3.1.0", {"type": "string", "pattern": "^[a-z]+$"},
         {"type": "string", "pattern": "^[a-z]+$"}),
        ("3.1.0", {"enum": ["a"], "default": {"title": "kept"}},
         {"enum": ["a"], "default": {"title": "kept"}}),
    ],
)  # fmt: skip
def test_schemas_become_json_schema(version: str, schema: Any, converted: Any) -> None:
    given = document({"parameters": [parameter("q", schema=schema)]}, version=version)

    assert arguments_schema(given)["properties"]["q"] == converted


@pytest.mark.parametrize(
    ("parameters", "has_body", "names"),
    [
        (["id path", "id query"], False, ["id_path", "id_query"]),
        (["body query"], True, ["body_query", "body"]),
        (["body query"], False, ["body_query"]),
        (["filter[a] query", "filter.a query"], False, ["filter_a_", "filter_a"]),
        (["a.b query", "a_b query"], False, ["a_b_query", "a_b_query_"]),
        (["id path", "id query", "id_path query"], False, ["id_path_", "id_query", "id_path"]),
    ],
)
def test_clashes_of_names_are_told_apart_by_place(
    parameters: list[str], names: list[str], *, has_body: bool
) -> None:
    nodes = [parameter(*text.split()) for text in parameters]
    body = {"requestBody": json_body({})} if has_body else {}
    path = "/pets/{id}" if "id path" in parameters else "/pets"

    schema = arguments_schema(document({"parameters": nodes, **body}, path=path, method="post"))

    assert list(schema["properties"]) == names


def test_parameters_of_the_path_hold_for_its_operations() -> None:
    given = document({"parameters": [parameter("a", description="Own.")]})
    given["paths"]["/pets"]["parameters"] = [parameter("a"), parameter("b", description="Path's.")]

    properties = arguments_schema(given)["properties"]

    assert [one["description"] for one in properties.values()] == ["Own.", "Path's."]


def test_headers_that_are_ours_are_no_arguments() -> None:
    ours = ["Accept", "Content-Type", "Authorization", "Idempotency-Key"]
    given = document({"parameters": [parameter(name, "header") for name in ours]})

    assert arguments_schema(given)["properties"] == {}


@pytest.mark.parametrize(
    ("servers", "of_operation", "base_url", "expected"),
    [
        (None, None, None, "http://api.example"),
        ([{"url": "https://pets.example/v1/"}], None, None, "https://pets.example/v1"),
        ([{"url": "v3"}], None, None, "http://api.example/v2/v3"),
        (None, [{"url": "http://other.example"}], None, "http://other.example"),
        (None, [{"url": "http://other.example"}], "http://mine:81/x/", "http://mine:81/x"),
        ([{"url": "https://{region}.pets.example", "variables": {"region": {"default": "eu"}}}],
         None, None, "https://eu.pets.example"),
    ],
)  # fmt: skip
def test_where_the_api_is(servers: Any, of_operation: Any, base_url: Any, expected: str) -> None:
    parts = {"servers": servers} if servers else {}
    given = document({"servers": of_operation} if of_operation else {}, **parts)

    assert endpoint(given, base_url=base_url).base_url == expected


MULTIPART: dict[str, Any] = {"content": {"multipart/form-data": {"schema": {}}}}
TOKEN = {"type": "apiKey", "name": "X-Key", "in": "header"}
CALLBACKS = {
    "done": {"{$request.query.url}": {"post": {"responses": {"200": {"description": "Good."}}}}}
}
PICTURE = {"200": {"description": "Good.", "content": {"image/png": {}, "text/event-stream": {}}}}


@pytest.mark.parametrize(
    ("method", "operation", "reason"),
    [
        ("post", {"requestBody": MULTIPART},
         "takes a body of multipart/form-data, and only JSON is sent"),
        ("get", {"requestBody": json_body({})},
         "takes a body with GET, which has no meaning in HTTP"),
        ("get", {"parameters": [parameter("s", "cookie")]},
         "takes the cookie parameter s; path, query and header can be sent"),
        ("get", {"parameters": [parameter("host", "header")]},
         "takes the header host, which no argument may set"),
        ("get", {"parameters": [parameter("f", style="deepObject", explode=True)]},
         ("wants the parameter f in another style than the default one of query parameters "
         "(form, explode: true)")),
        ("get", {"parameters": [parameter("f", explode=False)]},
         ("wants the parameter f in another style than the default one of query parameters "
         "(form, explode: true)")),
        ("get", {"parameters": [parameter("f", allowReserved=True)]},
         "wants reserved letters of the parameter f unescaped"),
        ("get", {"parameters": [{"name": "f", "in": "query", "content": {"application/json": {}}}]},
         "describes the parameter f by `content`; only `schema` can be sent"),
        ("get", {"parameters": [parameter("id", "path")]},
         "has the path /pets, which does not fit its path parameters: id"),
        ("get", {"security": [{"token": []}]},
         ("asks for the credentials token, and a Tool has none; where something on the way adds "
         "them, leave `security` out")),
        ("post", {"callbacks": CALLBACKS}, "has callbacks, and nobody could answer them"),
        ("trace", {}, "is a TRACE, which no tool needs"),
        ("get", {"responses": PICTURE},
         "answers with image/png, text/event-stream, neither JSON nor text"),
        ("get", {"parameters": [parameter("q", schema={"$ref": "#/components/schemas/No"})]},
         "refers to #/components/schemas/No, which is not in it"),
        ("get", {"parameters": [parameter("q", schema={"$ref": "other.yaml#/Q"})]},
         "refers to other.yaml#/Q, and nothing outside of it is read; bundle it into one file"),
        ("get", {"parameters": [parameter("q", schema={"$id": "http://x", "type": "string"})]},
         "uses $id in a schema; refer to schemas by #/… alone"),
        ("get", {"parameters": [parameter("q", schema={"type": "strange"})]},
         ("cannot be offered: the schema of its arguments is no JSON schema: 'strange' is not "
         "valid under any of the given schemas")),
        ("get", {"servers": [{"url": "ftp://files.example"}]},
         "is at ftp://files.example, which is no http address; set spec.http.baseUrl"),
        ("get", {"servers": [{"url": "http://[pets.example"}]},
         "has no address: Invalid IPv6 URL; set spec.http.baseUrl"),
        ("get", {"servers": [{"url": "http://pets.example:99999"}]},
         "has no address: Port out of range 0-65535; set spec.http.baseUrl"),
        ("get", {"servers": [{"url": "http://me:secret@pets.example"}]},
         "has a password in its address; a Tool holds no credentials"),
        ("get", {"servers": [{"url": "http://pets.example/?a=b"}]},
         "is at http://pets.example/?a=b, to which no path can be added; set spec.http.baseUrl"),
    ],
)  # fmt: skip
def test_what_is_not_supported_is_refused_by_name(
    method: str, operation: dict[str, Any], reason: str
) -> None:
    components = {"securitySchemes": {"token": TOKEN}}
    given = document(operation, method=method, components=components)
    given["paths"]["/fine"] = {"get": {**document()["paths"]["/pets"]["get"], "operationId": "ok"}}

    offer = offered(given)

    said = f"spec.http.operations: op ({method.upper()} /pets) {reason}; {WAY_OUT}"
    assert offer.problem == said
    assert list(offer.endpoints) == ["ok"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "is no OpenAPI document: it has no field openapi"),
        ("<html>Not here</html>", "is no OpenAPI document: it has no field openapi"),
        ("a: [", ("is neither JSON nor YAML: while parsing a flow node did not find expected node "
         'content in "<unicode string>", line 2, column 1')),
        ('{"swagger": "2.0"}', "is of version Swagger 2.0; convert it to OpenAPI 3.0 or 3.1"),
        ("openapi: 4.0.0", "is of version 4.0.0; convert it to OpenAPI 3.0 or 3.1"),
        ("openapi: 3.1.0\nx: &a [1]\ny: *a", "uses YAML aliases (&, *); write them out"),
        ("[" * 100000, "is nested too deeply"),
        ("openapi: 3.1.0\njsonSchemaDialect: http://mine",
         "uses the JSON Schema dialect http://mine; use that of OpenAPI 3.1"),
        ('{"openapi": "3.1.0", "paths": {}}', "is not valid at $: 'info' is a required property"),
        (('{"openapi": "3.0.3", "info": {"title": "x", "version": "1"}, "paths": {"/x": {"get": '
         '{"operationId": "a"}}}}'),
         "is not valid at $.paths['/x'].get: 'responses' is a required property"),
    ],
    ids=["empty", "html", "broken", "swagger", "future", "aliases", "deep", "dialect", "no info",
         "no responses"],
)  # fmt: skip
def test_a_document_that_is_none_is_told(text: str, reason: str) -> None:
    offer = offered(text)

    assert offer.problem == f"spec.http.openapi: {WHERE} {reason}"
    assert offer.endpoints == {}


def test_unknown_operations_are_told_with_those_there_are() -> None:
    offer = offered(document(), "op", "nope")

    assert offer.problem == f"spec.http.operations names nope, but {WHERE} has op"
    assert list(offer.endpoints) == ["op"]


def test_operations_that_are_not_chosen_may_be_anything() -> None:
    given = document(components={"schemas": {"Bad": {"type": 7}}})
    given["paths"]["/bad"] = {"post": {"operationId": "bad", "parameters": "all"}}

    assert offered(given, "op").problem is None


def test_operations_without_a_name_of_their_own_are_told() -> None:
    given = document()
    node = given["paths"]["/pets"]["get"]
    given["paths"]["/same"] = {"get": node}
    given["paths"]["/none"] = {"get": {"responses": node["responses"]}}

    offer = offered(given)

    assert offer.problem == "; ".join(
        [
            f"spec.http.operations: op (GET /pets) has the name of another operation; {WAY_OUT}",
            f"spec.http.operations: op (GET /same) has the name of another operation; {WAY_OUT}",
            f"spec.http.operations: GET /none has no operationId; {WAY_OUT}",
        ]
    )


def test_more_than_the_catalogue_takes_is_told() -> None:
    offer = offered(document({"description": "x" * MAX_SPEC_BYTES}))

    assert offer.problem is not None
    assert offer.problem.endswith(f"more than {MAX_SPEC_BYTES}; name fewer of them")
    assert offer.endpoints == {}


def test_yaml_says_the_same_as_json() -> None:
    given = document({"parameters": [parameter("day", schema={"enum": ["2026-01-01"]})]})
    given["paths"]["/pets"]["get"]["responses"] = {200: {"description": "Good."}}
    text = yaml.safe_dump(given).replace("'2026-01-01'", "2026-01-01")

    assert arguments_schema(text)["properties"] == {"day": {"enum": ["2026-01-01"]}}
    assert endpoint(text).base_url == URL.removesuffix("/v2/openapi.json")


JUNK: tuple[Any, ...] = (None, 7, "x", [{}], {}, {"$ref": "#"})


def places(node: Any) -> Iterator[tuple[Any, Any]]:
    """Every container below `node`, with each key or index of it."""
    pairs = node.items() if isinstance(node, dict) else enumerate(node)
    for key, value in pairs:
        yield node, key
        if isinstance(value, dict | list):
            yield from places(value)


@pytest.mark.fault(18)
@pytest.mark.parametrize("version", ["3.0.3", "3.1.0"])
@pytest.mark.parametrize("junk", JUNK, ids=str)
def test_a_document_with_junk_in_any_place_is_told_or_taken(version: str, junk: Any) -> None:
    sound = document(
        {
            "parameters": [parameter("id", "path"), {"$ref": "#/components/parameters/Q"}],
            "requestBody": json_body({"$ref": "#/components/schemas/Pet"}),
            "servers": [{"url": "http://{a}", "variables": {"a": {"default": "b"}}}],
            "security": [{}],
            "responses": {"200": {"description": "x", "content": {"text/plain": {"schema": {}}}}},
        },
        path="/pets/{id}",
        method="post",
        version=version,
        components={
            "schemas": {"Pet": PET},
            "parameters": {"Q": parameter("q", schema={"anyOf": [{"type": "string"}]})},
        },
    )
    given = copy.deepcopy(sound)
    assert endpoint(given).base_url == "http://b"
    for container, key in list(places(given)):
        before = container[key]
        container[key] = junk
        offer = offered(given, "op")  # raises nothing
        assert offer.problem or list(offer.endpoints) == ["op"]
        container[key] = before
