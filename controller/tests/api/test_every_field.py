"""Each field of each kind, with every sort of nonsense in it."""

import re
from collections.abc import Iterator
from typing import Any

import pytest

from controller.api.names import Kind
from controller.api.parse import MODEL_BY_KIND, InvalidSpec, parse
from controller.tests.api.bad_specs import GONE, changed
from controller.tests.api.crd_fields import Field, fields
from controller.tests.api.good_specs import ALSO_GOOD, GOOD

pytestmark = pytest.mark.fault(18)

EVERY_FIELD = [field for kind in Kind for field in fields(kind, "spec")]
VALUES_BY_TYPE: dict[str, tuple[object, ...]] = {
    "string": (7, True, [], {}, ["x"]),
    "integer": ("7", 7.5, True, [], {}),
    "boolean": ("true", 1, 0, [], {}),
    "array": ("x", 7, True, {}),
    "object": ("x", 7, True, [], [{}]),
}


def _found(field: Field) -> tuple[dict[str, Any], str]:
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


def _nonsense(node: dict[str, Any]) -> Iterator[object]:
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


def _cases() -> Iterator[Any]:
    for field in EVERY_FIELD:
        if "x-kubernetes-preserve-unknown-fields" in field.node:
            values: tuple[object, ...] = VALUES_BY_TYPE["object"]
        else:
            values = tuple(_nonsense(field.node))
        yield pytest.param(field, values, id=str(field))


@pytest.mark.parametrize(("field", "values"), list(_cases()))
def test_nonsense_is_refused_by_the_field_s_name(field: Field, values: tuple[object, ...]) -> None:
    body, path = _found(field)

    for value in values:
        with pytest.raises(InvalidSpec) as refused:
            parse(MODEL_BY_KIND[field.kind], changed(body, path, value))
        assert refused.value.field == path, value


@pytest.mark.parametrize("field", EVERY_FIELD, ids=str)
def test_a_field_that_is_missing_is_named_or_not_needed(field: Field) -> None:
    body, path = _found(field)

    missing = _parsed(MODEL_BY_KIND[field.kind], changed(body, path, GONE))

    if field.required:
        assert missing == f"{path}: is required"
    elif isinstance(missing, str):
        assert missing.startswith(path.rpartition(".")[0]), "only what the field belongs to"


@pytest.mark.parametrize("field", EVERY_FIELD, ids=str)
def test_null_is_the_same_as_missing(field: Field) -> None:
    body, path = _found(field)
    model = MODEL_BY_KIND[field.kind]

    if not path.endswith("]"):
        nulled = _parsed(model, changed(body, path, None))
        assert nulled == _parsed(model, changed(body, path, GONE))


def _parsed(model: Any, body: dict[str, Any]) -> object:
    try:
        return parse(model, body)
    except InvalidSpec as refused:
        return str(refused)


@pytest.mark.parametrize("kind", Kind)
def test_a_field_put_back_is_as_if_nothing_had_been(kind: Kind) -> None:
    model, good = MODEL_BY_KIND[kind], GOOD[kind]
    before = parse(model, good)

    for name, value in good["spec"].items():
        with pytest.raises(InvalidSpec):
            parse(model, changed(good, f"spec.{name}", object()))
        assert parse(model, changed(good, f"spec.{name}", value)) == before
