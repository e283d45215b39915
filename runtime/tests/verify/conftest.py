import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, override

import pytest

from controller.clients.signing_keys import signing_key
from controller.desired.signing_keys import desired_keys
from runtime.contract.signing_keys import SigningKeys
from runtime.contract.txn_token import TYPE, Transaction, TxnToken, Work, digest
from runtime.trust.signing import TokenSigner

DOMAIN = "example.org"


@dataclass
class Service:
    """The keys of a transaction token service, published over HTTP."""

    keys: SigningKeys = field(default_factory=lambda: desired_keys(None, signing_key, time.time()))
    url: str = ""
    fetches: int = 0
    is_away: bool = False

    @property
    def signer(self) -> TokenSigner:
        return TokenSigner(self.keys)

    def claims(self, **other: Any) -> dict[str, Any]:
        now = int(time.time())
        work = Work("f00d", digest("x"))
        token = TxnToken(
            transaction=Transaction(
                txn="t1", sub="ada", issuer="https://issuer.example", stack="team/s", work=work
            ),
            scope=("payments", "mail"),
            act=("spiffe://example.org/ns/team/agent/b", "spiffe://example.org/ns/team/agent/a"),
            req_wl="spiffe://example.org/ns/team/tool/transfer",
            work=work,
            trust_domain=DOMAIN,
            issuer="spiffe://example.org/tokens",
            jti="j1",
            issued_at=now,
            expires=now + 120,
        )
        return token.claims() | other

    def token(self, *, typ: str = TYPE, without: str = "", **other: Any) -> str:
        claims = self.claims(**other)
        claims.pop(without, None)
        return self.signer.sign(typ, claims, time.time())


@pytest.fixture
def service() -> Iterator[Service]:
    running = Service()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            running.fetches += 1
            body = json.dumps(running.signer.jwks()).encode()
            self.send_response(503 if running.is_away else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        @override
        def log_message(self, format: str, *args: object) -> None:
            """Quiet: what was asked is counted."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running.url = f"http://127.0.0.1:{server.server_port}/jwks"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield running
    server.shutdown()
    server.server_close()
    thread.join()
