"""The page of the API: how a document becomes one. That it has not drifted, `make check` sees."""

from typing import Any

import pytest

from hack.gen_api import EXAMPLES, PAGE, TITLES, Page, examples

SCHEMAS = {
    "Order": {"type": "string", "enum": ["asc", "desc"]},
    "Item": {"type": "object"},
    "Body": {
        "type": "object",
        "required": ["item"],
        "properties": {
            "item": {"$ref": "#/components/schemas/Item", "description": "what | it\nis"},
            "many": {"type": "array", "items": {"$ref": "#/components/schemas/Item"}},
        },
    },
}
OPERATION = {
    "tags": ["Ours"],
    "summary": "Short.",
    "description": "Do it.",
    "parameters": [{"name": "order", "in": "query", "schema": SCHEMAS["Order"]}],
    "requestBody": {
        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Body"}}}
    },
    "responses": {
        "200": {
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/Item"}},
                "text/event-stream": {"schema": {"type": "object"}},
            }
        },
        "204": {"description": "Done."},
        "404": {"$ref": "#/components/responses/Refused404"},
    },
}


def page(**schemas: Any) -> Page:
    return Page(
        {
            "tags": [{"name": "Ours", "description": "What is ours."}],
            "components": {"schemas": SCHEMAS | schemas},
            "paths": {"/v1/it": {"post": OPERATION}},
        }
    )


def test_an_operation_is_told_with_what_it_takes_and_answers() -> None:
    (part,) = page().parts()
    (one,) = part.operations

    assert (part.name, part.about, one.label, one.about) == (
        "Ours",
        "What is ours.",
        "POST /v1/it",
        "Do it.",
    )
    assert [(it.name, it.where, it.type, it.about) for it in one.inputs] == [
        ("order", "query", "`asc`, `desc`", ""),
        ("item", "body, required", "Item", "what \\| it is"),
        ("many", "body", "list of Item", ""),
    ]
    assert one.answers == "200 `application/json` (Item) or `text/event-stream`, 204 with nothing"
    assert one.refusals == "404"


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "string"}, "string"),
        ({}, "any"),
        ({"const": "message"}, "`message`"),
        ({"anyOf": [{"type": "string"}, {"type": "null"}]}, "string"),
        ({"$ref": "#/components/schemas/Order"}, "`asc`, `desc`"),
        ({"anyOf": [{"type": "string"}, {"type": "array", "items": {}}]}, "string or list of any"),
        ({"oneOf": [{"type": kind} for kind in "abcd"]}, "one of 4 kinds"),
    ],
)
def test_a_type_is_told_in_a_few_words(schema: Any, words: str) -> None:
    assert page()._type(schema) == words


def test_every_example_is_on_the_page() -> None:
    assert TITLES.keys() == {path.name for path in EXAMPLES.iterdir()}
    text = PAGE.read_text()
    assert all(f"\n{one.code}\n```" in text for one in examples())
