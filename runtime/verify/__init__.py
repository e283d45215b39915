"""Checks transaction tokens, for tools of one's own: `pip install k8gentai[verify]`.

    verifier = Verifier(trust_domain="k8gentai.local", keys="https://…/jwks")
    app = TxnTokenMiddleware(app, verifier)

Nothing else of the platform is needed, and of other packages just `pyjwt[crypto]`.
"""

from runtime.contract.txn_token import TxnToken, call_digest, digest
from runtime.verify.keys import KeySet
from runtime.verify.middleware import TOKEN, TxnTokenMiddleware
from runtime.verify.refusals import KeysAway, Reason, Refused
from runtime.verify.replays import Replays
from runtime.verify.verifier import Verifier

__all__ = [
    "TOKEN",
    "KeySet",
    "KeysAway",
    "Reason",
    "Refused",
    "Replays",
    "TxnToken",
    "TxnTokenMiddleware",
    "Verifier",
    "call_digest",
    "digest",
]
