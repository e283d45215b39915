"""The transaction token service as part of the trust plane: configured again and again, served."""

import asyncio
import contextlib
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runtime.contract.signing_keys import SigningKeys
from runtime.contract.trust_config import TokenRules, TrustConfig, UserIssuer
from runtime.contract.value import ObjectName
from runtime.identity.keys import IssuerKeys
from runtime.identity.workloads import WorkloadVerifier
from runtime.trust import http_server
from runtime.trust.signing import TokenSigner
from runtime.trust.subjects import JwtSubjects
from runtime.trust.token_endpoint import TokenEndpoint
from runtime.trust.token_service import Current, FindWorkload, TokenService


@dataclass(frozen=True, slots=True)
class _Now:
    """What holds at the moment."""

    rules: TokenRules
    signer: TokenSigner
    clients: WorkloadVerifier
    subjects: JwtSubjects


class _Latest[K, V]:
    """The value made of a key, and the same one for as long as the key is the same."""

    def __init__(self, make: Callable[[K], V]) -> None:
        self._make = make
        self._made: tuple[K, V] | None = None

    def of(self, key: K) -> V:
        if self._made is None or self._made[0] != key:
            self._made = (key, self._make(key))
        return self._made[1]


class Tokens:
    """The service, from the first configuration that has it."""

    def __init__(self, host: str, workload: FindWorkload) -> None:
        self._host = host
        self._service = TokenService(self._current, workload)
        self._now: _Now | None = None
        self._signer = _Latest[str, TokenSigner](lambda text: TokenSigner(SigningKeys.decode(text)))
        self._clients = _Latest[tuple[IssuerKeys, str], WorkloadVerifier](
            lambda one: WorkloadVerifier(*one)
        )
        self._subjects = _Latest[Mapping[ObjectName, UserIssuer], JwtSubjects](JwtSubjects)
        self._is_wanted = False
        self._serving: asyncio.Task[None] | None = None
        self._port: int | None = None

    def take(self, config: TrustConfig, keys: IssuerKeys) -> None:
        """Let `config` be in force; `keys` are those of the workloads' issuers.

        Raises:
            OSError, ValueError: the signing keys cannot be read, or the port is taken.
        """
        self._is_wanted = config.tokens is not None
        if config.tokens is None:
            return
        users = {one.stack: one.users for one in config.stacks if one.users is not None}
        self._now = _Now(
            rules=config.tokens.rules,
            signer=self._signer.of(Path(config.tokens.signing_keys_file).read_text()),
            clients=self._clients.of((keys, config.tokens.audience)),
            subjects=self._subjects.of(users),
        )
        if self._serving is None or self._port != config.tokens.port:
            self._listen(config.tokens.port)

    @property
    def is_ready(self) -> bool:
        """Whether it answers, if it is to."""
        return not self._is_wanted or (self._serving is not None and not self._serving.done())

    async def close(self) -> None:
        """Stop answering."""
        if self._serving is not None:
            self._serving.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._serving

    def _listen(self, port: int) -> None:
        listening = socket.create_server((self._host, port), backlog=1024)
        if self._serving is not None:
            self._serving.cancel()
        serving = http_server.serve(TokenEndpoint(self._service), listening)
        self._serving = asyncio.create_task(serving, name="transaction tokens")
        self._port = port

    def _current(self) -> Current:
        if self._now is None:
            raise RuntimeError("nothing answers before the configuration is read")
        return self._now
