"""From what a client asked to the run that is accepted."""

import contextlib
import hashlib
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import orjson

from runtime.amf.asked import Asked
from runtime.amf.conversing import Before
from runtime.amf.desk import QUEUE_SECONDS, Desk
from runtime.amf.errors import ApiError, Conflict, Forbidden, KeyReused, Unavailable
from runtime.amf.functions import check_names
from runtime.contract.access import User
from runtime.contract.auth_config import SYSTEM_PREFIX
from runtime.contract.catalogue import AgentEntry, AgentState
from runtime.contract.keys import claim_key
from runtime.contract.messages import ResponseOptions, Task
from runtime.contract.runs import RunRecord, RunState
from runtime.state.claims import Claim


@dataclass(frozen=True, slots=True, kw_only=True)
class Intake:
    """One request on its way in.

    Shape:
        task   32 hexadecimal digits: a DNS label, and `resp_<task>` for the client.
        claim  key in `runs` of the claim under which the client asks, if he does so.

    Units:
        `now` in seconds since the epoch.
    """

    asked: Asked
    agent: AgentEntry
    caller: User
    task: str = field(default_factory=lambda: secrets.token_hex(16))
    now: float = field(default_factory=time.time)
    claim: str | None = None

    @property
    def user(self) -> str:
        """Who asks, as runs name him."""
        return self.caller.name

    def check(self, *, awaited: bool) -> None:
        """Refuse what the agent does not take.

        Shape:
            awaited  somebody waits for the answer, and learns nothing before it comes.

        Raises:
            Forbidden: who asks is an agent, and no user.
            Unavailable: no worker of the agent can start, and whoever asks would wait for one.
            Conflict: the agent takes no new work.
            TooLarge: the input is over its limit.
        """
        if self.user.startswith(SYSTEM_PREFIX):
            raise Forbidden(
                "An agent asks others by spec.agents of its Agent, in the name of the user whose "
                "run it is; here it may ask models alone.",
                param="model",
            )
        if self.agent.state is AgentState.UNAVAILABLE:
            self._check_available(awaited=awaited)
        if not self.agent.accepting:
            why = "being deleted" if self.agent.leaving else "suspended (spec.suspend of its Agent)"
            message = f"The agent {self.agent.model} takes no new work: it is {why}."
            raise Conflict(message, param="model")
        self.asked.check_size(self.agent.max_input_bytes)

    def _check_available(self, *, awaited: bool) -> None:
        """Work that nobody waits for is taken in: the agent may be mended before its deadline."""
        agent, why = self.agent, self.agent.message.rstrip(".")
        why += "" if why.endswith("?") else "."
        if not agent.accepting:
            raise Unavailable(f"The agent {agent.model} has no workers yet: {why}")
        if awaited:
            raise Unavailable(
                f"No worker of the agent {agent.model} can start at the moment: {why} It answers "
                "once that is mended; /v1/responses with background: true waits until then."
            )

    async def claimed(self, desk: Desk, key: str, digest: str) -> "Intake":
        """This request under its `Idempotency-Key`: with the task of the first one that had it.

        Shape:
            digest  of the request, see `digest_of`.

        Raises:
            KeyReused: that one was another request.
            OutOfReach: the queue does not answer.
        """
        name = claim_key(self.user, key)
        claim = await desk.claim(name, Claim(task=self.task, digest=digest, created=self.now))
        if claim.digest != digest:
            raise KeyReused(
                "This Idempotency-Key belongs to another request; take a new one for each.",
                param="Idempotency-Key",
            )
        # Whoever asks at the same time shows the same times; one who comes late, because the server
        # of the first one was lost, is to have all of his own.
        is_late = self.now > claim.created + QUEUE_SECONDS
        now = self.now if is_late else claim.created
        return replace(self, task=claim.task, now=now, claim=name)

    @contextlib.contextmanager
    def refusing(self, desk: Desk) -> Iterator[None]:
        """Look at what the request needs; one that is refused leaves its `Idempotency-Key` free.

        Raises:
            BadRequest: a function of the client has the name of one of the agent's.
            Forbidden, Unavailable, Conflict, TooLarge: see `check`.
        """
        try:
            self.check(awaited=not self.asked.background)
            check_names(self.asked.options.functions, desk.tools.functions_of(self.agent))
            yield
        except ApiError:
            if self.claim is not None:
                desk.beside(desk.release(self.claim))
            raise

    def record(self, desk: Desk, before: Before) -> RunRecord:
        """The record of the run; nothing is accepted yet."""
        task = Task(
            id=self.task,
            stack=desk.stack,
            agent=self.agent.agent,
            origin=desk.origin,
            user=self.user,
            conversation=self.asked.conversation,
            sequence=before.sequence,
            input=self.asked.input,
            history=before.history,
            options=self.asked.options,
            response=ResponseOptions(
                background=self.asked.background,
                store=self.asked.store,
                metadata=self.asked.metadata,
                previous=before.previous,
                claim=self.claim,
            ),
            created=self.now,
            deadline=self.now + self.agent.timeout_seconds,
        )
        return RunRecord(
            task=task,
            claims=None if self.caller.principal is None else self.caller.claims,
            state=RunState.WAITING if before.waits else RunState.QUEUED,
        )


def digest_of(api: str, request: Any) -> str:
    """What tells a request to one of the APIs from any other one, in hexadecimal."""
    body = request.model_dump(mode="json", exclude_unset=True)
    return hashlib.sha256(orjson.dumps([api, body], option=orjson.OPT_SORT_KEYS)).hexdigest()
