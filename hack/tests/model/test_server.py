"""The real process, asked by the real SDK."""

import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import openai
import pytest
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam

pytestmark = pytest.mark.integration

SERVER = Path(__file__).parents[2] / "model" / "server.py"
ADD: ChatCompletionToolUnionParam = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Add two integers.",
        "parameters": {
            "type": "object",
            "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}},
            "required": ["a", "b"],
        },
    },
}


@dataclass(frozen=True, slots=True)
class Running:
    """A server of its own process; `url` ends with /v1."""

    process: subprocess.Popen[str]
    url: str


def start(*arguments: str) -> Running:
    command = [sys.executable, str(SERVER), *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    assert "http://" in line, line
    return Running(process, line.split()[-1])


def stop(running: Running, number: int = signal.SIGTERM) -> str:
    """End the server; what it has printed since it began to serve."""
    running.process.send_signal(number)
    said, _ = running.process.communicate(timeout=10)
    return said


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    running = start()
    yield running
    said = stop(running)
    assert (running.process.returncode, said) == (0, "")


@pytest.fixture
async def client(server: Running) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=server.url, api_key="unused", max_retries=0) as made:
        yield made


def asked(text: str) -> list[ChatCompletionMessageParam]:
    return [{"role": "user", "content": text}]


async def test_a_tool_round_trip(client: AsyncOpenAI, rng: random.Random) -> None:
    a, b, c = (rng.randint(-(10**6), 10**6) for _ in range(3))
    messages = asked(f"What is {a} + {b} and {b} + {c}?")

    first = await client.chat.completions.create(model="any", messages=messages, tools=[ADD])
    message = first.choices[0].message
    messages.append(message.model_dump(exclude_none=True))  # type: ignore[arg-type]  # as users do
    for call in message.tool_calls or ():
        assert call.type == "function"
        total = sum(json.loads(call.function.arguments).values())
        messages.append({"role": "tool", "tool_call_id": call.id, "content": str(total)})
    last = await client.chat.completions.create(model="any", messages=messages, tools=[ADD])

    assert first.choices[0].finish_reason == "tool_calls"
    assert last.choices[0].finish_reason == "stop"
    assert last.choices[0].message.content == f"The answers are {a + b} and {b + c}."
    assert last.system_fingerprint == "stand-in"


async def test_a_streamed_answer_comes_in_pieces_with_usage(
    client: AsyncOpenAI, rng: random.Random
) -> None:
    words = [f"w{rng.randrange(999)}" for _ in range(rng.randint(2, 9))]
    pieces: list[str] = []

    stream = await client.chat.completions.create(
        model="any",
        messages=asked(" ".join(words)),
        stream=True,
        stream_options={"include_usage": True},
    )
    chunks = [chunk async for chunk in stream]
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]

    assert "".join(pieces) == f"You said: {' '.join(words)}"
    assert len([piece for piece in pieces if piece]) == len(words) + 2
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == -(-len("".join(pieces)) // 4)


async def test_streamed_calls_are_put_together_by_the_sdk(
    client: AsyncOpenAI, rng: random.Random
) -> None:
    a, b = rng.randint(0, 999), rng.randint(0, 999)

    async with client.chat.completions.stream(
        model="any", messages=asked(f"{a}+1 and {b}+2"), tools=[ADD]
    ) as stream:
        final = await stream.get_final_completion()

    calls = final.choices[0].message.tool_calls or []
    made = [json.loads(call.function.arguments) for call in calls]
    assert made == [{"a": a, "b": 1}, {"a": b, "b": 2}]
    assert len({call.id for call in calls}) == 2


async def test_a_schema_is_filled(client: AsyncOpenAI, rng: random.Random) -> None:
    age = rng.randint(1, 99)
    properties = {"name": {"type": "string"}, "age": {"type": "integer"}}
    schema: dict[str, object] = {
        "type": "object",
        "properties": properties,
        "required": [*properties],
        "additionalProperties": False,
    }

    answer = await client.chat.completions.create(
        model="any",
        messages=asked(f"name: Ada, age: {age}"),
        response_format={
            "type": "json_schema",
            "json_schema": {"name": "person", "schema": schema, "strict": True},
        },
    )

    assert json.loads(answer.choices[0].message.content or "") == {"name": "Ada", "age": age}


async def test_a_name_makes_every_piece_slow(client: AsyncOpenAI) -> None:
    begun = time.monotonic()
    await client.chat.completions.create(model="slow-200", messages=asked("Hi"))
    whole = time.monotonic() - begun

    stream = await client.chat.completions.create(
        model="slow-50", messages=asked("Hi"), stream=True
    )
    times = [time.monotonic() async for _ in stream]

    assert whole >= 0.2
    # "You", " said:", " Hi", between the first and the last chunk
    assert times[-1] - times[0] >= 0.05 * 4 * 0.9


@pytest.mark.parametrize(
    ("model", "error", "kind"),
    [
        ("error-429", openai.RateLimitError, "rate_limit_error"),
        ("error-500", openai.InternalServerError, "server_error"),
        ("vllm/error-401", openai.AuthenticationError, "authentication_error"),
    ],
)
async def test_a_name_makes_an_error(
    client: AsyncOpenAI, model: str, error: type[openai.APIStatusError], kind: str
) -> None:
    with pytest.raises(error) as refused:
        await client.chat.completions.create(model=model, messages=asked("Hi"))

    assert refused.value.type == kind
    assert refused.value.response.headers.get("retry-after") == (
        "1" if refused.value.status_code == 429 else None
    )


@pytest.mark.parametrize("stream", [False, True])
async def test_garbage_is_no_json(server: Running, stream: bool) -> None:
    body = {"model": "garbage", "messages": asked("Hi"), "stream": stream}

    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{server.url}/chat/completions", json=body)

    data = answer.text.removeprefix("data: ").split("\n")[0]
    assert answer.status_code == 200
    with pytest.raises(ValueError, match="Expecting value"):
        json.loads(data)


async def test_an_empty_answer(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="empty", messages=asked("2+3"), tools=[ADD])

    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == ("", "stop")


async def test_hanging_ends_with_the_caller(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.APITimeoutError):
        await client.chat.completions.create(model="hang", messages=asked("Hi"), timeout=0.3)


async def test_a_whole_answer_can_be_cut(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.APIConnectionError):
        await client.chat.completions.create(model="cut", messages=asked("Hi"))


async def test_a_stream_can_be_cut(server: Running) -> None:
    body = {"model": "cut", "messages": asked("one two three"), "stream": True}
    seen: list[str] = []

    async def read() -> None:
        url = f"{server.url}/chat/completions"
        async with httpx.AsyncClient() as http, http.stream("POST", url, json=body) as answer:
            async for line in answer.aiter_lines():
                seen.append(line)  # noqa: PERF401  what came before the cut is wanted

    with pytest.raises(httpx.RemoteProtocolError):
        await read()

    assert any('"content":"You"' in line for line in seen)
    assert not any("three" in line or "DONE" in line for line in seen)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "param"),
    [
        ("POST", "/chat/completions", b"{", 400, None),
        ("POST", "/chat/completions", b'{"model": "m"}', 400, "messages"),
        ("POST", "/chat/completions", b'{"model": "m", "messages": {}}', 400, "messages"),
        ("GET", "/chat/completions", b"", 405, None),
        ("GET", "/nothing", b"", 404, None),
        ("POST", "/responses", b"{}", 404, None),
    ],
)
async def test_bad_input_is_answered_as_openai_does(
    server: Running, method: str, path: str, body: bytes, status: int, param: str | None
) -> None:
    async with httpx.AsyncClient() as http:
        answer = await http.request(method, server.url + path, content=body)

    error = answer.json()["error"]
    assert (answer.status_code, error["param"]) == (status, param)
    assert error["message"]


async def test_the_connection_is_kept(server: Running) -> None:
    host, port = server.url.removeprefix("http://").removesuffix("/v1").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))

    for _ in range(3):
        writer.write(b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 200")
        assert await reader.readexactly(15) == b'{"status":"ok"}'

    writer.close()
    await writer.wait_closed()


async def test_any_model_can_be_retrieved_and_one_is_listed(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["stand-in"]
    assert (await client.models.retrieve("a/b")).id == "a/b"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_it_ends_within_a_second_with_answers_open(number: int) -> None:
    running = start("--model", "one", "--model", "two")
    async with AsyncOpenAI(base_url=running.url, api_key="unused", max_retries=0) as client:
        listed = [model.id async for model in client.models.list()]
        hanging = asyncio.create_task(
            client.chat.completions.create(model="hang", messages=asked("Hi"))
        )
        await asyncio.sleep(0.2)  # it hangs by then

        begun = time.monotonic()
        said = await asyncio.to_thread(stop, running, number)
        took = time.monotonic() - begun

        with pytest.raises(openai.APIConnectionError):
            await hanging
    assert (listed, running.process.returncode, said) == (["one", "two"], 0, "")
    assert took < 1


def test_a_taken_port_is_told(server: Running) -> None:
    port = server.url.rpartition(":")[2].removesuffix("/v1")

    done = subprocess.run(
        [sys.executable, str(SERVER), "--port", port],
        capture_output=True, text=True, check=False, timeout=30, env=os.environ,
    )  # fmt: skip

    assert done.returncode == 1
    assert done.stderr.startswith(f"cannot serve on 127.0.0.1:{port}: ")
    assert "Traceback" not in done.stderr


def test_help_lists_the_names_that_go_wrong() -> None:
    done = subprocess.run(
        [sys.executable, str(SERVER), "--help"], capture_output=True, text=True, check=True
    )

    for name in ("slow-<ms>", "error-<status>", "garbage", "empty", "hang", "cut"):
        assert name in done.stdout


async def test_the_sdk_gets_its_vectors(client: AsyncOpenAI) -> None:
    made = await client.embeddings.create(model="stand-in", input=["one", "two"])
    assert [len(one.embedding) for one in made.data] == [64, 64]
    with pytest.raises(openai.BadRequestError) as refused:
        await client.embeddings.create(model="stand-in", input="?", dimensions=0)
    assert refused.value.param == "dimensions"
