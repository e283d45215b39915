"""Each field of each kind, a good object that has it, and every sort of nonsense for it."""

import re
from collections.abc import Iterator
from typing import Any, Final

from controller.api.names import Kind
from controller.tests.api.crd_fields import Field, Schema, fields
from controller.tests.api.good_specs import ALSO_GOOD, GOOD

EVERY_FIELD: Final = [field for kind in Kind for field in fields(kind, "spec")]
VALUES_BY_TYPE: Final[dict[str, tuple[object, ...]]] = {
    "string": (7, True, [], {}, ["x"]),
    "integer": ("7", 7.5, True, [], {}),
    "boolean": ("true", 1, 0, [], {}),
    "array": ("x", 7, True, {}),
    "object": ("x", 7, True, [], [{}]),
}


def located(field: Field) -> tuple[dict[str, Any], str]:
    """A good object that has the field, and where."""
    steps = re.findall(r"[^.\[\]]+", field.path)
    for body in (GOOD[field.kind], *ALSO_GOOD):
        if body["kind"] == field.kind and (path := _concrete(body, steps)) is not None:
            return body, path.removeprefix(".")
    raise LookupError(f"no good object has {field}; add one")


def _concrete(node: Any, steps: list[str]) -> str | None:
    """The path with the first key for * and the first entry for 0 that lead on to something."""
    if node is None or not steps:
        return None if node is None else ""
    step, *rest = steps
    if isinstance(node, list):
        choices = {f"[{place}]": entry for place, entry in enumerate(node)}
    else:
        choices = {f".{key}": value for key, value in node.items() if step in (key, "*")}
    paths = ((taken, _concrete(entry, rest)) for taken, entry in choices.items())
    return next((f"{taken}{path}" for taken, path in paths if path is not None), None)


def nonsense(node: Schema) -> Iterator[object]:
    """Values a field must refuse: of another type, beyond its bounds, huge, in strange letters."""
    if "x-kubernetes-preserve-unknown-fields" in node:
        yield from VALUES_BY_TYPE["object"]
        return
    if node.get("x-kubernetes-int-or-string"):
        yield from (True, [], {}, 7.5, "", "1 Gi", "x" * 100, -1)
        return
    yield from VALUES_BY_TYPE[node["type"]]
    if "enum" in node:
        yield from ("", "Nope", str(node["enum"][0]).swapcase())
    if "minimum" in node:
        yield from (node["minimum"] - 1, -(10**30))
    if "maximum" in node:
        yield from (node["maximum"] + 1, 10**30)
    if "maxLength" in node:
        yield "x" * (node["maxLength"] + 1)
    if node.get("minLength"):
        yield ""
    if "pattern" in node:
        yield from ("\x00", "Größe 😀", "a\nb")
    if node.get("minItems"):
        yield []
