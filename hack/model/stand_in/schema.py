"""What a JSON Schema asks for, as far as the model reads one: types, required, enum, references."""

from collections.abc import Mapping

type Schema = Mapping[str, object]
_REFERENCE = "#/"
MOST_HOPS = 20


def resolved(schema: object, root: Schema, hops: int = 0) -> Schema:
    """The schema itself: behind `$ref`, and of a union the first member that is not null.

    Raises:
        LookupError: a reference leads nowhere, or in a circle.
    """
    if hops > MOST_HOPS:
        raise LookupError("a reference of the schema leads in a circle")
    at = schema if isinstance(schema, Mapping) else {}
    match at:
        case {"$ref": str(path)}:
            return resolved(_found(path, root), root, hops + 1)
        case {"anyOf": [*members]} | {"oneOf": [*members]} | {"allOf": [*members]}:
            real = [member for member in members if not _is_null(member)]
            return resolved(real[0], root, hops + 1) if real else at
    return at


def _found(path: str, root: Schema) -> object:
    at: object = root
    for name in path.removeprefix(_REFERENCE).split("/"):
        if not isinstance(at, Mapping) or name not in at:
            raise LookupError(f"the schema has no {path}")
        at = at[name]
    return at


def _is_null(schema: object) -> bool:
    return isinstance(schema, Mapping) and schema.get("type") == "null"


def kind(schema: Schema) -> str:
    """The JSON type: the first that is not null; "object" by its properties, "" if it is open."""
    said = schema.get("type")
    if isinstance(said, list):
        said = next((each for each in said if each != "null"), "null")
    if isinstance(said, str):
        return said
    return "object" if "properties" in schema else ""


def properties(schema: Schema, root: Schema) -> dict[str, Schema]:
    """The properties in the order they are declared, each resolved."""
    declared = schema.get("properties")
    if not isinstance(declared, Mapping):
        return {}
    return {str(name): resolved(each, root) for name, each in declared.items()}


def required(schema: Schema, root: Schema) -> tuple[str, ...]:
    """The names that must be given, as declared; without a list, those without a default."""
    declared, listed = properties(schema, root), schema.get("required")
    if isinstance(listed, list):
        return tuple(name for name in declared if name in listed)
    return tuple(name for name, each in declared.items() if "default" not in each)


def is_numeric(schema: Schema) -> bool:
    """A number or an integer, and not one of a list of values."""
    return kind(schema) in ("integer", "number") and "enum" not in schema and "const" not in schema


def required_numbers(schema: Schema) -> tuple[str, ...]:
    """The names of the numbers that must be given."""
    declared = properties(schema, schema)
    return tuple(name for name in required(schema, schema) if is_numeric(declared[name]))
