"""A server that cannot be: one sentence about why, and an exit code of its own."""

import asyncio
import os
import sys
from pathlib import Path

import pytest
import yaml

from runtime.tests.amf.server import server_config

pytestmark = pytest.mark.integration

BAD_CONFIGURATION = 78


async def start(tmp_path: Path, config: str, **environment: str) -> tuple[int | None, str]:
    """Serve `config`: the exit code, and the last words."""
    (tmp_path / "run.yaml").write_text(config)
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "runtime", "serve", "stack/team/default"),
        env=os.environ
        | {
            "K8GENTAI_CONFIG": str(tmp_path / "run.yaml"),
            "K8GENTAI_TERMINATION_LOG": str(tmp_path / "last_words"),
            "QUEUE_URL": "nats://127.0.0.1:9",
            "TOKEN_FILE": str(tmp_path / "token"),
            "MODEL_URL": "http://127.0.0.1:9/v1",
            "DATA": str(tmp_path),
        }
        | environment,
        stderr=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
    )
    code = await asyncio.wait_for(process.wait(), 60)
    return code, (tmp_path / "last_words").read_text()


async def test_a_provider_that_does_not_exist_is_named(tmp_path: Path) -> None:
    config = server_config()
    config["providers"]["inference"][1]["provider_type"] = "remote::nobody"

    code, sentence = await start(tmp_path, yaml.safe_dump(config))

    assert code == BAD_CONFIGURATION
    assert "remote::nobody" in sentence
    assert "spec.models" in sentence


async def test_a_config_that_is_none_is_named(tmp_path: Path) -> None:
    code, sentence = await start(tmp_path, "- just\n- a list\n")

    assert code == BAD_CONFIGURATION
    assert "run.yaml is no mapping" in sentence


async def test_a_port_that_is_none_is_named(tmp_path: Path) -> None:
    code, sentence = await start(tmp_path, yaml.safe_dump(server_config()), K8GENTAI_PORT="http")

    assert code == BAD_CONFIGURATION
    assert "K8GENTAI_PORT" in sentence
