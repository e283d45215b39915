"""Fills a JSON Schema from a text: the arguments of a tool, or an answer with a structure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

from stand_in.arithmetic import Back
from stand_in.reading import Kind, Number
from stand_in.schema import (
    Schema,
    branches,
    is_numeric,
    is_text,
    is_word,
    kind,
    properties,
    required,
    resolved,
)
from stand_in.stock import Clause, Named, Stock, Wanted, stock

MOST_DEPTH = 8
_YES = frozenset({"true", "yes", "on", "enabled"})
_NO = frozenset({"false", "no", "off", "not", "without", "disabled"})
_ZERO: Mapping[str, object] = {"integer": 0, "number": 0, "boolean": False, "object": {}}


class Missing(Enum):
    """The text offers nothing for a property."""

    VALUE = "value"


MISSING = Missing.VALUE


@dataclass(frozen=True, slots=True)
class Filled:
    """Arguments of one call, and the required names that the text has nothing for."""

    arguments: Mapping[str, object]
    missing: tuple[str, ...] = ()


def fill_calls(schema: Schema, clause: Clause, *, back: bool) -> Iterator[Filled]:
    """The arguments that `clause` gives; `Back()` stands for the result of the step before.

    Required properties are filled by type in the order they are declared, one that is named
    first of all (`a=2`, `city: Paris`). Optional ones take only what is named, or a value of
    their enumeration. If the tool takes one number or string and the clause has several, there
    is one call for each.
    """
    wanted = wants(schema)
    source = stock(clause, wanted, back=back)
    filler = _Filler(schema, source, lenient=False)
    for _ in range(_times(wanted, required(schema, schema), source)):
        yield _filled(schema, filler)


def _filled(schema: Schema, filler: "_Filler") -> Filled:
    declared, needed = properties(schema, schema), required(schema, schema)
    arguments: dict[str, object] = {}
    for name in [*needed, *(name for name in declared if name not in needed)]:
        at = declared[name]
        if name in needed or name in filler.source.named or "enum" in at:
            value = filler.property(name, at)
            if value is not MISSING:
                arguments[name] = value
    return Filled(arguments, tuple(name for name in needed if name not in arguments))


def _times(wanted: Wanted, needed: Sequence[str], source: Stock) -> int:
    """How many calls the values of a clause are for."""
    if len(needed) != 1 or source.named:
        return 1
    strings = source.quoted or source.spans
    return max(1, len(strings) if wanted.strings else len(source.numbers) * wanted.numbers)


def fill_answer(schema: Schema, text: str, clause: Clause) -> object:
    """A value for the whole of `schema`, from `clause`; what it does not say is filled with
    defaults, with `text` where a string is asked for, else with zeros."""
    source = stock(clause, wants(schema), back=False)
    source.text = text
    root = resolved(schema, schema)
    return _Filler(schema, source, lenient=True).value(root)


def wants(schema: Schema) -> Wanted:
    """What the properties that must be given ask of a text."""
    root = resolved(schema, schema)
    declared = properties(root, schema)
    needed = [declared[name] for name in required(root, schema)] if declared else [root]
    numbers = [each for each in needed if is_numeric(each)]
    strings = [each for each in needed if is_text(each) and each not in numbers]
    return Wanted(frozenset(declared), len(numbers), len(strings))


class _Filler:
    """Walks a schema and takes from the stock; lenient: never MISSING."""

    def __init__(self, root: Schema, source: Stock, *, lenient: bool, depth: int = 0) -> None:
        self.root, self.source, self.lenient, self.depth = root, source, lenient, depth

    def property(self, name: str, at: Schema) -> object:
        """The value of a property: what is said by its name, else what is there for its type."""
        named = self.source.named.get(name)
        for each in branches(at) if named else ():
            told = _told(named, kind(each)) if named and "enum" not in each else MISSING
            if told is not MISSING:
                return told
        return self.value(at)

    def value(self, at: Schema) -> object:
        """A value of the schema `at`, taken from the stock."""
        if "const" in at:
            return at["const"]
        if "anyOf" in at:
            return self._branch(branches(at))
        taken = self._listed(at) if "enum" in at else self._typed(at)
        return self._default(at) if taken is MISSING and self.lenient else taken

    def _branch(self, found: Sequence[Schema]) -> object:
        """A value of the first branch that fits; what one took in vain is there for the next."""
        strict = _Filler(self.root, self.source, lenient=False, depth=self.depth)
        for each in found:
            before = self.source.left()
            taken = strict.value(each)
            if taken is not MISSING:
                return taken
            self.source.put_back(before)
        return self.value(found[0]) if self.lenient else MISSING

    def _listed(self, at: Schema) -> object:
        said = self.source.text.lower()
        for member in _list(at, "enum"):
            if re.search(rf"(?<!\w){re.escape(str(member).lower())}(?!\w)", said):
                return member
        return MISSING

    def _typed(self, at: Schema) -> object:
        match kind(at):
            case "integer":
                return self._number(whole=True)
            case "number":
                return self._number(whole=False)
            case "string":
                return self._string()
            case "boolean":
                return _yes_or_no(self.source.words)
            case "array":
                return self._array(at)
            case "object":
                return self._object(at)
            case "null":
                return None
        return self._number(whole=False) if self.source.numbers else self._string()

    def _number(self, *, whole: bool) -> object:
        numbers = self.source.numbers
        taken = fitting(numbers[0], whole=whole) if numbers else MISSING
        if taken is not MISSING:
            numbers.pop(0)
        return taken

    def _string(self) -> object:
        for offered in (self.source.quoted, self.source.spans):
            if offered:
                return offered.pop(0)
        return MISSING

    def _array(self, at: Schema) -> object:
        """As many numbers or strings as there are, or one of anything else."""
        items = resolved(at.get("items"), self.root)
        inside = _Filler(self.root, self.source, lenient=False, depth=self.depth + 1)
        if self.depth >= MOST_DEPTH:
            return MISSING
        rows = (inside.row(each) for each in branches(items))
        return next((row for row in rows if row), MISSING)

    def row(self, items: Schema) -> list[object]:
        """The values there are for a list; of what takes nothing from the stock, one."""
        taken: list[object] = []
        while (value := self.value(items)) is not MISSING:
            taken.append(value)
            if not is_word(items):
                break
        return taken

    def _object(self, at: Schema) -> object:
        if self.depth >= MOST_DEPTH:
            return MISSING
        inside = _Filler(self.root, self.source, lenient=self.lenient, depth=self.depth + 1)
        needed = required(at, self.root)
        made = {
            name: inside.property(name, each)
            for name, each in properties(at, self.root).items()
            if name in needed or name in self.source.named
        }
        return MISSING if MISSING in made.values() else made

    def _default(self, at: Schema) -> object:
        if "default" in at:
            return at["default"]
        if members := _list(at, "enum"):
            return members[0]
        match kind(at):
            case "string":
                return self.source.text
            case "array":
                least = at.get("minItems", 0)
                items = resolved(at.get("items"), self.root)
                return [self.value(items)] * (least if isinstance(least, int) else 0)
        return at.get("minimum", _ZERO.get(kind(at)))


def fitting(number: Number | Back, *, whole: bool) -> object:
    """The number as an integer or a number wants it; MISSING if it is no whole one."""
    if isinstance(number, Back) or not whole or isinstance(number, int):
        return number
    return int(number) if number.is_integer() else MISSING


def _list(at: Schema, key: str) -> list[object]:
    members = at.get(key)
    return members if isinstance(members, list) else []


def _yes_or_no(words: frozenset[str]) -> object:
    if words & _NO:
        return False
    return True if words & _YES else MISSING


def _told(named: Named, wanted_kind: str) -> object:
    """What stands behind a property's name, if it is of its type."""
    match wanted_kind:
        case "integer" | "number" if named.first.kind is Kind.NUMBER:
            return fitting(named.first.value, whole=wanted_kind == "integer")
        case "boolean":
            return _yes_or_no(frozenset({named.first.text}))
        case "string":
            return named.text
    return MISSING
