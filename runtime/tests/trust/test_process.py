"""The process as it is started in a cluster and in embedded mode."""

import asyncio
import json
import os
import re
import signal
import sys
import time

import nats.errors
import pytest

from runtime.tests.nats import OPERATOR_WORKLOAD, RunningStack

pytestmark = pytest.mark.integration


@pytest.mark.fault(33)
async def test_it_lets_in_says_so_without_a_token_and_ends_in_a_second(
    nats_stack: RunningStack,
) -> None:
    await nats_stack.stop_trust()
    environment = {
        "K8GENTAI_CONFIG": str(nats_stack.trust_file),
        "K8GENTAI_HOST": "127.0.0.1",
        "K8GENTAI_HEALTH_PORT": "0",
        "K8GENTAI_TERMINATION_LOG": str(nats_stack.folder / "termination.log"),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "runtime", "trust"),
        env=os.environ | environment,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        await until_let_in(nats_stack)
        began = time.monotonic()
        process.send_signal(signal.SIGTERM)
        _, log = await process.communicate()
        assert time.monotonic() - began < 1
        assert process.returncode == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()

    lines = [json.loads(line) for line in log.splitlines()]
    (admitted, *_) = [line for line in lines if line["logger"] == "k8gentai.audit"]
    assert admitted["what"] == "admitted"
    assert admitted["who"] == "k8gentai-system/k8gentai-operator"
    assert admitted["stack"] == "team/default"
    assert admitted["reason"] == "Operator"
    assert not re.search(rb"eyJ[\w-]+\.|S[AU][A-Z2-7]{56}", log)


async def until_let_in(running: RunningStack) -> None:
    async with asyncio.timeout(30):
        while True:
            try:
                async with running.connect_as(OPERATOR_WORKLOAD):
                    return
            except nats.errors.AuthorizationError:
                continue
