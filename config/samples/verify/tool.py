"""A tool of one's own, outside of the platform: an HTTP API that asks for a transaction token.

pip install 'k8gentai[verify]' uvicorn
JWKS=https://tokens.example/jwks uvicorn tool:app
"""

import json
import os

from runtime.verify import TOKEN, Replays, TxnTokenMiddleware, Verifier


async def transfer(scope, _receive, send):
    """Says in whose name it would have transferred money."""
    token = scope[TOKEN]
    agents = " for ".join(token.act)
    content = json.dumps({"transferred": f"{agents} for {token.sub}", "txn": token.txn}).encode()
    headers = [(b"content-type", b"application/json")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


verifier = Verifier(
    trust_domain=os.environ.get("TRUST_DOMAIN", "k8gentai.local"),
    keys=os.environ["JWKS"],
)
app = TxnTokenMiddleware(transfer, verifier, scope="payments", replays=Replays())
