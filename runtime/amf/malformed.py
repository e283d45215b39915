"""What is wrong with a request that has not the form of its API: one sentence, and the field. Pure.

The server's models are checked by pydantic, which names every alternative that a value is none of,
and those by the names of classes. A client knows its own body, so the field is what can be found in
that.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from runtime.amf.errors import BadRequest

type Step = str | int
KINDS = {"string_type": "a text", "list_type": "a list", "is_instance_of": "a list"}
"""What a value has to be by the kind of its error; the last one is of a `Sequence`."""
OBJECTS = {"dict_type", "model_type", "model_attributes_type"}
ALTERNATIVE_STEPS = 2  # the list or the text, and then which kind of item


@dataclass(frozen=True, slots=True)
class Fault:
    """One error.

    Shape:
        place        the field, as steps from the outermost one.
        alternative  what the value was taken for, as names of the server's own.
        wanted       what it would have to be then, empty if the message alone says that.
    """

    kind: str
    message: str
    place: tuple[Step, ...]
    alternative: tuple[Step, ...]
    wanted: str = ""

    @property
    def is_of_another_kind(self) -> bool:
        """Whether the value says itself that it is something else."""
        return self.kind == "literal_error" and self.place[-1:] == ("type",)

    @property
    def is_of_a_message(self) -> bool:
        """Whether the value was taken for a message, which an item is that names no type."""
        return any(str(name).endswith("Message") for name in self.alternative[-1:])


def malformed(errors: Iterable[Mapping[str, Any]], body: Any) -> BadRequest:
    """The refusal of a request whose `body` has these errors.

    Shape:
        errors  as pydantic gives them: each with `type`, `loc` and `msg`; `loc` begins with where
                the value stands (`body`, `query`, `path`).
    """
    by_alternative: dict[tuple[Step, ...], list[Fault]] = {}
    for error in errors:
        fault = _fault(error, body)
        by_alternative.setdefault(fault.alternative, []).append(fault)
    faults = max(by_alternative.values(), key=_fit)
    fault = max(faults, key=lambda fault: len(fault.place))
    if fault.kind == "json_invalid":
        return BadRequest(f"The body is no JSON{fault.message}; send an object.")
    field = named(fault.place)
    if not field:
        return BadRequest(_no_request(fault))
    if fault.kind == "missing":
        return BadRequest(f"{field} is missing.", param=field)
    others = (one for some in by_alternative.values() for one in some if one.place == fault.place)
    wanted = list(dict.fromkeys(one.wanted for one in others if one.wanted))
    if fault.wanted:
        return BadRequest(f"{field} has to be {_either(wanted)}.", param=field)
    return BadRequest(f"{field} is not as it has to be: {fault.message.rstrip('.')}.", param=field)


def _no_request(fault: Fault) -> str:
    if fault.kind == "missing":
        return "The body is empty; send an object of JSON."
    if fault.kind in OBJECTS:
        return "The body has to be an object of JSON: fields in braces."
    return f"The body has not the form of a request: {fault.message.rstrip('.')}."


def _either(wanted: Sequence[str]) -> str:
    *first, last = wanted
    return f"{', '.join(first)} or {last}" if first else last


def _fit(faults: Sequence[Fault]) -> tuple[bool, int, int, bool]:
    """How much a value looks like one alternative: the more of it was understood, the more so."""
    return (
        not any(fault.is_of_another_kind for fault in faults),
        max(len(fault.place) for fault in faults),
        -sum(fault.kind == "missing" for fault in faults),
        any(fault.is_of_a_message for fault in faults),
    )


def _fault(error: Mapping[str, Any], body: Any) -> Fault:
    where, *steps = error["loc"]
    if error["type"] == "json_invalid":
        return Fault("json_invalid", _where(error, body), (), ())
    place: list[Step] = []
    others: list[Step] = []
    for step in steps:
        if where != "body" or _has(body, step):
            place.append(step)
            body = body[step] if where == "body" else body
        else:
            others.append(step)
    if error["type"] == "missing" and others:
        place.append(others.pop())
    kind = error["type"]
    wanted = error["ctx"]["expected"] if kind in {"literal_error", "enum"} else KINDS.get(kind, "")
    return Fault(kind, error["msg"], tuple(place), tuple(others[:ALTERNATIVE_STEPS]), wanted)


def _where(error: Mapping[str, Any], body: Any) -> str:
    """Where in its text a body stops being JSON, and why."""
    if not isinstance(body, str):
        return ""
    place = error["loc"][-1]
    line, column = body.count("\n", 0, place) + 1, place - body.rfind("\n", 0, place)
    return f" from line {line}, column {column} on ({error['ctx']['error']})"


def malformed_query(error: ValidationError) -> BadRequest:
    """The refusal of a request whose parameters beside the body have these errors."""
    found = error.errors(include_url=False)
    return malformed([{**one, "loc": ("query", *one["loc"])} for one in found], None)


def _has(value: Any, step: Step) -> bool:
    if isinstance(step, int):
        return isinstance(value, list) and step < len(value)
    return isinstance(value, Mapping) and step in value


def named(place: tuple[Step, ...]) -> str:
    """The place as clients write it: `input[0].content`."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return "".join(parts).removeprefix(".")
