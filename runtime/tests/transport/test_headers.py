"""Headers as they stand on the wire."""

import pytest

from runtime.transport.client import block_of, headers_of


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({}, id="none"),
        pytest.param({"Nats-Msg-Id": "t1"}, id="one"),
        pytest.param({"A": "x: y", "B": "", "C": "größer"}, id="several, with signs of all kinds"),
    ],
)
def test_what_goes_out_comes_in_again(headers: dict[str, str]) -> None:
    assert headers_of(block_of(headers)) == headers


@pytest.mark.parametrize("value", ["a\r\nB: c", "a\nb", "a\rb"])
def test_no_value_makes_another_header(value: str) -> None:
    with pytest.raises(ValueError, match="line break"):
        block_of({"A": value})


@pytest.mark.parametrize(
    ("block", "headers"),
    [
        pytest.param(b"NATS/1.0 503\r\n\r\n", {"Status": "503"}, id="a number alone"),
        pytest.param(b"NATS/1.0 404 No Messages\r\n\r\n", {"Status": "404"}, id="with words"),
        pytest.param(
            b"NATS/1.0 100 Idle Heartbeat\r\nNats-Last-Consumer:7\r\n\r\n",
            {"Status": "100", "Nats-Last-Consumer": "7"},
            id="with headers behind it",
        ),
    ],
)
def test_what_the_server_says_in_place_of_a_message(block: bytes, headers: dict[str, str]) -> None:
    assert headers_of(block) == headers
