"""JSON schemas that others wrote, and arguments checked against them."""

from typing import Any

import jsonschema
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable

from runtime.tools.errors import BadSpec
from runtime.tools.port import ToolFailure


class Schema:
    """The JSON schema of an arguments object.

    Source:
        JSON Schema 2020-12, unless the schema itself names another draft.
    """

    def __init__(self, schema: dict[str, Any], *, field: str) -> None:
        """Take a schema; `field` is where it stands.

        Raises:
            BadSpec: it is no JSON schema, or not one of an object.
        """
        kind: type[Validator] = jsonschema.validators.validator_for(
            schema, default=jsonschema.Draft202012Validator
        )
        try:
            kind.check_schema(schema)
        except SchemaError as error:
            raise BadSpec(f"{field} is no JSON schema: {error.message}") from error
        if schema.get("type", "object") != "object":
            raise BadSpec(f"{field} must be the schema of an object, not of {schema['type']!r}")
        # An empty registry: a reference that leads out of the schema is never fetched.
        self._validator = kind(schema, registry=Registry())

    def check(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments themselves.

        Raises:
            ToolFailure: they do not fit; the sentence tells a model what to change.
        """
        try:
            error = best_match(self._validator.iter_errors(arguments))
        except Unresolvable as unresolvable:
            raise ToolFailure(f"the tool's schema cannot be used: {unresolvable}") from unresolvable
        if error is not None:
            raise ToolFailure(f"wrong arguments: {_sentence(error)}")
        return arguments


def _sentence(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    return f"{where}: {error.message}" if where else error.message
