"""What a request for a token looks like; sections are those of the draft, version 10."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest

from runtime.contract.txn_token import (
    ACCESS_TOKEN,
    GRANT,
    JWT_BEARER,
    REFRESH_TOKEN,
    TXN_TOKEN,
    Work,
)
from runtime.contract.value import ObjectName
from runtime.trust.issue import NotIssued, Wanted
from runtime.trust.token_endpoint import described
from runtime.trust.token_request import TokenRequest, read_form, read_request

DIGEST = "sha256:" + "0" * 64
DETAILS = {"work": "f00d", "digest": DIGEST}
FORM = {
    "grant_type": "urn:ietf:params:oauth:grant-type:token-exchange",
    "requested_token_type": "urn:ietf:params:oauth:token-type:txn_token",
    "audience": "example.org",
    "scope": "sums mail sums",
    "subject_token": "a.b.c",
    "subject_token_type": GRANT,
    "client_assertion": "d.e.f",
    "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
    "request_details": json.dumps(DETAILS),
}


def read(form: dict[str, str]) -> TokenRequest:
    return read_request(read_form(urlencode(form).encode()), "example.org")


def details(**other: Any) -> dict[str, str]:
    return {"request_details": json.dumps(DETAILS | other)}


def test_a_request_is_read() -> None:
    """Section 11.1; RFC 6749, section 3.3: the values of a scope are a set."""
    assert read(FORM) == TokenRequest(
        assertion="d.e.f",
        subject_token="a.b.c",
        subject_token_type=GRANT,
        requested_token_type=TXN_TOKEN,
        wanted=Wanted(scope=("sums", "mail"), work=Work("f00d", DIGEST)),
        stack=None,
    )


def test_the_details_say_for_whom_a_grant_is() -> None:
    named = details(stack="team/default", agent="team/math", expires=1_800_000_000.5)
    form = FORM | named | {"subject_token_type": ACCESS_TOKEN, "requested_token_type": GRANT}
    request = read(form)
    assert request.stack == ObjectName(namespace="team", name="default")
    assert request.wanted.agent == ObjectName(namespace="team", name="math")
    assert request.wanted.expires == 1_800_000_000.5


@pytest.mark.fault(29)
@pytest.mark.parametrize(
    ("change", "error", "why"),
    [
        ({"grant_type": "client_credentials"}, "unsupported_grant_type", "grant_type"),
        ({"grant_type": None}, "invalid_request", "grant_type is missing"),
        ({"audience": "elsewhere.example"}, "invalid_target", "audience"),
        ({"audience": None}, "invalid_request", "audience is missing"),
        ({"subject_token": None}, "invalid_request", "subject_token is missing"),
        ({"subject_token": ""}, "invalid_request", "subject_token is missing"),
        ({"subject_token_type": REFRESH_TOKEN}, "invalid_request", "refresh token"),
        ({"subject_token_type": ACCESS_TOKEN}, "invalid_request", "only a grant is had for"),
        ({"subject_token_type": "urn:x"}, "invalid_request", "subject_token_type"),
        ({"requested_token_type": ACCESS_TOKEN}, "invalid_request", "requested_token_type"),
        ({"client_assertion": None}, "invalid_client", "client_assertion is missing"),
        ({"client_assertion_type": "urn:x"}, "invalid_client", JWT_BEARER),
        ({"request_details": "[]"}, "invalid_request", "no JSON object"),
        ({"request_details": "[" * 20000}, "invalid_request", "no JSON object"),
        (details(sub="eve"), "invalid_request", "nobody may choose sub"),
        (details(txn="mine", aud="x"), "invalid_request", "nobody may choose aud or txn"),
        (details(work="a b"), "invalid_request", "work is no id"),
        (details(work="x" * 513), "invalid_request", "work is no id"),
        (details(work=7), "invalid_request", "work is no text"),
        (details(digest="md5:0"), "invalid_request", "digest is no"),
        (details(tool="team"), "invalid_request", "tool is no"),
        (details(tool="team/a.>"), "invalid_request", "tool is no"),
        (details(expires="soon"), "invalid_request", "expires is no number"),
        (details(expires=True), "invalid_request", "expires is no number"),
    ],
)
def test_what_is_no_request(change: dict[str, str | None], error: str, why: str) -> None:
    """Section 11.1; RFC 6749, section 5.2; RFC 8693, section 2.2.2 (`invalid_target`)."""
    form = {name: value for name, value in (FORM | change).items() if value is not None}
    with pytest.raises(NotIssued, match=why) as refused:
        read(form)
    assert refused.value.error == error


@pytest.mark.parametrize(
    "body", [b"a=1&a=2", b"{}", b"\xff=1", b"&".join(b"f%d=1" % i for i in range(40))]
)
def test_what_is_no_form(body: bytes) -> None:
    """RFC 6749, section 3.2: no parameter more than once."""
    with pytest.raises(NotIssued) as refused:
        read_form(body)
    assert refused.value.error == "invalid_request"


def test_a_description_has_only_what_oauth_allows() -> None:
    """RFC 6749, section 5.2."""
    assert described('no "scope" \\ left\nat all: ä') == "no ?scope? ? left?at all: ?"
