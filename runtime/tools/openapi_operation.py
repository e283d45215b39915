"""One operation of an OpenAPI document as a function: which arguments, and where each goes; pure.

Source:
    OpenAPI Specification 3.0.4 and 3.1.1: "Operation Object", "Parameter Object", "Style Values".
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from runtime.contract.catalogue import FunctionSpec
from runtime.tools.offer import visible
from runtime.tools.openapi_document import BadDocument, Document, Found, Node
from runtime.tools.openapi_schema import Schemas

BODY: Final = "body"
"""The argument that holds the body of the request."""
SAFE: Final = frozenset({"get", "head", "options"})
"""Methods that change nothing and may be repeated (RFC 9110 section 9.2.1)."""
JSON_TYPE: Final = re.compile(r"application/(?:json|[-.\w]+\+json)\s*(?:;.*)?", re.IGNORECASE)
TEXT_TYPE: Final = re.compile(r"text/(?!event-stream)[-.+\w]+\s*(?:;.*)?", re.IGNORECASE)
PLACEHOLDER: Final = re.compile(r"\{([^{}]*)\}")


class Place(StrEnum):
    """Where a parameter goes."""

    PATH = "path"
    QUERY = "query"
    HEADER = "header"


STYLE_BY_PLACE: Final = {Place.PATH: "simple", Place.QUERY: "form", Place.HEADER: "simple"}
NOT_DESCRIBED: Final = frozenset({"accept", "content-type", "authorization"})
"""Headers whose description the specification tells us to ignore."""
SET_BY_US: Final = "idempotency-key"
FORBIDDEN: Final = frozenset(
    {"host", "cookie", "connection", "content-length", "content-encoding", "expect", "te"}
    | {"keep-alive", "proxy-authorization", "trailer", "transfer-encoding", "upgrade", "forwarded"}
    | {"x-forwarded-host", "x-forwarded-for", "x-forwarded-proto", "x-original-url"}
)
"""Headers that steer the connection, or by which a proxy or server chooses host or path."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter; `argument` is its name among the arguments of the function."""

    name: str
    place: Place
    argument: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation that can be called.

    Shape:
        server   its own servers' first address as written, None where the document's holds.
        body     the media type of its body, None if it takes none.
        spec     the function as it is offered: each parameter under its own name, as models take
                 names (`offer.visible`), and the body as `body`. Where two would have one name,
                 each parameter gets its place behind it: `id_path`, `id_query`, `body_query`.
    """

    method: str
    path: str
    server: str | None
    parameters: tuple[Parameter, ...]
    body: str | None
    spec: FunctionSpec

    @property
    def is_safe(self) -> bool:
        """Whether it only reads."""
        return self.method in SAFE


def operation_of(document: Document, found: Found) -> Operation:
    """The operation as a function.

    Raises:
        BadDocument: it is described wrongly, or by what cannot be called yet; nothing that the
            document asks for is left out silently.
    """
    _refuse_unsupported(document, found)
    nodes = tuple(_parameter_nodes(document, found))
    schemas = Schemas(document)
    parameters = _named(nodes)
    _check_path(found, parameters)
    properties, required = {}, []
    for node, parameter in zip(nodes, parameters, strict=True):
        schema = schemas.of_argument(node.get("schema", {}))
        properties[parameter.argument] = _described(schema, node.get("description"))
        if node.get("required") is True or parameter.place is Place.PATH:
            required.append(parameter.argument)
    body, media_type = None, None
    if "requestBody" in found.node:
        body = document.object_at(found.node["requestBody"], "content")
        media_type = _json_type(found, body)
        schema = schemas.of_argument(body["content"][media_type].get("schema", {}))
        properties[BODY] = _described(schema, body.get("description"))
        if body.get("required") is True:
            required.append(BODY)
    whole: dict[str, Any] = {"type": "object", "properties": properties}
    whole |= {"required": required} if required else {}
    whole |= {"additionalProperties": False}
    whole |= {"$defs": schemas.definitions} if schemas.definitions else {}
    return Operation(
        method=found.method,
        path=found.path,
        server=_server(found),
        parameters=parameters,
        body=media_type,
        spec=FunctionSpec(name=found.id, description=_text(found), input_schema=whole),
    )


def address_of(server: Node) -> str:
    """The address of a Server Object, its variables replaced by their defaults."""
    url = str(server.get("url", "/"))
    for name, variable in server.get("variables", {}).items():
        url = url.replace(f"{{{name}}}", str(variable.get("default", "")))
    return url


def _server(found: Found) -> str | None:
    servers = found.node.get("servers") or found.item.get("servers")
    return address_of(servers[0]) if servers else None


def _text(found: Found) -> str:
    said = found.node.get("description") or found.node.get("summary")
    return str(said or f"{found.method.upper()} {found.path}").strip()


def _described(schema: Any, text: str | None) -> Any:
    if schema is False:
        return schema
    rest = {} if schema is True else schema
    return {**rest, "description": text} if text else rest


def _refuse_unsupported(document: Document, found: Found) -> None:
    node = found.node
    if found.method == "trace":
        raise BadDocument("is a TRACE, which no tool needs")
    if node.get("callbacks"):
        raise BadDocument("has callbacks, and nobody could answer them")
    security = node.get("security", document.root.get("security", []))
    if security and {} not in security:
        names = sorted({name for one in security for name in one})
        raise BadDocument(
            f"asks for the credentials {', '.join(names)}, and a Tool has none; where something "
            "on the way adds them, leave `security` out"
        )
    good = [
        document.object_at(answer).get("content")
        for status, answer in node.get("responses", {}).items()
        if status.startswith("2")
    ]
    described = [kind for content in good for kind in content or {}]
    if described and all(good) and not any(map(_is_readable, described)):
        raise BadDocument(f"answers with {', '.join(described)}, neither JSON nor text")


def _is_readable(kind: str) -> bool:
    is_one = JSON_TYPE.fullmatch(kind) or TEXT_TYPE.fullmatch(kind)
    return bool(is_one) or kind in ("*/*", "application/*", "text/*")


def _parameter_nodes(document: Document, found: Found) -> Iterator[Node]:
    """The parameters of path and operation, of which the latter's count."""
    of_path, own = found.item.get("parameters", []), found.node.get("parameters", [])
    by_key = {}
    for given in (*of_path, *own):
        node = document.object_at(given, "in", "name")
        by_key[node["in"], node["name"]] = node
    for (place, name), node in by_key.items():
        if place == Place.HEADER and name.lower() in {*NOT_DESCRIBED, SET_BY_US}:
            continue  # we set it, and a model has no business with it
        _refuse_unsupported_parameter(place, name, node)
        yield node


def _refuse_unsupported_parameter(place: str, name: str, node: Node) -> None:
    if place not in STYLE_BY_PLACE:
        raise BadDocument(f"takes the {place} parameter {name}; path, query and header can be sent")
    if place == Place.HEADER and name.lower() in FORBIDDEN:
        raise BadDocument(f"takes the header {name}, which no argument may set")
    if "content" in node:
        raise BadDocument(f"describes the parameter {name} by `content`; only `schema` can be sent")
    style = STYLE_BY_PLACE[Place(place)]
    explode = style == "form"
    if node.get("style", style) != style or node.get("explode", explode) is not explode:
        raise BadDocument(
            f"wants the parameter {name} in another style than the default one of {place} "
            f"parameters ({style}, explode: {str(explode).lower()})"
        )
    if node.get("allowReserved") is True:
        raise BadDocument(f"wants reserved letters of the parameter {name} unescaped")


def _named(nodes: tuple[Node, ...]) -> tuple[Parameter, ...]:
    """The parameters, each with an argument's name of its own."""
    count = Counter([BODY, *(visible(node["name"]) for node in nodes)])
    taken = {name for name, times in count.items() if times == 1} | {BODY}
    named = []
    for node in nodes:
        argument = visible(node["name"])
        if count[argument] > 1:
            argument = f"{argument}_{node['in']}"
            while argument in taken:
                argument += "_"
            taken.add(argument)
        named.append(Parameter(node["name"], Place(node["in"]), argument))
    return tuple(named)


def _check_path(found: Found, parameters: tuple[Parameter, ...]) -> None:
    wanted = set(PLACEHOLDER.findall(found.path))
    given = {parameter.name for parameter in parameters if parameter.place is Place.PATH}
    if odd := sorted(wanted ^ given):
        raise BadDocument(
            f"has the path {found.path}, which does not fit its path parameters: {', '.join(odd)}"
        )


def _json_type(found: Found, body: Node) -> str:
    """The media type to send; one of JSON, among those that are taken.

    Source:
        RFC 9110 section 9.3.1: content in a request that only reads has no meaning.
    """
    if found.method in SAFE:
        raise BadDocument(f"takes a body with {found.method.upper()}, which has no meaning in HTTP")
    kinds: tuple[str, ...] = tuple(body["content"])
    kind = next((one for one in kinds if JSON_TYPE.fullmatch(one)), None)
    if kind is None:
        raise BadDocument(f"takes a body of {', '.join(kinds) or 'nothing'}, and only JSON is sent")
    return kind
