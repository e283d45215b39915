"""People who log in at a real Keycloak ask the agents of an embedded platform, and nobody else.

Run by `hack/keycloak.sh test`, as `make test-apart` does.
"""

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import openai
import pytest
import yaml

from controller.tests.local.platform import ROOT, Platform, running
from controller.tests.local.test_up import a_sum
from e2e.keycloak import BRIEF_SECONDS, Keycloak, running_keycloak

type Client = Callable[[str], openai.OpenAI]

pytestmark = [pytest.mark.integration, pytest.mark.timeout(600)]

QUICKSTART = ROOT / "config" / "samples" / "quickstart"


@pytest.fixture(scope="module")
def keycloak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Keycloak]:
    with running_keycloak(tmp_path_factory.mktemp("keycloak")) as server:
        for name in ("alice", "bob", "carol"):
            server.add_user(name)
        yield server


@pytest.fixture(scope="module")
def up(keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Platform]:
    """The quickstart, for the users of that realm."""
    folder = tmp_path_factory.mktemp("manifests")
    shutil.copytree(QUICKSTART, folder, dirs_exist_ok=True)
    stack = yaml.safe_load((folder / "stack.yaml").read_text())
    stack["spec"]["auth"] = {"issuer": keycloak.issuer}
    (folder / "stack.yaml").write_text(yaml.safe_dump(stack))
    with running(folder, tmp_path_factory.mktemp("platform")) as platform:
        yield platform


@pytest.fixture
def client(up: Platform) -> Iterator[Client]:
    """A client for the bearer of a token."""
    with contextlib.ExitStack() as stack:
        yield lambda token: stack.enter_context(
            openai.OpenAI(base_url=f"{up.url}/v1", api_key=token, max_retries=0, timeout=60)
        )


def ask_on(user: openai.OpenAI) -> None:
    """Ask something for longer than a brief token lives."""
    end = time.monotonic() + BRIEF_SECONDS + 5
    while time.monotonic() < end:
        user.models.list()
        time.sleep(0.2)


def test_alice_asks_an_agent_and_bob_sees_nothing_of_it(client: Client, keycloak: Keycloak) -> None:
    """The agent asks its model by the same server, with the proof of its own workload."""
    question, answer = a_sum()
    alice, bob = (client(keycloak.token(name)) for name in ("alice", "bob"))

    asked = alice.responses.create(model="math", input=question)

    assert answer in asked.output_text
    assert alice.responses.retrieve(asked.id).output_text == asked.output_text
    with pytest.raises(openai.NotFoundError):
        bob.responses.retrieve(asked.id)
    with pytest.raises(openai.NotFoundError):
        bob.responses.create(model="math", input="?", previous_response_id=asked.id)


def test_the_curl_line_of_the_platform_has_a_place_for_the_token(up: Platform) -> None:
    line = up.until_said(r"try: curl .*")
    assert '-H "authorization: Bearer $TOKEN"' in line


@pytest.mark.parametrize("kind", ["nothing", "an ID token", "a refresh token", "elsewhere"])
def test_another_token_lets_nobody_in(client: Client, keycloak: Keycloak, kind: str) -> None:
    alice = keycloak.log_in("alice")
    token = {
        "nothing": "none",
        "an ID token": alice["id_token"],
        "a refresh token": alice["refresh_token"],
        "elsewhere": keycloak.token("alice", "elsewhere"),
    }[kind]
    with pytest.raises(openai.AuthenticationError, match="Send an access token of http"):
        client(token).responses.create(model="math", input="?")


def test_a_token_ends(client: Client, keycloak: Keycloak) -> None:
    brief = client(keycloak.token("alice", "brief"))
    brief.models.list()

    with pytest.raises(openai.AuthenticationError, match="it has expired"):
        ask_on(brief)


def test_a_user_who_is_disabled_gets_no_further_token(client: Client, keycloak: Keycloak) -> None:
    before = client(keycloak.token("carol", "brief"))
    before.models.list()
    keycloak.disable("carol")

    assert keycloak.log_in("carol")["error_description"] == "Account disabled"
    with pytest.raises(openai.AuthenticationError):
        ask_on(before)


@pytest.mark.fault(34)
def test_a_new_key_of_keycloak_is_known_when_it_is_used(client: Client, keycloak: Keycloak) -> None:
    old = client(keycloak.token("alice"))
    keycloak.rotate()
    new = client(keycloak.token("alice"))

    # Keys are fetched once in a few seconds, however many tokens ask for it.
    end = time.monotonic() + 30
    while True:
        with contextlib.suppress(openai.AuthenticationError):
            new.models.list()
            break
        assert time.monotonic() < end
        time.sleep(0.2)
    old.models.list()


def test_nobodys_token_is_written_down(
    client: Client, keycloak: Keycloak, tmp_path_factory: pytest.TempPathFactory
) -> None:
    token = keycloak.token("alice")
    client(token).responses.create(model="math", input="What is 1 + 2?")

    state = tmp_path_factory.getbasetemp()
    signature = token.rpartition(".")[2][:40].encode()
    kept = [file for file in Path(state).rglob("*") if file.is_file()]
    assert not [file for file in kept if signature in file.read_bytes()]
