"""Each field of each kind, with every sort of nonsense in it."""

from typing import Any

import pytest

from controller.api.names import Kind
from controller.api.parse import MODEL_BY_KIND, InvalidSpec, parse
from controller.tests.api.bad_specs import GONE, changed
from controller.tests.api.crd_fields import Field
from controller.tests.api.good_specs import GOOD
from controller.tests.api.nonsense import EVERY_FIELD, located, nonsense

pytestmark = pytest.mark.fault(18)


@pytest.mark.parametrize("field", EVERY_FIELD, ids=str)
def test_nonsense_is_refused_by_the_field_s_name(field: Field) -> None:
    body, path = located(field)

    for value in nonsense(field.node):
        with pytest.raises(InvalidSpec) as refused:
            parse(MODEL_BY_KIND[field.kind], changed(body, path, value))
        assert refused.value.field == path, value


@pytest.mark.parametrize("field", EVERY_FIELD, ids=str)
def test_a_field_that_is_missing_is_named_or_not_needed(field: Field) -> None:
    body, path = located(field)

    missing = _parsed(MODEL_BY_KIND[field.kind], changed(body, path, GONE))

    if field.required:
        assert missing == f"{path}: is required"
    elif isinstance(missing, str):
        assert missing.startswith(path.rpartition(".")[0]), "only what the field belongs to"


@pytest.mark.parametrize("field", EVERY_FIELD, ids=str)
def test_null_is_the_same_as_missing(field: Field) -> None:
    body, path = located(field)
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
