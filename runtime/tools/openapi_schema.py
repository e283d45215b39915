"""The schemas of an OpenAPI document as JSON Schema 2020-12, with all they refer to; pure.

Source:
    OpenAPI Specification 3.0.4 and 3.1.1, "Schema Object"; JSON Schema 2020-12.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

from runtime.tools.openapi_document import BadDocument, Document

ONE: Final = frozenset(
    {"additionalProperties", "items", "not", "if", "then", "else", "contains", "propertyNames"}
    | {"unevaluatedItems", "unevaluatedProperties"}
)
LISTS: Final = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})
BY_NAME: Final = frozenset({"properties", "patternProperties", "dependentSchemas"})
"""Keywords whose value is a schema, a list of schemas, schemas by name."""

SAID_ELSEWHERE: Final = frozenset(
    {"discriminator", "xml", "externalDocs", "example", "nullable", "$schema", "$comment", "$defs"}
    | {"title", "readOnly", "writeOnly"}
)
"""Keywords that say nothing about an argument, or that were turned into others.

A title only repeats a name, and a model pays for each word.
"""

REBASING: Final = ("$id", "$anchor", "$dynamicRef", "$dynamicAnchor")


class Schemas:
    """The schemas of one operation: what they refer to is gathered in `definitions`.

    Shape:
        definitions  the `$defs` of the schema that everything converted becomes a part of.
    """

    def __init__(self, document: Document) -> None:
        self._document = document
        self._name_by_reference: dict[str, str] = {}
        self.definitions: dict[str, Any] = {}

    def of_argument(self, schema: Any) -> Any:
        """As `converted`; an argument that is nothing but a reference shows itself."""
        is_bare = isinstance(schema, Mapping) and schema.keys() == {"$ref"}
        return self.converted(self._document.resolved(schema) if is_bare else schema)

    def converted(self, schema: Any) -> Any:
        """One schema, as far as it is about what is sent: read-only properties are left out.

        Raises:
            BadDocument: it refers to what is not in the document, or is read differently by
                different programs.
        """
        if isinstance(schema, bool):
            return schema
        if not isinstance(schema, Mapping):
            raise BadDocument(f"has {schema!r} where a schema should be")
        if strange := next((name for name in REBASING if name in schema), None):
            raise BadDocument(f"uses {strange} in a schema; refer to schemas by #/… alone")
        if self._document.is_3_0:
            if "$ref" in schema:
                return {"$ref": self._referred(schema["$ref"])}  # what stands beside it is ignored
            schema = _from_3_0(schema)
        made = {
            name: self._value(name, value)
            for name, value in schema.items()
            if name not in SAID_ELSEWHERE and not name.startswith("x-")
        }
        return self._writable(_readable(made), schema)

    def _value(self, name: str, value: Any) -> Any:
        match value:
            case str() if name == "$ref":
                return self._referred(value)
            case dict() | bool() if name in ONE:
                return self.converted(value)
            case list() if name in LISTS:
                return [self.converted(one) for one in value]
            case dict() if name in BY_NAME:
                return {key: self.converted(one) for key, one in value.items()}
            case _:
                return value

    def _referred(self, reference: str) -> str:
        name = self._name_by_reference.get(reference)
        if name is None:
            name = self._new_name(reference)
            self._name_by_reference[reference] = name  # first, since it may refer to itself
            self.definitions[name] = self.converted(self._document.at(reference))
        return f"#/$defs/{name}"

    def _new_name(self, reference: str) -> str:
        name = re.sub(r"[^A-Za-z0-9_-]", "_", reference.rpartition("/")[2])
        while name in self._name_by_reference.values():
            name += "_"
        return name

    def _writable(self, made: dict[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
        properties = schema.get("properties")
        if not isinstance(properties, dict):
            return made
        hidden = [
            name
            for name, one in properties.items()
            if isinstance(one, dict) and _is_read_only(self._document.resolved(one))
        ]
        for name in hidden:
            del made["properties"][name]
        if hidden and isinstance(required := made.get("required"), list):
            made["required"] = [name for name in required if name not in hidden]
        return made


def _is_read_only(schema: Any) -> bool:
    return isinstance(schema, dict) and schema.get("readOnly") is True


def _readable(schema: dict[str, Any]) -> dict[str, Any]:
    """`schema` without a pattern that Python cannot read; the API itself knows its own."""
    try:
        re.compile(schema.get("pattern", ""))
    except (re.error, TypeError):
        return {name: value for name, value in schema.items() if name != "pattern"}
    return schema


def _from_3_0(schema: Mapping[str, Any]) -> dict[str, Any]:
    """What OpenAPI 3.0 says in words of its own, in those of JSON Schema."""
    made = dict(schema)
    for limit, exclusive in (("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")):
        if isinstance(is_exclusive := made.pop(exclusive, False), bool):
            if is_exclusive and limit in made:
                made[exclusive] = made.pop(limit)
        else:
            made[exclusive] = is_exclusive
    # "nullable" without "type" means nothing (3.0.3, Proposal "Clarify Nullable").
    if made.get("nullable") is True and isinstance(kind := made.get("type"), str):
        made["type"] = [kind, "null"]
    return made
