"""What is wrong with a request that has not the form of its API: one sentence, and the field. Pure.

The server's models are checked by pydantic, which names every alternative that a value is none of,
and those by the names of classes. A client knows its own body, so the field is what can be found in
that.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from runtime.amf.errors import BadRequest

type Place = tuple[str | int, ...]


def malformed(errors: Iterable[Mapping[str, Any]], body: Any) -> BadRequest:
    """The refusal of a request whose `body` has these errors.

    Shape:
        errors  as pydantic gives them: each with `type`, `loc` and `msg`; `loc` begins with where
                the value stands (`body`, `query`, `path`).
    """
    # The alternative that fits best is the one whose fault lies deepest.
    error, place = max(
        ((error, _place(error, body)) for error in errors), key=lambda found: len(found[1])
    )
    if error["type"] == "json_invalid":
        return BadRequest("The body is no JSON; send an object.")
    field = _named(place)
    what = str(error["msg"]).rstrip(".")
    if not field:
        return BadRequest(f"The body has not the form of a request: {what}.")
    return BadRequest(f"{field} is not as it has to be: {what}.", param=field)


def malformed_query(error: ValidationError) -> BadRequest:
    """The refusal of a request whose parameters beside the body have these errors."""
    found = error.errors(include_url=False, include_context=False)
    return malformed([{**one, "loc": ("query", *one["loc"])} for one in found], None)


def _place(error: Mapping[str, Any], body: Any) -> Place:
    """Where in the body the fault is; names of alternatives on the way are passed over."""
    where, *steps = error["loc"]
    if where != "body":
        return tuple(steps)
    found: list[str | int] = []
    for step in steps:
        if _has(body, step):
            found.append(step)
            body = body[step]
    if error["type"] == "missing":
        found.append(steps[-1])
    return tuple(found)


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(value, list) and step < len(value)
    return isinstance(value, Mapping) and step in value


def _named(place: Place) -> str:
    """The place as clients write it: `input[0].content`."""
    parts = (f"[{step}]" if isinstance(step, int) else f".{step}" for step in place)
    return "".join(parts).removeprefix(".")
