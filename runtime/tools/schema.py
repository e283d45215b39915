"""The schema of arguments, and arguments checked against it."""

from typing import Any

from runtime.json_schema import BadSchema, JsonSchema
from runtime.tools.errors import BadSpec
from runtime.tools.port import ToolFailure


class Schema:
    """The JSON schema of an arguments object."""

    def __init__(self, schema: dict[str, Any], *, field: str) -> None:
        """Take a schema; `field` is where it stands.

        Raises:
            BadSpec: it is no JSON schema, or not one of an object.
        """
        try:
            self._schema = JsonSchema(schema)
        except BadSchema as error:
            raise BadSpec(f"{field} is no JSON schema: {error}") from error
        if schema.get("type", "object") != "object":
            raise BadSpec(f"{field} must be the schema of an object, not of {schema['type']!r}")

    def check(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """The arguments themselves.

        Raises:
            ToolFailure: they do not fit; the sentence tells a model what to change.
        """
        try:
            fault = self._schema.fault(arguments)
        except BadSchema as error:
            raise ToolFailure(f"the tool's schema cannot be used: {error}") from error
        if fault is not None:
            raise ToolFailure(f"wrong arguments: {fault}")
        return arguments
