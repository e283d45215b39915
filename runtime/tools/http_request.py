"""The request that asks an operation with given arguments; pure.

Source:
    OpenAPI Specification 3.1.1, "Style Values" and "Appendix C"; RFC 3986; RFC 9110 section 5.5;
    draft-ietf-httpapi-idempotency-key-header-07.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from runtime.tools.openapi import Endpoint
from runtime.tools.openapi_operation import BODY, PLACEHOLDER, Parameter, Place
from runtime.tools.port import ToolFailure

ACCEPT: Final = "application/json, application/*+json, text/*;q=0.5"
KEY_HEADER: Final = "Idempotency-Key"
HEADER_VALUE: Final = re.compile(r"[!-~]([ \t]*[!-~])*|")
SEPARATOR: Final = re.compile(r"[/\\]")


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """What is sent: `url` is whole and escaped, `content` JSON or nothing."""

    method: str
    url: str
    headers: dict[str, str]
    content: bytes | None


def request_of(endpoint: Endpoint, arguments: dict[str, Any], key: str) -> HttpRequest:
    """The request for a call; `key` goes along unless the method only reads.

    The arguments are a model's. They fill the places that the document has for them and no other:
    whatever could begin another segment, query or fragment is escaped, and what would lead to
    another path all the same is refused.

    Raises:
        ToolFailure: an argument has no form that could be sent; the sentence is for the model.
    """
    operation = endpoint.operation
    parts: dict[Place, list[tuple[Parameter, Any]]] = {place: [] for place in Place}
    for parameter in operation.parameters:
        value = arguments.get(parameter.argument)
        if value is not None:
            parts[parameter.place].append((parameter, value))
    path = _path(operation.path, operation.parameters, arguments)
    query = "&".join(pair for one in parts[Place.QUERY] for pair in _form(*one))
    headers = {"Accept": ACCEPT, "Accept-Encoding": "identity"}
    headers |= {one.name: _header(one, value) for one, value in parts[Place.HEADER]}
    content = None
    if operation.body is not None and BODY in arguments:
        content = json.dumps(arguments[BODY], ensure_ascii=False).encode()
        headers["Content-Type"] = operation.body
    if not operation.is_safe:
        headers[KEY_HEADER] = f'"{key}"'  # a string of RFC 8941; no letter of a key needs escaping
    url = f"{endpoint.base_url}{path}" + (f"?{query}" if query else "")
    return HttpRequest(operation.method.upper(), url, headers, content)


def _path(template: str, parameters: tuple[Parameter, ...], arguments: dict[str, Any]) -> str:
    """The path, each value escaped as one piece of one segment (style simple)."""
    parameter_by_name = {one.name: one for one in parameters if one.place is Place.PATH}

    def filled(match: re.Match[str]) -> str:
        parameter = parameter_by_name[match[1]]
        value = arguments.get(parameter.argument)
        texts = [] if value is None else list(_simple(parameter, value))
        # Escaped or not, many a server and proxy takes `..` for "one up": RFC 3986 section 6.2.2.
        if (
            not texts
            or not all(texts)
            or any(step in (".", "..") for text in texts for step in SEPARATOR.split(text))
        ):
            raise _wrong(parameter, "must be a name: not empty, and without . or .. as a step")
        return ",".join(map(_escaped, texts))

    path = "/".join(PLACEHOLDER.sub(filled, segment) for segment in template.split("/"))
    if any(segment in (".", "..") for segment in path.split("/")):
        raise ToolFailure(f"wrong arguments: they lead to {path}, which is another path")
    return path


def _form(parameter: Parameter, value: Any) -> Iterator[str]:
    """Style form, exploded: `name=value` for each."""
    match value:
        case dict():
            pairs = [(str(name), one) for name, one in value.items()]
        case list():
            pairs = [(parameter.name, one) for one in value]
        case _:
            pairs = [(parameter.name, value)]
    for name, one in pairs:
        yield f"{_escaped(name)}={_escaped(_text(parameter, one))}"


def _simple(parameter: Parameter, value: Any) -> Iterator[str]:
    """Style simple, not exploded: the pieces between the commas."""
    match value:
        case dict():
            for name, one in value.items():
                yield from (str(name), _text(parameter, one))
        case list():
            yield from (_text(parameter, one) for one in value)
        case _:
            yield _text(parameter, value)


def _header(parameter: Parameter, value: Any) -> str:
    text = ",".join(_simple(parameter, value))
    if not HEADER_VALUE.fullmatch(text):
        raise _wrong(parameter, "must be one line of ASCII text")
    return text


def _text(parameter: Parameter, value: Any) -> str:
    match value:
        case str():
            return value
        case dict() | list():
            raise _wrong(parameter, "must be flat: a list or object within one cannot be sent")
        case _:
            return json.dumps(value)


def _escaped(text: str) -> str:
    try:
        return quote(text, safe="")
    except UnicodeEncodeError as error:
        raise ToolFailure("wrong arguments: half a surrogate pair is no text") from error


def _wrong(parameter: Parameter, what: str) -> ToolFailure:
    return ToolFailure(f"wrong arguments: {parameter.argument}: {what}")
