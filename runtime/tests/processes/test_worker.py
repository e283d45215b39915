"""What a worker process does before its work begins."""

from pathlib import Path

import pytest

from runtime.contract.agent_config import Execution, Queue
from runtime.contract.value import ObjectName
from runtime.processes import worker
from runtime.processes.worker import Host
from runtime.settings import Settings
from runtime.tests.nats import RunningStack


async def begun(queue: Queue, folder: Path) -> bool:
    """Host a piece of work; gives whether the queue was in reach when it began."""
    found: list[bool] = []

    async def work(on: Host) -> None:
        found.append(on.link.is_open)

    environment = {
        "K8GENTAI_CONFIG": str(folder / "none"),
        "K8GENTAI_HOST": "127.0.0.1",
        "K8GENTAI_HEALTH_PORT": "0",
    }
    await worker.host(Settings.of(environment), queue, Execution(), work)
    (was_open,) = found
    return was_open


@pytest.mark.integration
async def test_the_queue_is_reached_before_anything_is_loaded(
    nats_stack: RunningStack, tmp_path: Path
) -> None:
    """An import that takes seconds would break the first handshake off."""
    queue = nats_stack.queue(await nats_stack.agent("math"))
    assert await begun(queue, tmp_path)


async def test_what_is_to_be_loaded_is_loaded_without_a_queue(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    monkeypatch.setattr(worker, "REACH_SECONDS", 0.2)
    name = ObjectName(namespace="team", name="math")
    queue = Queue(
        stack=name,
        url=f"nats://127.0.0.1:{unused_tcp_port}",
        token_file=str(tmp_path / "token"),
        service_account=name,
    )
    assert not await begun(queue, tmp_path)
