"""JSON schemas that others wrote: whether they are any, and what does not fit them."""

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, override

import jsonschema
from jsonschema.exceptions import SchemaError, ValidationError, best_match
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

type Keyword = Callable[[Any, Any, Any, Any], Iterator[ValidationError] | None]

MOST_PARTS = 2_000  # objects and lists in a schema of a client
MOST_STEPS = 30_000
"""Keywords to look at in one check, a second's work: a few nested references come to any number."""
LONGEST = 500  # characters of a message
MOST_FAULTS = 4
"""To be told at once: whoever mends one at a time asks a model each time."""


class BadSchema(Exception):
    """It is no JSON schema, or one that cannot be used; the message says why."""


class JsonSchema:
    """A JSON schema, from somebody who is trusted with the time that it takes.

    Source:
        JSON Schema 2020-12, unless the schema itself names another draft.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        """Take a schema.

        Raises:
            BadSchema: it is none.
        """
        kind: type[Validator] = jsonschema.validators.validator_for(
            schema, default=jsonschema.Draft202012Validator
        )
        try:
            kind.check_schema(schema)
        except SchemaError as error:
            raise BadSchema(_short(error.message)) from error
        except RecursionError as error:
            raise BadSchema("it is nested too deep") from error
        # An empty registry: a reference that leads out of the schema is never fetched.
        self._validator = self._changed(kind)(schema, registry=Registry())

    def fault(self, value: Any) -> str | None:
        """What does not fit, and where; None if all does.

        Raises:
            BadSchema: a reference of the schema leads nowhere, or round in a circle.
        """
        try:
            faults = list(islice(self._faults(value), MOST_FAULTS))
        except Unresolvable as error:
            raise BadSchema(str(error)) from error
        except RecursionError as error:
            raise BadSchema("it goes round in a circle") from error
        return "; ".join(faults) or None

    def _faults(self, value: Any) -> Iterator[str]:
        """What does not fit, each sentence once: several parts of a schema may ask for the same."""
        told: set[str] = set()
        for error in self._validator.iter_errors(value):
            # Of alternatives, what comes nearest: an error for each of them would be no help.
            sentence = _sentence(best_match([error]) or error)
            if sentence not in told:
                told.add(sentence)
                yield sentence

    def _changed(self, kind: type[Validator]) -> type[Validator]:
        return kind


class ForeignSchema(JsonSchema):
    """The schema of somebody who may want to keep us busy.

    A `pattern` is not matched: there are expressions that take for ever, and nothing ends them.
    What else there is to check is checked as long as that takes no more than a moment.
    """

    def __init__(self, schema: dict[str, Any]) -> None:
        """Take a schema.

        Raises:
            BadSchema: it is none or too large, refers to what it does not hold, or has
                `patternProperties`.
        """
        _measure(schema)
        self._steps = 0
        super().__init__(schema)
        _look_through(schema)

    @override
    def fault(self, value: Any) -> str | None:
        """What does not fit, and where; None if all does.

        Raises:
            BadSchema: it cannot be told, or not within a moment.
        """
        self._steps = 0
        return super().fault(value)

    @override
    def _changed(self, kind: type[Validator]) -> type[Validator]:
        extend: Callable[..., type[Validator]] = jsonschema.validators.extend
        counted = {name: self._counted(check) for name, check in kind.VALIDATORS.items()}
        return extend(kind, counted | {"pattern": _unmatched})

    def _counted(self, check: Keyword) -> Keyword:
        def counted(
            validator: Any, keyword: Any, value: Any, schema: Any
        ) -> Iterator[ValidationError] | None:
            self._steps += 1
            if self._steps > MOST_STEPS:
                raise BadSchema(f"it takes more than {MOST_STEPS} steps to check an answer")
            return check(validator, keyword, value, schema)

        return counted


def _unmatched(_validator: Any, _pattern: Any, _value: Any, _schema: Any) -> None:
    """What a keyword finds wrong that is not checked."""


def _measure(schema: dict[str, Any]) -> None:
    """Refuse what would take long just to look at."""
    parts: list[Any] = [schema]
    for part in parts:  # which grows
        inner = part.values() if isinstance(part, dict) else part
        parts += [one for one in inner if isinstance(one, dict | list)]
        if len(parts) > MOST_PARTS:
            raise BadSchema(f"it has more than {MOST_PARTS} objects and lists")


def _look_through(schema: dict[str, Any]) -> None:
    """Refuse what would show only when the first answer is checked."""
    root = DRAFT202012.create_resource(schema)
    parts = [(root, Registry().resolver_with_root(root))]
    while parts:
        part, outer = parts.pop()
        resolver = outer.in_subresource(part)
        parts += [(inner, resolver) for inner in part.subresources()]
        keywords = part.contents if isinstance(part.contents, dict) else {}
        if "patternProperties" in keywords:
            raise BadSchema("patternProperties are not supported; name the properties")
        reference = keywords.get("$ref", "")
        try:
            resolver.lookup(reference)
        except Unresolvable as error:
            raise BadSchema(f"its $ref {reference!r} is nowhere in it") from error


def _sentence(error: ValidationError) -> str:
    where = ".".join(str(part) for part in error.absolute_path)
    return f"{where}: {_short(error.message)}" if where else _short(error.message)


def _short(message: str) -> str:
    """A message that may quote a whole document."""
    return message if len(message) <= LONGEST else f"{message[: LONGEST - 1]}…"
