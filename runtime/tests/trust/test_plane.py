"""The trust plane as a whole: what it is told, whom it answers, how it begins and ends."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import nats.errors
import pytest

from controller.clients.nkeys import user_seed
from runtime.contract.value import ObjectName
from runtime.tests.nats import OPERATOR_WORKLOAD, RunningStack, trust_config
from runtime.trust.plane import run_trust
from runtime.trust.sources import FileSource

pytestmark = pytest.mark.integration

type Said = list[tuple[bool, str]]


@contextlib.asynccontextmanager
async def plane(trust_file: Path) -> AsyncIterator[Said]:
    """A trust plane, and what it says of its readiness."""
    said: Said = []
    running = asyncio.create_task(
        run_trust(FileSource(trust_file), lambda *state: said.append(state), read_seconds=0.05)
    )
    try:
        yield said
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def until(holds: Callable[[], bool], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not holds():
            await asyncio.sleep(0.01)


async def is_let_in(running: RunningStack) -> bool:
    try:
        async with running.connect_as(OPERATOR_WORKLOAD):
            return True
    except nats.errors.AuthorizationError:
        return False


@pytest.fixture
async def unattended(nats_stack: RunningStack) -> RunningStack:
    """A Stack whose server runs and has nobody to ask."""
    await nats_stack.stop_trust()
    return nats_stack


async def test_a_stack_is_answered_for_while_it_is_named(unattended: RunningStack) -> None:
    named = trust_config(unattended)
    unattended.trust_file.write_bytes(named.model_copy(update={"stacks": ()}).encode())
    async with plane(unattended.trust_file) as said:
        await until(lambda: said == [(True, "answering for 0 of 0 stacks")])

        unattended.trust_file.write_bytes(named.encode())
        await until(lambda: said[-1] == (True, "answering for 1 of 1 stacks"))
        assert await is_let_in(unattended)

        unattended.trust_file.write_bytes(named.model_copy(update={"stacks": ()}).encode())
        await until(lambda: said[-1] == (True, "answering for 0 of 0 stacks"))
        assert not await is_let_in(unattended)


async def test_a_server_that_is_not_there_yet_makes_nothing_unready(
    unattended: RunningStack,
) -> None:
    config = trust_config(unattended)
    absent = config.stacks[0].model_copy(
        update={
            "stack": ObjectName(namespace="team", name="new"),
            "url": "nats://127.0.0.1:1",
        }
    )
    both = config.model_copy(update={"stacks": (*config.stacks, absent)})
    unattended.trust_file.write_bytes(both.encode())
    async with plane(unattended.trust_file) as said:
        await until(lambda: (True, "answering for 1 of 2 stacks") in said)
        assert await is_let_in(unattended)


async def test_what_was_read_stays_in_force_over_a_bad_file(unattended: RunningStack) -> None:
    async with plane(unattended.trust_file) as said:
        await until(lambda: (True, "answering for 1 of 1 stacks") in said)
        unattended.trust_file.write_bytes(b"{")
        await until(lambda: "cannot be read" in said[-1][1])
        assert said[-1][0]
        assert await is_let_in(unattended)


async def test_nothing_is_ready_before_the_first_reading(tmp_path: Path) -> None:
    async with plane(tmp_path / "trust.json") as said:
        await until(lambda: bool(said))
        is_ready, sentence = said[0]
        assert not is_ready
        assert "trust.json cannot be read" in sentence


@pytest.mark.parametrize(
    ("name", "kind"), [("account.seed", "nkey"), ("user.seed", "nkey"), ("xkey.seed", "xkey")]
)
async def test_a_seed_that_is_missing_is_waited_for(
    unattended: RunningStack, name: str, kind: str
) -> None:
    seed_file = unattended.folder / name
    seed = seed_file.read_text()
    seed_file.unlink()
    async with plane(unattended.trust_file) as said:
        await until(lambda: bool(said))
        assert not said[0][0]
        assert name in said[0][1]
        seed_file.write_text("garbage")
        await until(lambda: said[-1] == (False, f"this is no seed of an {kind}"))
        seed_file.write_text(seed)
        await until(lambda: said[-1] == (True, "answering for 1 of 1 stacks"))
        assert await is_let_in(unattended)


async def test_a_new_user_seed_is_used_at_once(unattended: RunningStack) -> None:
    seed_file = unattended.folder / "user.seed"
    seed = seed_file.read_text()
    seed_file.write_text(user_seed())
    async with plane(unattended.trust_file) as said:
        await until(lambda: bool(said))
        assert said[-1] == (True, "answering for 0 of 1 stacks")
        seed_file.write_text(seed)
        await until(lambda: said[-1] == (True, "answering for 1 of 1 stacks"), 10)


async def test_nobody_notices_that_one_of_two_replicas_goes(unattended: RunningStack) -> None:
    async with plane(unattended.trust_file) as stays:
        await until(lambda: (True, "answering for 1 of 1 stacks") in stays)
        async with plane(unattended.trust_file) as goes:
            await until(lambda: (True, "answering for 1 of 1 stacks") in goes)
            knocking = [asyncio.create_task(is_let_in(unattended)) for _ in range(60)]
            await asyncio.wait(knocking, return_when=asyncio.FIRST_COMPLETED)
        assert all(await asyncio.gather(*knocking))
        assert all([await is_let_in(unattended) for _ in range(10)])


async def test_it_ends_within_a_second(unattended: RunningStack) -> None:
    ready = asyncio.Event()
    running = asyncio.create_task(
        run_trust(FileSource(unattended.trust_file), lambda *_: ready.set())
    )
    await ready.wait()
    began = time.monotonic()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert time.monotonic() - began < 1


async def test_who_cannot_serve_tokens_is_not_ready_and_lets_workloads_in(
    unattended: RunningStack,
) -> None:
    """No request for a token is sent to it; the queues are another matter."""
    url = await unattended.serve_tokens()
    await unattended.stop_trust()
    keys = unattended.folder / "signing.json"
    text = keys.read_text()
    keys.unlink()
    async with plane(unattended.trust_file) as said:
        await until(lambda: bool(said))
        assert not said[0][0]
        assert "signing.json" in said[0][1]
        assert await is_let_in(unattended)
        keys.write_text(text)
        await until(lambda: said[-1] == (True, "answering for 1 of 1 stacks"))
        async with httpx.AsyncClient(trust_env=False) as client:
            assert (await client.get(f"{url}/jwks")).status_code == 200
