"""An HTTP API that runs: FastAPI's own document beside answers that are good, bad and odd.

    python http_api.py PORT FILE

Each effect is a line in FILE: the idempotency key and what happened.
"""

import asyncio
import os
import sys
import time
from email.utils import formatdate
from pathlib import Path
from typing import Annotated, Any

import uvicorn
from fastapi import Body, FastAPI, Header, Query, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse
from pydantic import BaseModel

PORT, FILE = int(sys.argv[1]), Path(sys.argv[2])

app = FastAPI(generate_unique_id_function=lambda route: route.name)
busy_until: dict[str, float] = {}


class Order(BaseModel):
    item: str
    count: int = 1
    parts: list["Order"] = []


def effect(request: Request, what: str) -> None:
    with FILE.open("a") as effects:
        effects.write(f"{request.headers.get('idempotency-key', 'none')} {what}\n")


@app.get("/weather/{city}/now")
def get_weather(
    city: str, days: int = 1, tag: Annotated[tuple[str, ...], Query()] = ()
) -> dict[str, Any]:
    """Tell the weather of a city."""
    return {"city": city, "days": days, "tags": tag}


@app.get("/echo/{rest:path}")
def echo(rest: str, request: Request, x_note: Annotated[str, Header()] = "") -> dict[str, Any]:
    raw = request.scope["raw_path"].decode()
    cookies = request.headers.get("cookie")
    token = request.headers.get("txn-token")
    return {"rest": rest, "raw": raw, "note": x_note, "cookie": cookies, "token": token}


@app.post("/orders/{shop}", status_code=201)
def order(shop: str, order: Order, request: Request) -> dict[str, Any]:
    effect(request, f"{shop} {order.count} {order.item}")
    return order.model_dump()


@app.delete("/orders/{shop}", status_code=204)
def forget(shop: str, request: Request) -> None:
    effect(request, f"forget {shop}")


@app.post("/slow")
async def slow(seconds: float, request: Request) -> str:
    effect(request, "slow")
    await asyncio.sleep(seconds)
    return "at last"


@app.post("/die")
def die(request: Request) -> None:
    effect(request, "die")
    os._exit(1)


@app.get("/status/{code}")
def status(code: int, said: str = "") -> Response:
    return PlainTextResponse(said, code, headers={"Set-Cookie": "session=secret"})


@app.post("/status/{code}")
def post_status(code: int, request: Request) -> Response:
    effect(request, f"status {code}")
    return PlainTextResponse("", code)


@app.get("/busy/{name}")
def busy(name: str, code: int = 429, wait: int = 1, dated: int = 0) -> Response:
    return _busy(name, code, wait, dated=bool(dated))


@app.post("/busy/{name}")
def post_busy(name: str, request: Request, code: int = 429, wait: int = 1) -> Response:
    effect(request, "busy")
    return _busy(name, code, wait, dated=False)


def _busy(name: str, code: int, wait: int, *, dated: bool) -> Response:
    until = busy_until.setdefault(name, time.time() + wait)
    if time.time() >= until:
        return PlainTextResponse("served")
    after = formatdate(until + 1, usegmt=True) if dated else str(wait)
    return PlainTextResponse("busy", code, headers={"Retry-After": after})


@app.get("/large")
def large(size: int) -> Response:
    return PlainTextResponse("x" * size)


@app.get("/odd")
def odd(kind: str, said: str = "") -> Response:
    return Response(said.encode(), media_type=kind)


@app.get("/away")
def away(to: str, code: int = 307) -> Response:
    return RedirectResponse(to, code)


@app.get("/circle")
def circle() -> Response:
    return RedirectResponse("/circle")


@app.post("/away")
def post_away(to: str, body: Annotated[dict[str, Any], Body()], code: int = 307) -> Response:
    assert body
    return RedirectResponse(to, code)


uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="error")
