"""How the kinds are declared: frozen fields, and rules told twice, in CEL and in Python."""

import re
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Final, Self, override

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    JsonValue,
    Strict,
    WithJsonSchema,
    model_validator,
)
from pydantic.alias_generators import to_camel
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

RULE_BROKEN: Final = "rule"
"""The pydantic error type of a broken `Rule`; its context holds `field` and `message`."""

IMPLIED: Final = "x-k8gentai-implied"
"""Marks a default the operator assumes but the CRD does not write into the object.

A stored default of a union would stand beside the member a user applies later.
"""

LONGEST_SHOWN: Final = 60
"""Characters of a wrong value that an error repeats."""

Integer = Annotated[int, Strict()]
Boolean = Annotated[bool, Strict()]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """One rule that spans fields, told to the API server in CEL and to the embedded mode in Python.

    Shape:
        cel      the rule over `self`, the object that declares it.
        holds    the same over the parsed model.
        message  a sentence that names the field and the way out.
        field    path of the field at fault below `self`, in the words of the CRD; may be empty.

    Source:
        Kubernetes documentation, "Extend the Kubernetes API with CustomResourceDefinitions",
        section "Validation rules".
    """

    cel: str
    holds: Callable[[Any], bool]
    message: str
    field: str = ""

    def validation(self) -> dict[str, str]:
        """The entry for `x-kubernetes-validations`."""
        # The API server knows no fields of metadata here; the message has to name them.
        is_known = self.field and not self.field.startswith("metadata.")
        path = {"fieldPath": f".{self.field}"} if is_known else {}
        return {"rule": self.cel, "message": self.message, **path}


def exactly_one(*members: str) -> Rule:
    """A union: exactly one of `members` (names as in the CRD) is set."""
    return Rule(
        cel=f"[{', '.join(f'has(self.{name})' for name in members)}].filter(x, x).size() == 1",
        holds=lambda model: _count_set(model, members) == 1,
        message=f"set exactly one of {_listed(members)}",
    )


def at_most_one(*members: str) -> Rule:
    """Alternatives that may all be absent."""
    return Rule(
        cel=f"[{', '.join(f'has(self.{name})' for name in members)}].filter(x, x).size() <= 1",
        holds=lambda model: _count_set(model, members) <= 1,
        message=f"set at most one of {_listed(members)}",
    )


def _count_set(model: "Fields", members: tuple[str, ...]) -> int:
    return sum(to_camel(name) in members for name, value in model if value is not None)


def _listed(members: tuple[str, ...]) -> str:
    return f"{', '.join(members[:-1])} and {members[-1]}"


class Fields(BaseModel):
    """Part of a resource: frozen, camelCase outside, blind to what it does not know.

    As on the API server, a null is the same as nothing.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="ignore",
        alias_generator=to_camel,
        validate_by_alias=True,
        validate_by_name=True,
    )
    rules: ClassVar[tuple[Rule, ...]] = ()

    @model_validator(mode="before")
    @classmethod
    def _null_is_nothing(cls, data: object) -> object:
        return without_nulls(data)

    @model_validator(mode="after")
    def _rules_hold(self) -> Self:
        for rule in self.rules:
            if not rule.holds(self):
                context = {"field": rule.field, "message": rule.message}
                raise PydanticCustomError(RULE_BROKEN, "{message}", context)
        return self

    @classmethod
    @override
    def __get_pydantic_json_schema__(
        cls, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler.resolve_ref_schema(handler(core))
        if cls.rules:
            schema["x-kubernetes-validations"] = [rule.validation() for rule in cls.rules]
        return schema

    def dump(self) -> dict[str, Any]:
        """The JSON form, as Kubernetes holds it: camelCase, absent instead of null."""
        return self.model_dump(mode="json", by_alias=True, exclude_none=True)


def without_nulls(data: object) -> object:
    """`data` without entries that are null, if it is a mapping; else as it is."""
    if not isinstance(data, Mapping):
        return data
    return {name: value for name, value in data.items() if value is not None}


NULL_IS_NOTHING: Final = BeforeValidator(without_nulls)
"""For maps of the spec, which the API server rids of nulls like the objects themselves."""


@dataclass(frozen=True, slots=True)
class Keyed:
    """A list whose entries are told apart by `keys`; server-side apply merges them one by one.

    Without keys the entries are scalars and the list is a set.
    """

    keys: tuple[str, ...] = ()

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._distinct, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core)
        if not self.keys:
            return {**schema, "x-kubernetes-list-type": "set"}
        return {
            **schema,
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": list(self.keys),
        }

    def _distinct[T](self, entries: tuple[T, ...]) -> tuple[T, ...]:
        seen: set[Hashable] = set()
        for place, entry in enumerate(entries):
            key = self._key(entry)
            if key in seen:
                shown = ", ".join(str(part) for part in key)
                context = {"field": f"[{place}]", "message": f"{shown} is listed twice"}
                raise PydanticCustomError(RULE_BROKEN, "{message}", context)
            seen.add(key)
        return entries

    def _key(self, entry: object) -> tuple[object, ...]:
        if not isinstance(entry, Fields):
            return (entry,)
        value_by_key = {to_camel(name): value for name, value in entry}
        return tuple(value_by_key[key] for key in self.keys)


@dataclass(frozen=True, slots=True)
class Form:
    """What a string looks like: a pattern for the API server, words for people.

    Patterns mean the same to Python's `re` and to RE2: ASCII classes only, no look-around.
    """

    pattern: str
    words: str

    def __get_pydantic_core_schema__(
        self, source: type[Any], handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._fits, handler(source))

    def __get_pydantic_json_schema__(
        self, core: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        return {**handler(core), "pattern": self.pattern}

    def _fits(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            context = {"field": "", "message": f"must be {self.words}, not {shown(text)}"}
            raise PydanticCustomError(RULE_BROKEN, "{message}", context)
        return text


def shown(value: object) -> str:
    """`value` for an error message, cut off where it gets long."""
    text = repr(value)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"


FREE_FORM: Final = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}

FreeForm = Annotated[dict[str, JsonValue], WithJsonSchema(FREE_FORM)]
"""Any JSON object: kept as it is, judged by whoever uses it."""
