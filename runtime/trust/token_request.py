"""Reading a request for a token: the form, and the JSON in it. Pure.

Shape:
    Form fields, none repeated, none unknown to matter:
        grant_type             urn:ietf:params:oauth:grant-type:token-exchange
        requested_token_type   `TXN_TOKEN`, or `GRANT`
        audience               the trust domain
        scope                  space-delimited; a grant may leave it out and gets all there is
        subject_token, subject_token_type   `ACCESS_TOKEN`, `GRANT` or `TXN_TOKEN`
        client_assertion, client_assertion_type   the workload's own JWT (RFC 7523, section 2.2)
        request_details        JSON object: `work` and `digest` of the task or call; for a grant
                               `agent` or `tool` ("<namespace>/<name>") and `expires` (seconds since
                               the epoch); for a grant on behalf of a user the `stack`.

Source:
    draft-ietf-oauth-transaction-tokens-10, section 11.1; RFC 8693, section 2.1; RFC 6749, sections
    3.2 and 5.2.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl

from runtime.contract.subjects import token as safe_token
from runtime.contract.txn_token import (
    ACCESS_TOKEN,
    GRANT,
    JWT_BEARER,
    REFRESH_TOKEN,
    TOKEN_EXCHANGE,
    TXN_TOKEN,
    Work,
    scopes,
)
from runtime.contract.value import ObjectName
from runtime.trust.issue import Error, NotIssued, Wanted

EXCHANGES: Final = frozenset(
    {(ACCESS_TOKEN, GRANT), (GRANT, TXN_TOKEN), (TXN_TOKEN, GRANT), (TXN_TOKEN, TXN_TOKEN)}
)
"""What is taken for what."""
FIXED: Final = frozenset({"txn", "sub", "aud"})
"""What the transaction has and nobody may ask for (draft, section 13.15)."""
MAX_FIELDS: Final = 32
WORK: Final = re.compile(r"[-_.A-Za-z0-9]{1,512}")
DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenRequest:
    """A request whose form is right; whether it is granted is another question.

    Shape:
        stack  the one that it names; None if it names none.
    """

    assertion: str
    subject_token: str
    subject_token_type: str
    requested_token_type: str
    wanted: Wanted
    stack: ObjectName | None


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a form.

    Raises:
        NotIssued: it is none, or a field is there twice.
    """
    try:
        pairs = parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise NotIssued(Error.INVALID_REQUEST, "the body is no form") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise NotIssued(Error.INVALID_REQUEST, "a parameter is there more than once")
    return form


def read_assertion(form: Mapping[str, str]) -> str:
    """By what the workload proves who it is.

    Raises:
        NotIssued: by nothing that is understood.
    """
    if form.get("client_assertion_type") != JWT_BEARER or "client_assertion" not in form:
        raise NotIssued(
            Error.INVALID_CLIENT,
            f"client_assertion is missing, or client_assertion_type is not {JWT_BEARER}",
        )
    return form["client_assertion"]


def read_request(form: Mapping[str, str], trust_domain: str) -> TokenRequest:
    """What the form asks for.

    Raises:
        NotIssued: a field is missing or wrong; the message names it.
    """
    assertion = read_assertion(form)
    if _field(form, "grant_type") != TOKEN_EXCHANGE:
        raise NotIssued(Error.UNSUPPORTED_GRANT_TYPE, f"grant_type has to be {TOKEN_EXCHANGE}")
    held, wanted = _field(form, "subject_token_type"), _field(form, "requested_token_type")
    if held == REFRESH_TOKEN:
        raise NotIssued(Error.INVALID_REQUEST, "no token is had for a refresh token")
    if (held, wanted) not in EXCHANGES:
        raise NotIssued(
            Error.INVALID_REQUEST,
            "subject_token_type and requested_token_type: only a grant is had for an access token, "
            "a transaction token for a grant, and either for a transaction token",
        )
    if _field(form, "audience") != trust_domain:
        raise NotIssued(Error.INVALID_TARGET, f"audience has to be {trust_domain}")
    details = _details(form.get("request_details", "{}"))
    return TokenRequest(
        assertion=assertion,
        subject_token=_field(form, "subject_token"),
        subject_token_type=held,
        requested_token_type=wanted,
        wanted=_wanted(details, form.get("scope")),
        stack=_name(details, "stack"),
    )


def _field(form: Mapping[str, str], name: str) -> str:
    if name not in form:
        raise NotIssued(Error.INVALID_REQUEST, f"{name} is missing")
    return form[name]


def _details(text: str) -> Mapping[str, Any]:
    try:
        details = json.loads(text)
    except (ValueError, RecursionError):
        details = None
    if not isinstance(details, dict):
        raise NotIssued(Error.INVALID_REQUEST, "request_details is no JSON object")
    if fixed := FIXED & details.keys():
        raise NotIssued(
            Error.INVALID_REQUEST,
            f"request_details: nobody may choose {' or '.join(sorted(fixed))}",
        )
    return details


def _wanted(details: Mapping[str, Any], scope: str | None) -> Wanted:
    expires = details.get("expires")
    if expires is not None and (isinstance(expires, bool) or not isinstance(expires, int | float)):
        raise NotIssued(Error.INVALID_REQUEST, "request_details: expires is no number")
    return Wanted(
        scope=None if scope is None else scopes(scope),
        work=_work(details),
        agent=_name(details, "agent"),
        tool=_name(details, "tool"),
        expires=expires,
    )


def _work(details: Mapping[str, Any]) -> Work | None:
    """The work, whose id and digest are of a form that can be shown in a log."""
    work, digest = _text(details, "work"), _text(details, "digest")
    if work is None and digest is None:
        return None
    if work is None or not WORK.fullmatch(work):
        raise NotIssued(Error.INVALID_REQUEST, "request_details: work is no id of a task or call")
    if digest is None or not DIGEST.fullmatch(digest):
        raise NotIssued(Error.INVALID_REQUEST, "request_details: digest is no sha256:<hex>")
    return Work(work, digest)


def _text(details: Mapping[str, Any], name: str) -> str | None:
    value = details.get(name)
    if value is not None and not isinstance(value, str):
        raise NotIssued(Error.INVALID_REQUEST, f"request_details: {name} is no text")
    return value


def _name(details: Mapping[str, Any], name: str) -> ObjectName | None:
    value = _text(details, name)
    if value is None:
        return None
    namespace, _, own = value.partition("/")
    try:
        return ObjectName(namespace=safe_token(namespace), name=safe_token(own))
    except ValueError as error:
        raise NotIssued(
            Error.INVALID_REQUEST, f"request_details: {name} is no <namespace>/<name>"
        ) from error
