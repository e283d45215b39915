"""The alternatives of a JSON schema, which mean the same and which may fit one value: pure.

Source:
    JSON Schema 2020-12, applicator vocabulary.
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, Final

type Json = Any
type Node = Mapping[str, Any]

TYPE_BY_CLASS: Final = MappingProxyType(
    {str: "string", bool: "boolean", int: "integer", float: "number", type(None): "null"}
)


def matched(
    olds: list[Node], news: list[Node]
) -> tuple[list[tuple[Node, Node]], list[Node], list[Node]]:
    """Pairs of alternatives that mean the same kind of value, and what has none on either side."""
    pairs: list[tuple[Node, Node]] = []
    left = list(news)
    for fits in (is_equal, _is_like, _is_widened):
        for old in list(olds):
            other = next((new for new in left if fits(old, new)), None)
            if other is not None:
                pairs.append((old, other))
                olds = [one for one in olds if one is not old]
                left = [one for one in left if one is not other]
    return pairs, olds, left


def overlap(one: Node, other: Node) -> bool:
    """Whether a value may fit both, as far as their types and the tags of objects tell."""
    kinds = {type_of(one), type_of(other)}
    if len(kinds) > 1 and None not in kinds and kinds != {"integer", "number"}:
        return False
    tags, others = _tags(one), _tags(other)
    return not any(tags[name].isdisjoint(others[name]) for name in tags.keys() & others.keys())


def _tags(schema: Node) -> dict[str, frozenset[str]]:
    """The values that a schema and its required arguments are bound to, by path."""
    named = {
        name: mapping_of(schema, "properties").get(name) for name in names_of(schema, "required")
    }
    bound = {path: allowed_values(one) for path, one in named.items() if isinstance(one, Mapping)}
    values = {"": allowed_values(schema), **bound}
    return {
        path: frozenset(map(json.dumps, found))
        for path, found in values.items()
        if found is not None
    }


def is_equal(old: Node, new: Node) -> bool:
    """By their text, since 1 equals True."""
    return json.dumps(old, sort_keys=True) == json.dumps(new, sort_keys=True)


def _is_like(old: Node, new: Node) -> bool:
    return type_of(old) == type_of(new)


def _is_widened(old: Node, new: Node) -> bool:
    return is_within(type_of(old), {type_of(new)})


def type_of(schema: Node) -> str | None:
    """The JSON type of a schema's values; None for any."""
    if isinstance(found := schema.get("type"), str):
        return found
    if "properties" in schema:
        return "object"
    kinds = {_type_of_value(one) for one in allowed_values(schema) or ()}
    return kinds.pop() if len(kinds) == 1 else None


def _type_of_value(value: Json) -> str | None:
    return TYPE_BY_CLASS.get(type(value))


def is_within(kind: str | None, kinds: set[str | None]) -> bool:
    """Whether values of a type fit one of these types, too."""
    return None in kinds or (kind == "integer" and "number" in kinds)


def allowed_values(schema: Node) -> list[Json] | None:
    """The only values that fit, None if there is no such list."""
    if "const" in schema:
        return [schema["const"]]
    values = schema.get("enum")
    return values if isinstance(values, list) else None


def mapping_of(schema: Node, keyword: str) -> Node:
    """The mapping under a keyword; empty if there is none."""
    found = schema.get(keyword)
    return found if isinstance(found, Mapping) else {}


def names_of(schema: Node, keyword: str) -> frozenset[str]:
    """The names in the list under a keyword."""
    found = schema.get(keyword)
    names = found if isinstance(found, list) else []
    return frozenset(one for one in names if isinstance(one, str))
