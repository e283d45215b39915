"""What a JSON Schema asks for, as far as the model reads one: types, required, enum, references."""

from collections.abc import Iterable, Iterator, Mapping

type Schema = Mapping[str, object]
_REFERENCE = "#/"
MOST_HOPS = 20


def resolved(schema: object, root: Schema, hops: int = 0) -> Schema:
    """The schema itself: behind `$ref`, and a union with its members resolved, null aside.

    A union of one member is that member, one of integers and numbers is a number, and a list of
    types is a union too.

    Raises:
        LookupError: a reference leads nowhere, or in a circle.
    """
    if hops > MOST_HOPS:
        raise LookupError("a reference of the schema leads in a circle")
    at = schema if isinstance(schema, Mapping) else {}
    match at:
        case {"$ref": str(path)}:
            return resolved(_found(path, root), root, hops + 1)
        case {"anyOf": [*members]} | {"oneOf": [*members]}:
            return _union(at, (resolved(each, root, hops + 1) for each in members))
        case {"allOf": [first, *_]}:
            return resolved(first, root, hops + 1)
        case {"type": [*types]}:
            return _union(at, ({**at, "type": each} for each in types))
    return at


def _union(at: Schema, members: Iterable[Schema]) -> Schema:
    real = [each for member in members for each in branches(member) if not _is_null(each)]
    if len(real) > 1 and all(map(is_numeric, real)):
        return {**real[0], "type": "number"}
    if len(real) > 1:
        return {"anyOf": [_listed(each) for each in real]}
    return real[0] if real else at


def _listed(member: Schema) -> Schema:
    """A constant as a list of one: among others it has to be said to be meant."""
    return {"enum": [member["const"]]} if "const" in member else member


def branches(schema: Schema) -> tuple[Schema, ...]:
    """What a value may be, the most telling first: the members of a resolved union, or itself.

    Almost any text is a string, so that comes last.
    """
    match schema:
        case {"anyOf": [*members]}:
            return tuple(sorted(_schemas(members), key=lambda each: is_text(each) or not each))
    return (schema,)


def _schemas(members: Iterable[object]) -> Iterator[Schema]:
    return (member for member in members if isinstance(member, Mapping))


def _found(path: str, root: Schema) -> object:
    at: object = root
    for name in path.removeprefix(_REFERENCE).split("/"):
        if not isinstance(at, Mapping) or name not in at:
            raise LookupError(f"the schema has no {path}")
        at = at[name]
    return at


def _is_null(schema: Schema) -> bool:
    return schema.get("type") == "null"


def kind(schema: Schema) -> str:
    """The JSON type: "object" by its properties, "" if it is open or a union."""
    said = schema.get("type")
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
    """It may be a number or an integer, and not only one of a list of values."""
    return any(kind(each) in ("integer", "number") for each in _open(schema))


def is_whole(schema: Schema) -> bool:
    """It may be an integer and no other number."""
    kinds = {kind(each) for each in _open(schema)}
    return "integer" in kinds and "number" not in kinds


def is_text(schema: Schema) -> bool:
    """It may be a string, and not only one of a list of them."""
    return any(kind(each) == "string" for each in _open(schema))


def is_word(schema: Schema) -> bool:
    """It is a number or a string, and not only one of a list: a text may have several."""
    return is_numeric(schema) or is_text(schema)


def _open(schema: Schema) -> Iterator[Schema]:
    """The branches that no list of values limits."""
    return (each for each in branches(schema) if "enum" not in each and "const" not in each)


def required_numbers(schema: Schema) -> tuple[str, ...]:
    """The names of the numbers that must be given."""
    declared = properties(schema, schema)
    return tuple(name for name in required(schema, schema) if is_numeric(declared[name]))
