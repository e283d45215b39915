"""A stand-in for a model: an OpenAI-compatible server that needs none.

    python hack/model/server.py --port 8080
    curl http://127.0.0.1:8080/v1/chat/completions -H 'content-type: application/json' \\
      -d '{"model": "stand-in", "messages": [{"role": "user", "content": "Hello"}]}'

It serves POST /v1/chat/completions (whole and streamed), POST /v1/embeddings (vectors of texts that
share words are near each other), GET /v1/models and GET /health. The same request gets the same
answer, but for the time in `created`. It knows nothing: tools are chosen and filled from their
names, descriptions and schemas and from the words of the prompt, and an answer quotes what the
tools returned, or what was said in the conversation. Each answer has the system_fingerprint
"stand-in".

Any model name is accepted. These make something go wrong, with or without a prefix ("vllm/hang"):

    slow-<ms>        the answer, and each piece of a stream, comes <ms> milliseconds later
    error-<status>   HTTP status 400 to 599 with an OpenAI error; 429 and 503 with Retry-After: 1
    garbage          status 200 with a body that is no JSON
    empty            an answer without a word, finish_reason "stop"
    hang             no answer until the caller gives up
    cut              the connection closes in the middle of the answer
"""

import argparse
import asyncio
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Sequence

import uvloop
from aiohttp import web
from stand_in import wire
from stand_in.decide import Say, decide
from stand_in.embed import embedded, wanted
from stand_in.faults import Cut, Empty, Fault, Garbage, Hang, Refusal, Slow, fault
from stand_in.request import BadRequest, Request, parse

LARGEST_BODY = 64 * 1024 * 1024  # bytes
DRAIN_SECONDS = 0.3  # what open answers get when the server stops
GARBAGE = b"<html>this is not JSON</html>"
RETRY_LATER = (429, 503)
EVENT_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
type Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


async def chat(request: web.Request) -> web.StreamResponse:
    """POST /v1/chat/completions."""
    raw = await request.read()
    try:
        asked = parse(raw)
        wrong = fault(asked.model)
        answer = Say("") if isinstance(wrong, Empty) else decide(asked)
    except BadRequest as error:
        return _error(400, str(error), error.param)
    if isinstance(wrong, Refusal):
        return _error(wrong.status, f"The model {asked.model!r} refuses with {wrong.status}.")
    if isinstance(wrong, Hang):
        await asyncio.Event().wait()
    made = wire.reply(asked, answer, raw, int(time.time()))
    if asked.stream:
        return await _stream(request, asked, made, wrong)
    return await _send(request, made, wrong)


async def embeddings(request: web.Request) -> web.StreamResponse:
    """POST /v1/embeddings."""
    try:
        body = embedded(wanted(await request.read()))
    except BadRequest as error:
        return _error(400, str(error), error.param)
    return web.Response(body=body, content_type="application/json")


async def _send(request: web.Request, made: wire.Reply, wrong: Fault) -> web.StreamResponse:
    await _wait(wrong)
    body = GARBAGE if isinstance(wrong, Garbage) else wire.whole(made)
    if not isinstance(wrong, Cut):
        return web.Response(body=body, content_type="application/json")
    part = web.StreamResponse(headers={"Content-Type": "application/json"})
    await part.prepare(request)
    await part.write(body[: len(body) // 2])
    return _cut(request, part)


async def _stream(
    request: web.Request, asked: Request, made: wire.Reply, wrong: Fault
) -> web.StreamResponse:
    response = web.StreamResponse(headers=EVENT_HEADERS)
    await response.prepare(request)
    for event in _events(asked, made, wrong):
        await _wait(wrong)
        await response.write(event)
    return _cut(request, response) if isinstance(wrong, Cut) else response


def _events(asked: Request, made: wire.Reply, wrong: Fault) -> Sequence[bytes]:
    if isinstance(wrong, Garbage):
        return (b"data: " + GARBAGE + b"\n\n", wire.DONE)
    events = list(wire.chunks(made, usage=asked.usage))
    return events[: len(events) // 2] if isinstance(wrong, Cut) else events


async def _wait(wrong: Fault) -> None:
    if isinstance(wrong, Slow):
        await asyncio.sleep(wrong.seconds)


def _cut(request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
    """Close the connection behind what is written already."""
    if request.transport is not None:
        request.transport.close()
    return response


def _error(status: int, message: str, param: str | None = None) -> web.Response:
    headers = {"Retry-After": "1"} if status in RETRY_LATER else None
    body = wire.error(status, message, param)
    return web.Response(status=status, body=body, content_type="application/json", headers=headers)


@web.middleware
async def errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every refusal of the server itself (no such path, body too large) in OpenAI's shape."""
    try:
        return await handler(request)
    except web.HTTPException as refused:
        what = f"{request.method} {request.path}: {refused.reason}."
        return _error(refused.status, what)


def application(names: Sequence[str]) -> web.Application:
    """The server, with the models that it lists; it answers to any other name too."""
    started = int(time.time())

    async def health(_: web.Request) -> web.StreamResponse:
        return web.Response(body=b'{"status":"ok"}', content_type="application/json")

    async def models(_: web.Request) -> web.StreamResponse:
        return web.Response(body=wire.models(names, started), content_type="application/json")

    async def model(request: web.Request) -> web.StreamResponse:
        body = wire.model(request.match_info["name"], started)
        return web.Response(body=body, content_type="application/json")

    app = web.Application(middlewares=[errors], client_max_size=LARGEST_BODY)
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_post("/v1/embeddings", embeddings)
    app.router.add_get("/v1/models", models)
    app.router.add_get("/v1/models/{name:.+}", model)
    app.router.add_get("/health", health)
    return app


async def serve(host: str, port: int, names: Sequence[str]) -> None:
    """Serve until SIGTERM or SIGINT.

    Raises:
        OSError: the address cannot be taken.
    """
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    runner = web.AppRunner(
        application(names),
        access_log=None,
        handle_signals=False,
        handler_cancellation=True,  # a caller that left must not keep a hanging answer
        shutdown_timeout=DRAIN_SECONDS,
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        taken = runner.addresses[0][1]
        print(f"stand-in model: http://{host}:{taken}/v1", flush=True)
        await stop.wait()
    finally:
        await runner.cleanup()


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to serve on (%(default)s)")
    parser.add_argument(
        "--port", type=int, default=0, help="port; 0, the default, takes a free one"
    )
    parser.add_argument(
        "--model",
        action="append",
        metavar="NAME",
        help="a name for GET /v1/models to list, may be repeated (stand-in)",
    )
    chosen = parser.parse_args(arguments)
    names = tuple(chosen.model or ("stand-in",))
    try:
        uvloop.run(serve(chosen.host, chosen.port, names))
    except OSError as error:
        sys.exit(f"cannot serve on {chosen.host}:{chosen.port}: {error.strerror or error}")


if __name__ == "__main__":
    main()
