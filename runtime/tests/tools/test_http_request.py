"""From arguments to a request: nothing that a model says leads to another host or path."""

from typing import Any

import pytest

from runtime.tests.tools.openapi_documents import document, endpoint, json_body, parameter
from runtime.tools.http_request import request_of
from runtime.tools.port import ToolFailure

ANY: dict[str, Any] = {"schema": {}}


def url_of(place: str, value: Any, path: str = "/pets/{v}/end") -> str:
    given = document(
        {"parameters": [parameter("v", place, **ANY)]}, path=path if place == "path" else "/pets"
    )
    return request_of(endpoint(given), {"v": value}, "k").url.removeprefix("http://api.example")


@pytest.mark.parametrize(
    ("value", "path"),
    [
        ("rex", "/pets/rex/end"),
        ("a/b", "/pets/a%2Fb/end"),
        ("a?b=c#d", "/pets/a%3Fb%3Dc%23d/end"),
        ("a%2Fb", "/pets/a%252Fb/end"),
        ("größe 1", "/pets/gr%C3%B6%C3%9Fe%201/end"),
        ("...", "/pets/.../end"),
        ("@evil.example:80", "/pets/%40evil.example%3A80/end"),
        ("a;b=c", "/pets/a%3Bb%3Dc/end"),
        ("a\r\nHost: x", "/pets/a%0D%0AHost%3A%20x/end"),
        (7, "/pets/7/end"),
        (True, "/pets/true/end"),
        (["a", "b,c"], "/pets/a,b%2Cc/end"),
        ({"x": 1, "y": "z"}, "/pets/x,1,y,z/end"),
    ],
)
def test_a_path_argument_stays_within_its_segment(value: Any, path: str) -> None:
    assert url_of("path", value) == path


@pytest.mark.parametrize(
    "value", ["", ".", "..", "../admin", "a/../../b", "..\\x", "a/.", [], ["a", ".."], [""], None]
)
def test_a_path_argument_that_leads_elsewhere_is_refused(value: Any) -> None:
    with pytest.raises(ToolFailure, match=r"^wrong arguments: (v: must be a name|they lead to)"):
        url_of("path", value)


def test_two_arguments_do_not_make_a_step_together() -> None:
    given = document(
        {"parameters": [parameter("a", "path"), parameter("b", "path")]}, path="/x/{a}{b}/y"
    )
    with pytest.raises(ToolFailure, match="must be a name"):
        request_of(endpoint(given), {"a": ".", "b": "."}, "k")


@pytest.mark.parametrize(
    ("value", "query"),
    [
        ("a&b=c", "?v=a%26b%3Dc"),
        ("a b+c", "?v=a%20b%2Bc"),
        ("#x", "?v=%23x"),
        ("", "?v="),
        ([1, "b"], "?v=1&v=b"),
        ([], ""),
        (None, ""),
        ({"a": 1, "b&": True}, "?a=1&b%26=true"),
        (1.5, "?v=1.5"),
    ],
)
def test_a_query_argument_is_of_style_form(value: Any, query: str) -> None:
    assert url_of("query", value) == f"/pets{query}"


def test_what_is_nested_has_no_form() -> None:
    with pytest.raises(ToolFailure, match="wrong arguments: v: must be flat"):
        url_of("query", [[1]])


def header_of(value: Any) -> str:
    given = document({"parameters": [parameter("X-V", "header", **ANY)]})
    return request_of(endpoint(given), {"X-V": value}, "k").headers["X-V"]


@pytest.mark.parametrize(("value", "text"), [("a b", "a b"), (["a", 1], "a,1"), (False, "false")])
def test_a_header_argument_is_of_style_simple(value: Any, text: str) -> None:
    assert header_of(value) == text


@pytest.mark.parametrize("value", ["a\r\nX-Other: b", "größe", "a\x00b", " a"])
def test_a_header_argument_that_is_no_header_is_refused(value: str) -> None:
    with pytest.raises(ToolFailure, match="wrong arguments: X-V: must be one line of ASCII text"):
        header_of(value)


@pytest.mark.fault(1)
@pytest.mark.parametrize(
    ("method", "has_key"),
    [("get", False), ("head", False), ("options", False)]
    + [(method, True) for method in ("post", "put", "patch", "delete")],
)
def test_what_changes_something_carries_the_key(method: str, *, has_key: bool) -> None:
    headers = request_of(endpoint(document(method=method)), {}, "team.add.1").headers

    assert headers.get("Idempotency-Key") == ('"team.add.1"' if has_key else None)


def test_a_body_is_json_of_the_type_that_is_taken() -> None:
    body: dict[str, Any] = {
        "content": {"text/csv": {}, "application/merge-patch+json": {"schema": {}}}
    }
    given = endpoint(document({"requestBody": body}, method="patch"))

    request = request_of(given, {"body": {"name": "Größe"}}, "k")

    assert request.content == '{"name": "Größe"}'.encode()
    assert request.headers["Content-Type"] == "application/merge-patch+json"


def test_a_body_that_is_not_given_is_not_sent() -> None:
    given = endpoint(document({"requestBody": json_body({})}, method="post"))

    request = request_of(given, {}, "k")

    assert request.content is None
    assert "Content-Type" not in request.headers
