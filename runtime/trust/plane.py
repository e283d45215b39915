"""The trust plane: one auth callout per Stack, for as long as the configuration names it.

Beside them the transaction token service, one for all Stacks.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from runtime.contract.subjects import Bucket, StackSubjects
from runtime.contract.trust_config import Issuer, TrustConfig, Workload
from runtime.contract.value import ObjectName
from runtime.identity.keys import IssuerKeys
from runtime.identity.tokens import Reason, Refused
from runtime.identity.workloads import Identity, WorkloadVerifier
from runtime.transport.port import Unavailable
from runtime.transport.requests import Requests
from runtime.trust.callout import GROUP, SUBJECT, Callout
from runtime.trust.closing import LOOK_SECONDS, Closing
from runtime.trust.nkeys import Signer
from runtime.trust.serving_tokens import Tokens
from runtime.trust.sources import Source, Unreadable
from runtime.trust.workloads import Newest, workload_of
from runtime.trust.xkeys import Xkey

log = logging.getLogger(__name__)

READ_SECONDS: Final = 2.0
_NOT_FOUND: Final = "404"

type Ready = Callable[[bool, str], None]
type _Queue = tuple[ObjectName, str]
"""A Stack and the address of its NATS."""


async def run_trust(
    source: Source,
    ready: Ready,
    *,
    host: str = "127.0.0.1",
    read_seconds: float = READ_SECONDS,
    look_seconds: float = LOOK_SECONDS,
) -> None:
    """Answer for every Stack that `source` names, until cancelled.

    Shape:
        host   where the transaction token service listens, on the port of the configuration.
        ready  is told `(is_ready, sentence)` whenever that changes. Ready means that the
               configuration has been read, and that tokens are served if they are to be. A Stack
               whose server cannot be reached is retried and logged and makes nothing unready: a
               new Stack's server comes up later than its name.

    Units:
        A new Stack is answered for within `read_seconds`, a changed key or issuer counts as soon,
        and so does, within `look_seconds`, that the rights of a workload have changed.
    """
    plane = _Plane(host, look_seconds)
    said: tuple[bool, str] | None = None
    try:
        while True:
            try:
                plane.take(await source.read())
                state = (True, plane.sentence)
            except (Unreadable, OSError, ValueError) as error:
                # What was read before stays in force: open Stacks must not close over a hiccup.
                state = (plane.is_running, str(error))
            if state != said:
                log.info("trust plane: %s", state[1])
                ready(*state)
                said = state
            await asyncio.sleep(read_seconds)
    finally:
        await plane.close()


@dataclass(frozen=True, slots=True)
class _Rules:
    """What holds for all Stacks."""

    issuers: tuple[Issuer, ...]
    audience: str
    operator: ObjectName
    user_seed: str
    keys: IssuerKeys
    verifier: WorkloadVerifier
    signer: Signer
    xkey: Xkey


class _Plane:
    def __init__(self, host: str, look_seconds: float) -> None:
        self._look_seconds = look_seconds
        self._rules: _Rules | None = None
        self._tokens = Tokens(host, self._workload)
        self._serving: dict[_Queue, tuple[Requests, asyncio.Task[None]]] = {}
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def is_running(self) -> bool:
        return self._rules is not None and self._tokens.is_ready

    @property
    def sentence(self) -> str:
        reached = sum(requests.is_open for requests, _ in self._serving.values())
        return f"answering for {reached} of {len(self._serving)} stacks"

    def take(self, config: TrustConfig) -> None:
        """Let `config` be in force.

        Raises:
            OSError, ValueError: a seed cannot be read.
        """
        before, self._rules = self._rules, _rules(config, self._rules)
        other_user = before is not None and before.user_seed != self._rules.user_seed
        queues = [(one.stack, one.url) for one in config.stacks]
        for queue, (_, task) in list(self._serving.items()):
            if other_user or queue not in queues or task.done():
                self._end(queue)
        for queue in queues:
            if queue not in self._serving:
                self._serving[queue] = self._serve(*queue, self._rules.user_seed)
        # Last: a key that is missing for tokens keeps nobody from his queue.
        self._tokens.take(config, self._rules.keys)

    async def close(self) -> None:
        """Stop answering."""
        await self._tokens.close()
        for queue in list(self._serving):
            self._end(queue)
        await asyncio.gather(*self._ending, return_exceptions=True)

    def _end(self, queue: _Queue) -> None:
        _, task = self._serving.pop(queue)
        task.cancel()
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _serve(
        self, stack: ObjectName, url: str, user_seed: str
    ) -> tuple[Requests, asyncio.Task[None]]:
        requests = Requests(url, seed=user_seed, name="trust")
        callout = Callout(stack, self._current, _newest(requests, StackSubjects(stack)))
        closing = Closing(stack, requests, callout.standing)
        serving = self._answer(requests, callout, closing)
        return requests, asyncio.create_task(serving, name=f"trust of {stack}")

    async def _workload(self, stack: ObjectName, identity: Identity) -> Workload:
        for (served, _), (requests, _) in self._serving.items():
            if served == stack:
                return await workload_of(identity, _newest(requests, StackSubjects(stack)))
        raise Refused(Reason.UNKNOWN_STACK, identity.who)

    async def _answer(self, requests: Requests, callout: Callout, closing: Closing) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(requests.serve(SUBJECT, GROUP, callout.answer))
            group.create_task(closing.run(self._look_seconds))

    def _current(self) -> _Rules:
        if self._rules is None:
            raise RuntimeError("nothing answers before the configuration is read")
        return self._rules


def _rules(config: TrustConfig, before: _Rules | None) -> _Rules:
    """The rules in `config`; the fetched keys of issuers that stay the same are kept."""
    user_seed = Path(config.user_seed_file).read_text().strip()
    Signer(user_seed)  # it is nats.py that signs with it; here a bad one can still be said
    heard = (config.issuers, config.audience)
    if before is not None and (before.issuers, before.audience) == heard:
        keys, verifier = before.keys, before.verifier
    else:
        keys = IssuerKeys(config.issuers)
        verifier = WorkloadVerifier(keys, config.audience)
    return _Rules(
        issuers=config.issuers,
        audience=config.audience,
        operator=config.operator,
        user_seed=user_seed,
        keys=keys,
        verifier=verifier,
        signer=Signer(Path(config.account_seed_file).read_text()),
        xkey=Xkey(Path(config.xkey_seed_file).read_text()),
    )


def _newest(requests: Requests, subjects: StackSubjects) -> Newest:
    async def newest(bucket: Bucket, key: str) -> bytes | None:
        """The newest value of a key.

        Raises:
            Unavailable: the bucket cannot be read.

        Source:
            NATS architecture decision records ADR-8 (key-value) and ADR-31 (direct get).
        """
        reply = await requests.ask(subjects.direct_get(bucket, key))
        headers = reply.headers or {}
        if headers.get("Status") == _NOT_FOUND or "KV-Operation" in headers:
            return None
        if "Nats-Subject" not in headers:
            raise Unavailable(f"no direct get of {key}: {headers}")
        return reply.data

    return newest
