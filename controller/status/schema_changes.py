"""What has changed from one JSON schema of arguments to the next, in a person's words: pure.

A change is breaking if arguments that fitted before may not fit, or not do, any more.

Source:
    JSON Schema 2020-12, validation vocabulary.
"""

import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final

from controller.status.schema_alternatives import (
    Json,
    Node,
    allowed_values,
    is_equal,
    is_within,
    mapping_of,
    matched,
    names_of,
    overlap,
    type_of,
)

MOST_STEPS: Final = 20_000
MOST_ALTERNATIVES: Final = 64
MOST_NESTED: Final = 8
"""Alternatives within alternatives, references that lead to references: more is a circle."""
LONGEST_VALUE: Final = 60
WHOLE: Final = "the arguments object"
ANYTHING: Final[Node] = MappingProxyType({})

LOWER_BOUNDS: Final = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
UPPER_BOUNDS: Final = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
WIDENING: Final = frozenset({"patternProperties", "prefixItems", "minContains", "maxContains"})
"""What may allow by being there, so that less may fit once it is gone."""
WORDS: Final = frozenset(
    {"title", "description", "examples", "example", "deprecated", "readOnly", "writeOnly"}
)
"""What tells something of a value and asks for nothing."""
UNSPOKEN: Final = frozenset({"$schema", "$id", "$comment", "$defs", "definitions", "$anchor"})
LOOKED_AT: Final = frozenset(
    {
        *("type", "enum", "const", "default", "anyOf", "oneOf"),
        *("properties", "required", "additionalProperties", "items"),
        *(*LOWER_BOUNDS, *UPPER_BOUNDS, *WORDS, *UNSPOKEN),
    }
)


@dataclass(frozen=True, slots=True)
class SchemaChange:
    """One difference, in words."""

    said: str
    is_breaking: bool


UNTOLD: Final = SchemaChange("its schema has changed, and it cannot be told how", is_breaking=True)
REWRITTEN: Final = SchemaChange("its schema is written in another way", is_breaking=False)


def schema_changes(before: Node, after: Node) -> tuple[SchemaChange, ...]:
    """What has changed from one schema of an arguments object to the next; empty if nothing has.

    What is reached in several ways is told once. Where a comparison takes too long, or cannot tell
    what arguments fit, the change is taken for a breaking one.
    """
    comparison = _Comparison(before, after)
    try:
        if is_equal(before, after):
            return ()
        found = tuple(dict.fromkeys(comparison.between("", before, after)))
    except (_Untold, RecursionError):
        return (UNTOLD,)
    return found or (REWRITTEN,)


class _Untold(Exception):
    """A schema that keeps us busy, or whose meaning is beyond this comparison."""


@dataclass(slots=True)
class _Comparison:
    """Two whole schemas, in which references are looked up."""

    before: Node
    after: Node
    _seen: set[tuple[int, int]] = field(default_factory=set)
    _steps: int = 0

    def between(self, where: str, was: Json, now: Json) -> Iterator[SchemaChange]:
        """What has changed at `where`, a path of arguments: `a`, `a.b`, `a[]`."""
        if (id(was), id(now)) in self._seen:
            return
        self._seen.add((id(was), id(now)))
        self._count()
        old, new = _resolved(was, self.before), _resolved(now, self.after)
        yield from _words(where, old, new)
        olds = list(self._alternatives(old, self.before))
        news = list(self._alternatives(new, self.after))
        if max(len(olds), len(news)) > MOST_ALTERNATIVES:
            raise _Untold
        if (
            "oneOf" in new
            and new["oneOf"] != old.get("oneOf")
            and any(overlap(one, other) for one, other in itertools.combinations(news, 2))
        ):
            raise _Untold  # what fits two of them fits none
        pairs, lost, gained = matched(olds, news)
        yield from _kinds(where, pairs, lost, gained)
        for one, other in pairs:
            yield from self._details(where, one, other)

    def _count(self) -> None:
        self._steps += 1
        if self._steps > MOST_STEPS:
            raise _Untold

    def _alternatives(self, schema: Node, root: Node, depth: int = 0) -> Iterator[Node]:
        """The schemas of one type each, of which a value has to fit one."""
        self._count()
        if depth > MOST_NESTED:
            raise _Untold
        choices = schema.get("anyOf") or schema.get("oneOf")
        rest = {key: schema[key] for key in schema if key not in {"anyOf", "oneOf", *WORDS}}
        if isinstance(choices, list):
            for choice in choices:
                whole = _joined(rest, _resolved(choice, root))
                yield from self._alternatives(whole, root, depth + 1)
        elif isinstance(types := schema.get("type"), list):
            yield from ({**rest, "type": one} for one in types)
        else:
            yield rest

    def _details(self, where: str, was: Node, now: Node) -> Iterator[SchemaChange]:
        yield from _values(where, was, now)
        yield from _bounds(where, was, now)
        yield from self._properties(where, was, now)
        yield from self._further(where, was, now)
        olds, news = was.get("items", ANYTHING), now.get("items", ANYTHING)
        yield from self.between(f"{where}[]", olds, news)
        for keyword in sorted({*was, *now} - LOOKED_AT):
            if was.get(keyword) != now.get(keyword):
                is_gone = keyword not in now
                said = f"has no {keyword} any more" if is_gone else f"has another {keyword}"
                yield _said(where, said, is_breaking=not is_gone or keyword in WIDENING)
            elif "'$ref'" in str(was[keyword]):
                raise _Untold  # what it refers to may have changed

    def _properties(self, where: str, was: Node, now: Node) -> Iterator[SchemaChange]:
        olds, news = mapping_of(was, "properties"), mapping_of(now, "properties")
        needed, needs = names_of(was, "required"), names_of(now, "required")
        for name in sorted({*olds, *news, *needed, *needs}, key=str):
            path = f"{where}.{name}" if where else str(name)
            is_required = name in needs and name not in needed
            if name in olds and name not in news and name not in needs:
                yield _said(path, "was removed", is_breaking=True)
            elif name not in olds and name not in needed:
                said = "is new and required" if is_required else "is new"
                yield _said(path, said, is_breaking=is_required)
                if isinstance(unnamed := _open(was), Mapping) and name in news:
                    yield from self.between(path, unnamed, news[name])
            elif is_required:
                yield _said(path, "is required now", is_breaking=True)
            elif name in needed and name not in needs:
                yield _said(path, "is not required any more")
            if name in olds and name in news:
                yield from self.between(path, olds[name], news[name])

    def _further(self, where: str, was: Node, now: Node) -> Iterator[SchemaChange]:
        """Arguments that are not named."""
        old, new = _open(was), _open(now)
        if isinstance(old, Mapping) and isinstance(new, Mapping):
            yield from self.between(f"{where}.*" if where else "*", old, new)
        elif old != new:
            is_wider = old is False or new is True
            said = "allows more than it names" if is_wider else "allows less beyond what it names"
            yield _said(where, said, is_breaking=not is_wider)


def _said(where: str, said: str, *, is_breaking: bool = False) -> SchemaChange:
    return SchemaChange(f"{f'argument {where}' if where else WHOLE} {said}", is_breaking)


def _resolved(schema: Json, root: Node) -> Node:
    """The schema with what it refers to within `root`; True and False as schemas.

    Raises:
        _Untold: it refers to something else, or to itself.
    """
    if not isinstance(schema, Mapping):
        return {"not": {}} if schema is False else ANYTHING
    node: Node = schema
    for _ in range(MOST_NESTED):
        if "$ref" in node:
            keyword, found = "$ref", _target(str(node["$ref"]), root)
        elif isinstance(every := node.get("allOf"), list) and len(every) == 1:
            keyword, found = "allOf", every[0]
        else:
            return node
        if not isinstance(found, Mapping):
            raise _Untold
        node = _joined({key: node[key] for key in node if key != keyword}, found)
    raise _Untold


def _joined(outer: Node, inner: Node) -> Node:
    """Both at once: what is told by the outer one, what is asked for by either.

    Raises:
        _Untold: both ask for something by the same keyword.
    """
    asked = outer.keys() - WORDS - UNSPOKEN - {"default"}
    if any(key in inner and inner[key] != outer[key] for key in asked):
        raise _Untold
    return {**inner, **outer}


def _target(reference: str, root: Node) -> Json:
    """What a JSON pointer leads to; None if nowhere, or out of the schema: it is never fetched."""
    if reference != "#" and not reference.startswith("#/"):
        return None
    found: Json = root
    for token in reference.split("/")[1:]:
        name = token.replace("~1", "/").replace("~0", "~")
        if isinstance(found, list) and name.isdecimal() and int(name) < len(found):
            found = found[int(name)]
        else:
            found = found.get(name) if isinstance(found, Mapping) else None
    return found


def _kinds(
    where: str, pairs: list[tuple[Node, Node]], lost: list[Node], gained: list[Node]
) -> Iterator[SchemaChange]:
    """What is said of alternatives that have come or gone."""
    for old, new in pairs:
        if type_of(old) != type_of(new):
            yield _said(where, f"takes {_listed([new])} instead of {_listed([old])}")
    now = {type_of(one) for one in (*gained, *(new for _, new in pairs))}
    held = [one for one in lost if not is_within(type_of(one), now)]
    if held and gained and not pairs:
        said = f"takes {_listed(gained)} instead of {_listed(held)}"
        yield _said(where, said, is_breaking=True)
        return
    if held:
        yield _said(where, f"takes {_listed(held)} no more", is_breaking=True)
    if gained:
        yield _said(where, f"takes {_listed(gained)} as well")


def _listed(schemas: Iterable[Node]) -> str:
    return " or ".join(dict.fromkeys(type_of(one) or "anything" for one in schemas))


def _values(where: str, was: Node, now: Node) -> Iterator[SchemaChange]:
    """What is said of lists of allowed values."""
    old, new = allowed_values(was), allowed_values(now)
    if old is None and new is None:
        return
    if new is None:
        yield _said(where, "takes other values as well")
    elif old is None:
        yield _said(where, f"takes {_shown_all(new)} alone", is_breaking=True)
    else:
        olds, news = ({json.dumps(one): one for one in values} for values in (old, new))
        if lost := [olds[one] for one in olds if one not in news]:
            yield _said(where, f"takes {_shown_all(lost)} no more", is_breaking=True)
        if gained := [news[one] for one in news if one not in olds]:
            yield _said(where, f"takes {_shown_all(gained)} as well")


def _bounds(where: str, was: Node, now: Node) -> Iterator[SchemaChange]:
    for keyword in (*LOWER_BOUNDS, *UPPER_BOUNDS):
        old, new = was.get(keyword), now.get(keyword)
        if old == new:
            continue
        if new is None:
            yield _said(where, f"has no {keyword} any more")
            continue
        told = "" if old is None else f" instead of {_shown(old)}"
        is_loose = _is_looser(old, new, is_lower=keyword in LOWER_BOUNDS)
        yield _said(where, f"has the {keyword} {_shown(new)}{told}", is_breaking=not is_loose)


def _is_looser(old: Json, new: Json, *, is_lower: bool) -> bool:
    if not isinstance(old, int | float) or not isinstance(new, int | float):
        return False
    return new < old if is_lower else new > old


def _words(where: str, was: Node, now: Node) -> Iterator[SchemaChange]:
    """What is said of what is told and not asked for."""
    if any(was.get(word) != now.get(word) for word in WORDS):
        yield _said(where, "is described in other words")
    if was.get("default") != now.get("default"):
        has = "default" in now
        said = f"has the default {_shown(now['default'])}" if has else "has no default any more"
        yield _said(where, said)


def _open(schema: Node) -> Json:
    """What holds for arguments that are not named: True, False or a schema."""
    said = schema.get("additionalProperties", True)
    return True if said == {} else said


def _shown_all(values: list[Json]) -> str:
    return _cut(", ".join(_shown(one) for one in values))


def _shown(value: Json) -> str:
    return _cut(json.dumps(value, ensure_ascii=False))


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST_VALUE else f"{text[: LONGEST_VALUE - 1]}…"
