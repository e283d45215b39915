"""A JWT-SVID is held and renewed in the background."""

import contextlib
import threading
import time
from collections.abc import Iterator

import pytest

from runtime.contract.agent_config import Queue, WorkloadApi
from runtime.contract.value import ObjectName
from runtime.identity import svid
from runtime.identity.source import proof_source
from runtime.identity.svid import SvidSource
from runtime.identity.token import NoProof, WorkloadToken
from runtime.identity.token_file import TokenFile

MATH = ObjectName(namespace="team", name="agent-math")
API = WorkloadApi(
    socket="/agent.sock", spiffe_id="spiffe://example.org/ns/team/agent/math", audience="k8gentai"
)


class Agent:
    """A SPIRE agent whose SVIDs are good for `life` seconds; `refusal`: why it gives none."""

    def __init__(self) -> None:
        self.life = 0.4
        self.refusal = ""
        self.fetched = 0
        self.is_over = False
        self._asked = threading.Condition()

    def __call__(self, socket: str, audience: str, spiffe_id: str) -> WorkloadToken:
        assert (socket, audience, spiffe_id) == (API.socket, API.audience, API.spiffe_id)
        if self.is_over:
            threading.Event().wait()  # the thread that asks has no other end
        with self._asked:
            self.fetched += 1
            self._asked.notify_all()
        if self.refusal:
            raise NoProof(self.refusal)
        return WorkloadToken(f"svid {self.fetched}", time.time() + self.life)

    def asked_twice_more(self) -> None:
        """Wait until what it says now has been heard."""
        with self._asked:
            heard = self.fetched + 2
            assert self._asked.wait_for(lambda: self.fetched >= heard, timeout=20)


@pytest.fixture
def agent(monkeypatch: pytest.MonkeyPatch) -> Iterator[Agent]:
    monkeypatch.setattr(svid, "LEAST_SECONDS", 0.01)
    monkeypatch.setattr(svid, "RETRY_SECONDS", 0.01)
    agent = Agent()
    yield agent
    agent.is_over = True


def test_nobody_waits_for_the_first_one(agent: Agent) -> None:
    agent.refusal = "not yet"
    with pytest.raises(NoProof):
        SvidSource(API, agent).read()


@pytest.mark.fault(25)
def test_it_is_renewed_while_it_is_still_good(agent: Agent) -> None:
    source = SvidSource(API, agent)
    with contextlib.suppress(NoProof):
        source.read()

    tokens = set()
    for _ in range(3):
        agent.asked_twice_more()
        tokens.add(source.read().token)

    assert len(tokens) == 3


def test_an_agent_that_refuses_is_asked_again_and_its_words_are_told(agent: Agent) -> None:
    agent.refusal = "no identity issued"
    source = SvidSource(API, agent)
    with contextlib.suppress(NoProof):
        source.read()

    agent.asked_twice_more()
    with pytest.raises(NoProof, match="no identity issued"):
        source.read()
    agent.refusal = ""
    agent.asked_twice_more()

    assert source.read().token.startswith("svid ")


def test_what_has_ended_is_not_shown(agent: Agent) -> None:
    agent.life = -1
    source = SvidSource(API, agent)
    with contextlib.suppress(NoProof):
        source.read()

    agent.asked_twice_more()
    with pytest.raises(NoProof):
        source.read()


def test_a_queue_says_which_proof_it_takes() -> None:
    queue = Queue(stack=MATH, url="nats://nowhere", service_account=MATH)

    assert isinstance(proof_source(queue.model_copy(update={"workload_api": API})), SvidSource)
    assert isinstance(proof_source(queue.model_copy(update={"token_file": "t"})), TokenFile)
    with pytest.raises(ValueError, match="nothing proves to nats://nowhere who asks"):
        proof_source(queue)
