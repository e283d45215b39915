"""What crds/ says, field by field."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, override

import yaml

from controller.api.names import GROUP, PLURAL_BY_KIND, Kind

CRDS: Final = Path(__file__).resolve().parents[3] / "crds"

type Schema = dict[str, Any]


def crd(kind: Kind) -> Schema:
    text = (CRDS / f"{GROUP}_{PLURAL_BY_KIND[kind]}.yaml").read_text()
    loaded: Schema = yaml.safe_load(text)
    return loaded


def version(kind: Kind) -> Schema:
    (only,) = crd(kind)["spec"]["versions"]
    found: Schema = only
    return found


def root(kind: Kind) -> Schema:
    found: Schema = version(kind)["schema"]["openAPIV3Schema"]
    return found


@dataclass(frozen=True, slots=True)
class Field:
    """One node of a schema; `path` as in `changed`, with * for the key of a map."""

    kind: Kind
    path: str
    node: Schema
    required: bool = False
    in_list: bool = False

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]

    @override
    def __str__(self) -> str:
        return f"{self.kind} {self.path}"


def fields(kind: Kind, part: str) -> Iterator[Field]:
    """Every node below `spec` or `status`, itself first."""
    yield from below(Field(kind, part, root(kind)["properties"][part], required=part == "spec"))


def below(field: Field) -> Iterator[Field]:
    yield field
    node, kind = field.node, field.kind
    for name, child in node.get("properties", {}).items():
        required = name in node.get("required", ())
        yield from below(Field(kind, f"{field.path}.{name}", child, required, field.in_list))
    if "items" in node:
        yield from below(Field(kind, f"{field.path}[0]", node["items"], in_list=True))
    if "additionalProperties" in node:
        entry = node["additionalProperties"]
        yield from below(Field(kind, f"{field.path}.*", entry, in_list=True))
