import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import load
import orjson
import processes
import pytest

from controller.local.site import free_port

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[load.Target]:
    port = free_port()
    with processes.plain(port, tmp_path_factory.mktemp("plain") / "log"):
        yield load.Target("plain", "127.0.0.1", port, "bench")


@pytest.mark.parametrize("stream", [False, True])
async def test_answers_are_right_and_timed(target: load.Target, stream: bool) -> None:
    async with load.connections(target, 1) as (connection,):
        timings = [await load.timed(connection, target, stream=stream) for _ in range(5)]

    assert all(0 < timing.total < 5 for timing in timings)
    assert all((0 < timing.first <= timing.total) is stream for timing in timings)


@pytest.mark.parametrize("stream", [False, True])
async def test_throughput_is_of_all_requests(target: load.Target, stream: bool) -> None:
    begun = time.perf_counter()
    rate = await load.throughput(target, requests=50, concurrency=8, stream=stream)
    took = time.perf_counter() - begun

    assert rate >= 50 / took > 0


async def test_streams_are_open_together_and_end(target: load.Target) -> None:
    begun = time.perf_counter()
    async with load.open_streams(target, 20, hold=1.0):
        opened = time.perf_counter() - begun
    ended = time.perf_counter() - begun

    assert opened < 1 <= ended


def test_no_question_is_asked_twice() -> None:
    target = load.Target("t", "h", 1, "m")
    asked = [load.question(target, stream=False) for _ in range(100)]

    assert len({each.expected for each in asked}) == len({each.raw for each in asked}) == 100


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[load.Target]:
    """A server that always sends `answer` and, if that is short of its length, hangs up."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield load.Target("other", "127.0.0.1", server.sockets[0].getsockname()[1], "m")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nelse", load.WrongAnswer, id="another text"
        ),
        pytest.param(
            b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n", load.WrongAnswer, id="another status"
        ),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nelse", ConnectionError, id="cut off"
        ),
    ],
)
async def test_a_wrong_answer_ends_the_measurement(answer: bytes, error: type[Exception]) -> None:
    async with answering(answer) as target:
        with pytest.raises(error):
            await load.throughput(target, requests=4, concurrency=2, stream=False)
        with pytest.raises(error):
            async with load.connections(target, 1) as (connection,):
                await load.timed(connection, target, stream=True)


async def test_a_connection_that_was_closed_is_told() -> None:
    refusal = b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n"
    async with answering(refusal) as target, load.connections(target, 1) as (connection,):
        with pytest.raises(load.WrongAnswer):
            await load.timed(connection, target, stream=False)
        await asyncio.sleep(0.1)  # the end of the connection arrives meanwhile
        with pytest.raises(ConnectionError):
            await load.timed(connection, target, stream=False)


def test_plain_is_compared_without_its_access_log(tmp_path: Path) -> None:
    port, log = free_port(), tmp_path / "log"
    target = load.Target("plain", "127.0.0.1", port, "bench")

    with processes.plain(port, log):
        asyncio.run(load.throughput(target, requests=4, concurrency=2, stream=False))

    assert log.read_text() == ""


def streamed(*events: tuple[int, str]) -> bytes:
    pieces = [{"type": "response.output_text.delta", "delta": text} for _, text in events]
    numbered = [
        piece | {"sequence_number": number}
        for piece, (number, _) in zip(pieces, events, strict=True)
    ]
    return b"".join(b"event: x\ndata: %b\n\n" % orjson.dumps(one) for one in numbered)


def test_a_stream_that_is_whole_passes() -> None:
    load.check_events(streamed((0, "a "), (1, "b")), b"a b")


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([(0, "a "), (2, "b")], id="one is missing"),
        pytest.param([(0, "a "), (0, "a "), (1, "b")], id="one comes twice"),
        pytest.param([(1, "b"), (0, "a ")], id="another order"),
        pytest.param([(0, "a "), (1, "c")], id="another text"),
    ],
)
def test_a_stream_that_is_not_whole_is_told(events: list[tuple[int, str]]) -> None:
    with pytest.raises(load.WrongAnswer):
        load.check_events(streamed(*events), b"a b")
