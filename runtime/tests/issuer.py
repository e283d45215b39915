"""An issuer of users' tokens: a small real server with keys that can rotate, and go away."""

import json
import threading
import time
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self, override

import jwt
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm

AUDIENCE = "k8gentai"


class UserIssuer:
    """Signs access tokens as Keycloak does, and publishes its keys for as long as the body runs.

    Shape:
        published  the JWK set as it is served; `None`: the issuer fails.
        asked      the paths that were asked for, in order.
    """

    def __init__(self) -> None:
        self.published: list[dict[str, Any]] | None = []
        self.asked: list[str] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._serving = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.02}
        )
        self.url = f"http://127.0.0.1:{self._server.server_port}/realms/agents"
        self.rotate()

    def __enter__(self) -> Self:
        self._serving.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        at: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._serving.join()

    def rotate(self, *, overlap: bool = True) -> None:
        """Sign with another key from now on; with `overlap`, the ones before stay published."""
        self.key, self.kid = ec.generate_private_key(ec.SECP256R1()), uuid.uuid4().hex
        public = ECAlgorithm.to_jwk(self.key.public_key(), as_dict=True)
        before = (self.published or []) if overlap else []
        self.published = [*before, public | {"kid": self.kid, "alg": "ES256", "use": "sig"}]

    def claims(self, subject: str, **other: Any) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.url,
            "aud": [AUDIENCE, "account"],
            "sub": subject,
            "typ": "Bearer",
            "scope": "openid profile",
            "iat": now,
            "exp": now + 3600,
            "jti": uuid.uuid4().hex,
            **other,
        }

    def token(self, subject: str, **other: Any) -> str:
        claims = self.claims(subject, **other)
        return jwt.encode(claims, self.key, algorithm="ES256", headers={"kid": self.kid})

    def principal(self, subject: str) -> str:
        """What the platform calls him."""
        return f"{self.url}#{subject}"

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                about: dict[str, Any] = {"issuer": issuer.url, "jwks_uri": f"{issuer.url}/keys"}
                keys = {"keys": issuer.published}
                body = json.dumps(keys if self.path.endswith("/keys") else about).encode()
                self.send_response(503 if issuer.published is None else 200)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            @override
            def log_message(self, format: str, *args: object) -> None:
                """Quiet: what was asked is in `asked`."""

        return Handler
