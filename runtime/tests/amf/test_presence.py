"""Work for clients who stay, and for those who go."""

import asyncio

import pytest
from starlette.responses import Response
from starlette.types import Message

from runtime.amf.presence import while_there


async def never() -> Message:
    await asyncio.Event().wait()
    raise AssertionError


class Endless:
    """Work that goes on until it is cancelled."""

    def __init__(self) -> None:
        self.begun, self.ended = asyncio.Event(), asyncio.Event()

    async def do(self) -> Response:
        self.begun.set()
        try:
            return await asyncio.Future()
        finally:
            self.ended.set()


async def test_who_stays_is_answered() -> None:
    async def work() -> Response:
        return Response("done")

    assert (await while_there(work(), never)).body == b"done"


async def test_what_goes_wrong_is_told() -> None:
    async def work() -> Response:
        raise ValueError("wrong")

    with pytest.raises(ValueError, match="wrong"):
        await while_there(work(), never)


async def test_nothing_is_done_for_who_has_gone() -> None:
    work = Endless()

    async def leaving() -> Message:
        await work.begun.wait()
        return {"type": "http.disconnect"}

    async with asyncio.timeout(5):
        await while_there(work.do(), leaving)

    assert work.ended.is_set()


async def test_work_ends_with_whoever_has_asked_for_it() -> None:
    work = Endless()
    asking = asyncio.create_task(while_there(work.do(), never))
    await work.begun.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking

    assert work.ended.is_set()
