"""Write crds/ from the models of controller/api, or check that nothing has drifted.

python hack/gen_crds.py            write
python hack/gen_crds.py --check    exit 1 and name each file that differs
"""

import argparse
import json
import sys
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import yaml

from controller.api.names import (
    CATEGORY,
    GROUP,
    PLURAL_BY_KIND,
    SHORT_NAMES_BY_KIND,
    VERSION,
)
from controller.api.parse import MODEL_BY_KIND
from controller.api.resource import Column, Resource
from controller.api.schema import IMPLIED

CRDS = Path(__file__).resolve().parent.parent / "crds"
COMMAND = "python hack/gen_crds.py"
HEADER = f"# Generated from controller/api; do not edit. Change the models and run `{COMMAND}`.\n"
INT32_MAXIMUM = 2**31 - 1


class Defaults(StrEnum):
    """What becomes of the models' defaults."""

    STORED = "stored"
    """The API server writes them into the object."""
    TOLD = "told"
    """The description alone speaks of them. So in lists: a default written into an entry looks
    like drift to whoever compares with the file in Git."""
    NONE = "none"
    """Nobody asks: the status."""


FIRST_KEYS = ("description", "type", "format", "default")

type Schema = dict[str, Any]


def files() -> dict[str, str]:
    """Every file of crds/: text by name."""
    text_by_name = {
        f"{GROUP}_{PLURAL_BY_KIND[kind]}.yaml": _text(crd(model))
        for kind, model in MODEL_BY_KIND.items()
    }
    kustomization = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": sorted(text_by_name),
    }
    return {**text_by_name, "kustomization.yaml": _text(kustomization)}


def _text(manifest: Schema) -> str:
    return HEADER + yaml.safe_dump(manifest, sort_keys=False, allow_unicode=True, width=100)


def crd(model: type[Resource]) -> Schema:
    """The CustomResourceDefinition of one kind."""
    plural = PLURAL_BY_KIND[model.kind]
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "kind": model.kind.value,
                "listKind": f"{model.kind}List",
                "plural": plural,
                "singular": model.kind.lower(),
                "shortNames": list(SHORT_NAMES_BY_KIND[model.kind]),
                "categories": [CATEGORY],
            },
            "scope": "Namespaced",
            "versions": [_version(model)],
        },
    }


def _version(model: type[Resource]) -> Schema:
    subresources: Schema = {"status": {}}
    if model.is_scalable:
        subresources["scale"] = {
            "specReplicasPath": ".spec.replicas",
            "statusReplicasPath": ".status.replicas",
            "labelSelectorPath": ".status.selector",
        }
    return {
        "name": VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [_column(column) for column in model.columns],
        "schema": {"openAPIV3Schema": _root(model)},
        "subresources": subresources,
    }


def _column(column: Column) -> Schema:
    return {
        "name": column.name,
        "type": column.type,
        "jsonPath": column.path,
        "description": column.description,
        **({"priority": column.priority} if column.priority else {}),
    }


def _root(model: type[Resource]) -> Schema:
    root: Schema = {
        "type": "object",
        "description": model.about,
        "required": ["spec"],
        "properties": {
            "apiVersion": {"type": "string", "description": f"{GROUP}/{VERSION}."},
            "kind": {"type": "string", "description": f"{model.kind}."},
            "metadata": {"type": "object"},
            "spec": _part(model, "spec", "What you ask for.", Defaults.STORED),
            "status": _part(
                model, "status", "What the operator found; its alone to write.", Defaults.NONE
            ),
        },
    }
    if model.rules:
        root["x-kubernetes-validations"] = [rule.validation() for rule in model.rules]
    return root


def _part(model: type[Resource], name: str, description: str, defaults: Defaults) -> Schema:
    schema = model.model_json_schema(by_alias=True)
    inlined = _inlined(schema, schema["$defs"])["properties"][name]
    return {**_structural(inlined, defaults), "description": description}


def _inlined(node: Any, definitions: Mapping[str, Schema]) -> Any:
    """`node` with each $ref replaced by what it points at; what stands beside the $ref wins."""
    if isinstance(node, list):
        return [_inlined(entry, definitions) for entry in node]
    if not isinstance(node, dict):
        return node
    beside = {
        key: _inlined(value, definitions)
        for key, value in node.items()
        if key not in ("$ref", "$defs")
    }
    if "$ref" not in node:
        return beside
    target = definitions[node["$ref"].removeprefix("#/$defs/")]
    return {**_inlined(target, definitions), **beside}


def _structural(schema: Schema, defaults: Defaults) -> Schema:
    """A JSON Schema of pydantic, without $ref, as a structural schema of Kubernetes."""
    node = _without_null(schema)
    default, implied = node.pop("default", None), node.pop(IMPLIED, None)
    for useless in ("title", "propertyNames"):
        node.pop(useless, None)
    if "const" in node:
        node["enum"] = [node.pop("const")]
    if node.get("type") == "integer":
        node["format"] = "int64" if node.get("maximum", 2**63) > INT32_MAXIMUM else "int32"
    if "description" in node:
        node["description"] = node["description"].partition("\n")[0]
    in_entries = Defaults.TOLD if defaults is Defaults.STORED else defaults
    if "items" in node:
        node["items"] = _structural(node["items"], in_entries)
        node.setdefault("x-kubernetes-list-type", "atomic")
    if isinstance(node.get("additionalProperties"), dict):
        node["additionalProperties"] = _structural(node["additionalProperties"], in_entries)
    if "properties" in node:
        node["properties"] = {
            name: _structural(child, defaults) for name, child in node["properties"].items()
        }
    return _ordered(_defaulted(node, default, implied, defaults))


def _without_null(schema: Schema) -> Schema:
    """Optional fields: a null is the same as nothing, so the schema need not allow it."""
    members = schema.get("anyOf", [])
    if {"type": "null"} not in members:
        return dict(schema)
    (member,) = (member for member in members if member != {"type": "null"})
    beside = {key: value for key, value in schema.items() if key != "anyOf"}
    return {**_without_null(member), **beside}


def _defaulted(node: Schema, default: Any, implied: str | None, defaults: Defaults) -> Schema:
    is_scalar = isinstance(default, str | int) and default != ""
    if defaults is not Defaults.NONE and (implied or is_scalar):
        shown = implied or (json.dumps(default) if isinstance(default, int) else default)
        node["description"] += f" Default: {shown}."
    if defaults is not Defaults.STORED or implied:
        return node
    if is_scalar:
        node["default"] = default
    elif isinstance(default, dict) and _has_default(node):
        node["default"] = {}
    return node


def _has_default(node: Schema) -> bool:
    return any("default" in child for child in node.get("properties", {}).values())


def _ordered(node: Schema) -> Schema:
    first = {key: node[key] for key in FIRST_KEYS if key in node}
    return first | dict(sorted(node.items()))


def drifted(wanted: Mapping[str, str], folder: Path) -> list[str]:
    """Names of files that differ from `wanted`, are missing, or should not be there."""
    found = {path.name: path.read_text() for path in folder.glob("*.yaml")}
    return sorted(
        name for name in wanted.keys() | found.keys() if wanted.get(name) != found.get(name)
    )


def write(wanted: Mapping[str, str], folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    for stale in {path.name for path in folder.glob("*.yaml")} - wanted.keys():
        (folder / stale).unlink()
    for name, text in wanted.items():
        (folder / name).write_text(text)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--check", action="store_true", help="change nothing, report drift")
    parser.add_argument("--folder", type=Path, default=CRDS, help="where the files are")
    arguments = parser.parse_args()
    if not arguments.check:
        write(files(), arguments.folder)
        return 0
    names = drifted(files(), arguments.folder)
    for name in names:
        print(f"{arguments.folder / name} differs from controller/api; run `{COMMAND}`")
    return 1 if names else 0


if __name__ == "__main__":
    sys.exit(main())
