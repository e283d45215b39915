"""What an HTTP tool offers of a document, and what keeps the rest away; pure."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import urljoin, urlsplit

from runtime.contract.agent_config import HttpApi
from runtime.tools.errors import BadSpec
from runtime.tools.offer import visible
from runtime.tools.openapi_document import BadDocument, Document, Found
from runtime.tools.openapi_operation import Operation, address_of, operation_of
from runtime.tools.schema import Schema

FIELD: Final = "spec.http.operations"
MAX_SPEC_BYTES: Final = 524288
"""All functions of a Tool are one entry of the catalogue, and one message of the queue."""
WAY_OUT: Final = (
    f"leave it out of {FIELD}, describe it differently in a copy of the document "
    "(spec.http.openapi.configMapRef), or write the tool in Python (spec.python)"
)
MANY: Final = 8  # names that a sentence takes before it ends in an ellipsis


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An operation, where it is, and what its arguments have to be.

    Shape:
        base_url  http://host[:port][/path], without a slash at the end.
    """

    operation: Operation
    base_url: str
    schema: Schema


@dataclass(frozen=True, slots=True)
class Offer:
    """What a document gives.

    Shape:
        endpoints  by the name of the function.
        problem    what of the wanted is not offered, and the way out, in one sentence.
    """

    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    problem: str | None = None


def offer_of(text: str, api: HttpApi, *, where: str, url: str | None) -> Offer:
    """The wanted operations of a document.

    Args:
        text: the document.
        api: which operations are wanted, and the address if the spec has one.
        where: what the document is called in a sentence.
        url: where it was read, to which an address in it may be relative.
    """
    try:
        document = Document(text)
        wanted, problems = _wanted(document, api, where)
        document.check(wanted)
    except BadDocument as error:
        return Offer(problem=f"spec.http.openapi: {where} {error}")
    except RecursionError:
        return Offer(problem=f"spec.http.openapi: {where} is nested too deeply")
    endpoints: dict[str, Endpoint] = {}
    for found in wanted:
        try:
            endpoints[found.id] = _endpoint(document, found, api, url)
        except BadDocument as error:
            problems.append(f"{FIELD}: {_called(found)} {error}; {WAY_OUT}")
        except RecursionError:
            problems.append(f"{FIELD}: {_called(found)} is nested too deeply; {WAY_OUT}")
    size = sum(len(one.operation.spec.encode()) for one in endpoints.values())
    if size > MAX_SPEC_BYTES:
        many = f"{FIELD}: the {len(endpoints)} operations take {size} bytes to describe"
        return Offer(problem=f"{many}, more than {MAX_SPEC_BYTES}; name fewer of them")
    return Offer(endpoints, "; ".join(problems) or None)


def _wanted(document: Document, api: HttpApi, where: str) -> tuple[tuple[Found, ...], list[str]]:
    every = tuple(document.operations())
    count = Counter(found.id for found in every)
    chosen = api.operations
    wanted = [found for found in every if chosen is None or found.id in chosen]
    problems = []
    if missing := [name for name in chosen or () if name not in count]:
        there = _listed(sorted(name for name in count if name)) or "none with an operationId"
        problems.append(f"{FIELD} names {', '.join(missing)}, but {where} has {there}")
    if chosen is None and not wanted:
        problems.append(f"spec.http.openapi: {where} describes no operation")
    visible_names = Counter(visible(found.id) for found in wanted)
    good = []
    for found in wanted:
        if not found.id:
            problems.append(f"{FIELD}: {_called(found)} has no operationId; {WAY_OUT}")
        elif visible_names[visible(found.id)] > 1:
            twice = f"{FIELD}: {_called(found)} has the name of another operation"
            problems.append(f"{twice}; {WAY_OUT}")
        else:
            good.append(found)
    return tuple(good), problems


def _listed(names: list[str]) -> str:
    return ", ".join(names[:MANY]) + (", …" if len(names) > MANY else "")


def _called(found: Found) -> str:
    place = f"{found.method.upper()} {found.path}"
    return f"{found.id} ({place})" if found.id else place


def _endpoint(document: Document, found: Found, api: HttpApi, url: str | None) -> Endpoint:
    operation = operation_of(document, found)
    try:
        base_url = checked_base_url(api.base_url or _base_url(document, operation, url))
    except ValueError as error:
        raise BadDocument(f"has no address: {error}; set spec.http.baseUrl") from error
    try:
        schema = Schema(operation.spec.input_schema, field="the schema of its arguments")
    except BadSpec as error:
        raise BadDocument(f"cannot be offered: {error}") from error
    return Endpoint(operation, base_url, schema)


def _base_url(document: Document, operation: Operation, url: str | None) -> str:
    """The address that the document gives; without one it is where the document is."""
    servers = document.root.get("servers") or [{}]
    address = operation.server if operation.server is not None else address_of(servers[0])
    whole = urljoin(url or "", address)
    if not urlsplit(whole).netloc:
        raise BadDocument(f"is at {address}, relative to a document that has no address; "
                          "set spec.http.baseUrl")  # fmt: skip
    return whole


def checked_base_url(url: str) -> str:
    """`url` without the slash at its end, if it can be the beginning of an address.

    It decides which host is talked to, also inside the cluster. That is the choice of whoever
    writes the Tool: the spec names it, or the document that the spec names. The same person
    chooses the worker's image, so nothing is gained by forbidding some addresses here; what
    workers must not reach is for a NetworkPolicy to say. What must never choose is an argument:
    it is made up by a model, out of what anybody has told it (see `http_request`).

    Raises:
        BadDocument: it has another scheme than http and https, a password, a query or a fragment.
        ValueError: it is no URL.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise BadDocument(f"is at {url}, which is no http address; set spec.http.baseUrl")
    if "@" in parts.netloc:
        raise BadDocument("has a password in its address; a Tool holds no credentials")
    if parts.query or parts.fragment or "{" in url:
        raise BadDocument(f"is at {url}, to which no path can be added; set spec.http.baseUrl")
    return url.rstrip("/")
