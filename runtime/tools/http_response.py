"""What an API answered, as a result for the model, or as a sentence on what went wrong; pure.

Source:
    RFC 9110: status codes, `Retry-After` (section 10.2.3), content types.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final

import httpx

from runtime.tools.openapi_operation import JSON_TYPE, TEXT_TYPE
from runtime.tools.port import ToolFailure

LONGEST_EXCERPT: Final = 500  # characters of a body that tells of a failure


@dataclass(frozen=True, slots=True)
class Answer:
    """A response that was read.

    Shape:
        content_type  as it was said, "" if nothing was.
        body          its beginning, null where it is of a type that is not read at all.
    """

    status: int
    content_type: str
    body: bytes | None
    headers: httpx.Headers

    @property
    def said(self) -> str:
        """The status, as HTTP names it: `404 Not Found`."""
        known = self.status in HTTPStatus.__members__.values()
        return f"{self.status} {HTTPStatus(self.status).phrase}" if known else str(self.status)


def is_readable(content_type: str) -> bool:
    """Whether a body of this type can be given to a model; one without a type may be text."""
    return not content_type or bool(
        JSON_TYPE.fullmatch(content_type) or TEXT_TYPE.fullmatch(content_type)
    )


def result_of(function: str, answer: Answer) -> Any:
    """What the operation gave: JSON as it is, else text; an empty body is told by its status.

    Raises:
        ToolFailure: it did not work out, or gave what no model can read.
    """
    if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
        raise ToolFailure(f"{function} failed: the API answered {answer.said}{_excerpt(answer)}")
    if answer.body is None:
        raise ToolFailure(
            f"{function} was carried out ({answer.said}), but its answer cannot be read: it is "
            f"{answer.content_type or 'nothing known'}"
        )
    if not answer.body:
        return answer.said
    if JSON_TYPE.fullmatch(answer.content_type):
        try:
            return json.loads(answer.body, parse_constant=_no_json)
        except (ValueError, RecursionError):
            pass  # text, whatever it says it is
    return _text(answer)


def wait_of(answer: Answer, now: float) -> float | None:
    """How many seconds to wait before asking again, None if the API does not ask for that.

    Args:
        answer: of any status.
        now: seconds since the epoch.
    """
    if answer.status not in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
        return None
    said = answer.headers.get("retry-after", "")
    if said.isdecimal():
        return float(said)
    try:
        when = parsedate_to_datetime(said)
    except ValueError:
        return None
    zoned = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (zoned - datetime.fromtimestamp(now, UTC)).total_seconds())


def _excerpt(answer: Answer) -> str:
    text = " ".join(_text(answer).split()) if answer.body else ""
    if not text:
        return ""
    return f": {text[:LONGEST_EXCERPT]}" + ("…" if len(text) > LONGEST_EXCERPT else "")


def _text(answer: Answer) -> str:
    charset = httpx.Response(200, headers=answer.headers).charset_encoding or "utf-8"
    try:
        return (answer.body or b"").decode(charset, errors="replace")
    except LookupError:
        return (answer.body or b"").decode(errors="replace")


def _no_json(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
