"""A server that cannot be: one sentence about why, and an exit code of its own."""

import asyncio
import os
import socket
import sys
from pathlib import Path

import pytest
import yaml

from runtime.contract.agent_config import Queue
from runtime.contract.value import ObjectName
from runtime.tests.amf.server import server_config
from runtime.tests.amf.stacks import write_run_config
from runtime.tests.postgres import running_postgres

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


NAMED = "spec.storage.postgres.urlSecretRef (key url of the Secret db)"


async def test_an_address_that_is_none_is_named_and_not_shown(tmp_path: Path) -> None:
    code, sentence = await start(
        tmp_path,
        yaml.safe_dump(server_config()),
        K8GENTAI_DATABASE_URL="postgresql://app:s3cret@db/",
        K8GENTAI_DATABASE=NAMED,
    )

    assert code == BAD_CONFIGURATION
    assert sentence == (
        f"the database's address in {NAMED} cannot be used: it names no database; write it as "
        "postgresql://user:password@host:port/database"
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("k8gentai:", "k8gentai:wrong"), "password authentication failed"),
        (("/postgres?", "/nowhere?"), 'database "nowhere" does not exist'),
    ],
    ids=["password", "database"],
)
async def test_a_database_that_refuses_is_named(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    (tmp_path / "postgres").mkdir()
    async with running_postgres(tmp_path / "postgres") as database:
        code, sentence = await start(
            tmp_path,
            yaml.safe_dump(server_config()),
            K8GENTAI_DATABASE_URL=database.url.replace(*change),
            K8GENTAI_DATABASE=NAMED,
        )

    assert code == BAD_CONFIGURATION
    assert f"127.0.0.1:{database.port} refuses: " in sentence
    assert message in sentence
    assert sentence.endswith(NAMED)
    assert database.password not in sentence


async def test_a_user_who_may_make_no_tables_is_told(tmp_path: Path) -> None:
    (tmp_path / "postgres").mkdir()
    async with running_postgres(tmp_path / "postgres") as database:
        await database.rows("CREATE ROLE reader LOGIN PASSWORD 'read'")
        where = database.url.partition("@127")[2]
        config = write_run_config(
            Queue(
                stack=ObjectName(namespace="team", name="default"),
                url="nats://127.0.0.1:9",
                token_file=str(tmp_path / "token"),
                service_account=ObjectName(namespace="team", name="server-default"),
            ),
            tmp_path,
            storage={"postgres": {"urlSecretRef": {"name": "db", "key": "url"}}},
        )
        code, sentence = await start(
            tmp_path,
            config.read_text(),
            K8GENTAI_DATABASE_URL=f"postgresql://reader:read@127{where}",
        )

    assert code == BAD_CONFIGURATION
    assert "permission denied for schema public; let the database's user create tables" in sentence


async def test_a_taken_port_is_named(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, sentence = await start(
            tmp_path, yaml.safe_dump(server_config()), K8GENTAI_PORT=str(port)
        )

    assert code == BAD_CONFIGURATION
    assert sentence == f"127.0.0.1:{port} cannot be served on: Address already in use"
