"""Two servers on one machine, on one port and one PostgreSQL."""

import asyncio
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from controller.tests.local.platform import Platform, running
from controller.tests.local.test_up import declarative
from runtime.tests.postgres import running_postgres

pytestmark = [pytest.mark.integration, pytest.mark.timeout(300)]

SERVE = "serve stack/default/default"
STACK = """
apiVersion: v1
kind: Secret
metadata: {{name: db}}
stringData: {{url: "{url}"}}
---
apiVersion: k8gentai.dev/v1alpha1
kind: Stack
metadata: {{name: default}}
spec:
  server: {{replicas: 2}}
  storage: {{postgres: {{urlSecretRef: {{name: db, key: url}}}}}}
  models:
  - {{name: small, provider: "remote::vllm", model: stand-in, baseUrl: "http://model.k8gentai-system.svc:8000/v1"}}
  messaging: {{managed: {{replicas: 1, storage: 1Gi}}}}
"""


@pytest.fixture(scope="module")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    folder = tmp_path_factory.mktemp("manifests")
    (folder / "echo.yaml").write_text(declarative("echo"))
    with asyncio.Runner() as runner:
        database = running_postgres(tmp_path_factory.mktemp("postgres"))
        url = runner.run(database.__aenter__()).url
        try:
            (folder / "stack.yaml").write_text(STACK.format(url=url))
            with running(folder, tmp_path_factory.mktemp("platform")) as platform:
                yield platform
        finally:
            runner.run(database.__aexit__(None, None, None))


def client(up: Platform) -> openai.OpenAI:
    """With connections of its own, so that the kernel chooses anew who takes them."""
    return openai.OpenAI(base_url=f"{up.url}/v1", api_key="none", max_retries=0)


def test_a_server_that_is_killed_leaves_everything_to_the_other(up: Platform) -> None:
    up.until(lambda: len(up.pids(SERVE)) == 2)
    with client(up) as before:
        talk = before.conversations.create()
        first = before.responses.create(model="echo", input="one", conversation=talk.id)
    killed, other = up.pids(SERVE)

    os.kill(killed, signal.SIGKILL)
    # Without a command line, it may still have its sockets; once it is gone, they are too.
    up.until(lambda: not Path(f"/proc/{killed}").exists())

    for number in range(4):
        with client(up) as after:
            found = after.responses.retrieve(first.id)
            again = after.responses.create(model="echo", input=f"n{number}", conversation=talk.id)
        assert found.output_text == first.output_text
        assert f"n{number}" in again.output_text
    up.until(lambda: len(up.pids(SERVE)) == 2)
    assert other in up.pids(SERVE)
