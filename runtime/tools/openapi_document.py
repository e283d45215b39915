"""An OpenAPI document: read, checked as far as it is used, and asked for its operations; pure.

Source:
    OpenAPI Specification 3.0.4 and 3.1.1.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import yaml
from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for
from openapi_spec_validator.schemas import schema_v30, schema_v31

type Node = Mapping[str, Any]

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
TIMESTAMP: Final = "tag:yaml.org,2002:timestamp"
LONGEST_CHAIN: Final = 16  # references that lead to references
LONGEST_COMPLAINT: Final = 300  # characters


class BadDocument(Exception):
    """The document, or what is wanted of it, cannot be used; a sentence says why."""


@cache
def _validator(is_3_0: bool, /) -> Any:  # noqa: FBT001 - the one thing that it is told
    """What knows the form of a document of 3.0, or of 3.1.

    Of openapi-spec-validator only the schemas: where jsonschema-rs is installed, as in an image of
    a user's own it may be, its validators give errors of another kind.
    """
    schema = dict(schema_v30 if is_3_0 else schema_v31)
    return validator_for(schema)(schema)


class _Loader(yaml.CSafeLoader):
    """YAML as JSON has it: a date is text."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, form) for tag, form in resolvers if tag != TIMESTAMP]
    for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
}


@dataclass(frozen=True, slots=True)
class Found:
    """An operation as the document has it.

    Shape:
        item   the path's own object, whose parameters and servers hold for all of its operations.
    """

    method: str
    path: str
    item: Node
    node: Node

    @property
    def id(self) -> str:
        """Its `operationId`, "" if it has none."""
        return str(self.node.get("operationId", ""))


class Document:
    """An OpenAPI document of which nothing but its version and its paths is known to be right.

    Only what is used of it is checked (`check`): documents that describe hundreds of operations
    are rarely free of mistakes, which are nobody's concern who calls another operation.
    """

    def __init__(self, text: str) -> None:
        """Read a document, JSON or YAML.

        Raises:
            BadDocument: it is none, or of a version that cannot be read.
        """
        root = _parsed(text)
        if not isinstance(root, dict) or not {"openapi", "swagger"} & root.keys():
            raise BadDocument("is no OpenAPI document: it has no field openapi")
        self.root: Node = root
        self.version = str(root.get("openapi", f"Swagger {root.get('swagger')}"))
        if not self.version.startswith(("3.0.", "3.1.")):
            raise BadDocument(f"is of version {self.version}; convert it to OpenAPI 3.0 or 3.1")
        dialect = str(root.get("jsonSchemaDialect", ""))
        if "spec.openapis.org/oas/3.1/" not in dialect and "2020-12" not in dialect and dialect:
            raise BadDocument(f"uses the JSON Schema dialect {dialect}; use that of OpenAPI 3.1")

    @property
    def is_3_0(self) -> bool:
        """Whether its schemas are those of OpenAPI 3.0, which are no JSON Schema."""
        return self.version.startswith("3.0.")

    def operations(self) -> Iterator[Found]:
        """Everything it describes, in its order."""
        for path, item in _mapping(self.root.get("paths")).items():
            own = _mapping(self.resolved(item) if isinstance(item, dict) else None)
            for method in METHODS:
                if isinstance(node := own.get(method), dict):
                    yield Found(method, path, own, node)

    def check(self, used: tuple[Found, ...]) -> None:
        """Check these operations, and all that they refer to, against the specification.

        Raises:
            BadDocument: something has no form that the specification knows.
        """
        paths: dict[str, dict[str, Any]] = {}
        for one in used:
            rest = {name: value for name, value in one.item.items() if name not in METHODS}
            paths.setdefault(one.path, rest)[one.method] = one.node
        kept = {name: value for name, value in self.root.items() if name not in UNCHECKED}
        part = {**kept, "paths": paths, "components": self._reached(paths)}
        error = best_match(_validator(self.is_3_0).iter_errors(part))
        if error is not None:
            said = error.message[:LONGEST_COMPLAINT]
            raise BadDocument(f"is not valid at {error.json_path}: {said}")

    def _reached(self, paths: Node) -> dict[str, dict[str, Any]]:
        """The components that are referred to from `paths`, by kind and name."""
        reached: dict[str, dict[str, Any]] = {}
        waiting: list[Any] = [paths]
        while waiting:
            node = waiting.pop()
            if isinstance(node, dict):
                waiting += node.values()
                parts = str(node.get("$ref", "")).split("/")
                if parts[:2] == ["#", "components"] and len(parts) == 4:  # noqa: PLR2004 # #, components, kind, name
                    kind, name = map(_unescaped, parts[2:])
                    found = _mapping(_mapping(self.root.get("components")).get(kind)).get(name)
                    if found is not None and name not in reached.setdefault(kind, {}):
                        reached[kind][name] = found
                        waiting.append(found)
            elif isinstance(node, list):
                waiting += node
        return reached

    def resolved(self, node: Any) -> Any:
        """`node`, or what it refers to.

        Raises:
            BadDocument: the reference leads nowhere, out of the document, or in a circle.
        """
        for _ in range(LONGEST_CHAIN):
            if not isinstance(node, dict) or not isinstance(reference := node.get("$ref"), str):
                return node
            node = self.at(reference)
        raise BadDocument(f"refers in a circle: {node}")

    def object_at(self, node: Any, *names: str) -> Node:
        """`node`, or what it refers to, which must be an object that has these fields.

        Raises:
            BadDocument: as `resolved`, or it is something else.
        """
        found = self.resolved(node)
        if not isinstance(found, dict) or not found.keys() >= set(names):
            fields = f" with {' and '.join(names)}" if names else ""
            raise BadDocument(f"has {str(found)[:60]} where an object{fields} should be")
        return found

    def at(self, reference: str) -> Any:
        """What a `$ref` names.

        Raises:
            BadDocument: it leads nowhere, or out of the document.
        """
        if not reference.startswith("#/"):
            raise BadDocument(
                f"refers to {reference}, and nothing outside of it is read; bundle it into one file"
            )
        node: Any = self.root
        for part in map(_unescaped, reference[2:].split("/")):
            match node:
                case dict() if part in node:
                    node = node[part]
                case list() if part.isdecimal() and int(part) < len(node):
                    node = node[int(part)]
                case _:
                    raise BadDocument(f"refers to {reference}, which is not in it")
        return node


UNCHECKED: Final = ("webhooks", "tags", "externalDocs")
"""Parts of a document that no call needs; paths and components are checked as far as used."""


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return _guarded(lambda: _yaml(text))
    except RecursionError as error:
        raise BadDocument("is nested too deeply") from error


def _guarded(read: Callable[[], Any]) -> Any:
    try:
        return read()
    except yaml.YAMLError as error:
        said = " ".join(str(error).split())[:LONGEST_COMPLAINT]
        raise BadDocument(f"is neither JSON nor YAML: {said}") from error
    except RecursionError as error:
        raise BadDocument("is nested too deeply") from error


def _yaml(text: str) -> Any:
    # A few lines of aliases unfold to more than any memory holds.
    if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text, yaml.CSafeLoader)):
        raise BadDocument("uses YAML aliases (&, *); write them out")
    return _with_text_keys(yaml.load(text, _Loader))  # noqa: S506 # it is a safe one


def _with_text_keys(node: Any) -> Any:
    """YAML reads the key of a response, 200, as a number."""
    if isinstance(node, dict):
        return {str(key): _with_text_keys(value) for key, value in node.items()}
    return [_with_text_keys(value) for value in node] if isinstance(node, list) else node


def _mapping(node: Any) -> Node:
    return node if isinstance(node, dict) else {}


def _unescaped(part: str) -> str:
    """One step of a JSON pointer (RFC 6901 section 4)."""
    return part.replace("~1", "/").replace("~0", "~")
