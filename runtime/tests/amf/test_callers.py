"""Whom a server lets in, as its run config says."""

from pathlib import Path

import pytest

from controller.local.issuer import LocalIssuer
from runtime.amf.callers import Callers
from runtime.amf.errors import IssuerAway
from runtime.contract.access import User
from runtime.contract.auth_config import ServerAuth
from runtime.contract.trust_config import Issuer
from runtime.tests.https import running_https
from runtime.tests.issuer import UserIssuer
from runtime.tests.nats import OPERATOR


async def test_an_issuer_may_have_an_authority_of_its_own(tmp_path: Path) -> None:
    with running_https(tmp_path) as server, UserIssuer() as keys:
        keys.url = server.url
        server.answers |= {
            "/.well-known/openid-configuration": {
                "issuer": server.url,
                "jwks_uri": f"{server.url}/keys",
            },
            "/keys": {"keys": keys.published},
        }
        auth = ServerAuth(
            users=Issuer(issuer=server.url, ca=server.ca_file.read_text()),
            audience="k8gentai",
            workloads=(LocalIssuer("k8gentai").trusted(),),
            operator=OPERATOR,
        )
        plain = auth.model_copy(update={"users": Issuer(issuer=server.url)})
        known, unknown = Callers(auth, lambda: None), Callers(plain, lambda: None)

        ann = await known.caller(keys.token("ann", groups=["one", "all"]), "GET", "/")
        assert ann == User(
            principal=f"{server.url}#ann", claims={"sub": ("ann",), "groups": ("one", "all")}
        )
        assert known.why_not() is None
        with pytest.raises(IssuerAway):
            await unknown.caller(keys.token("ann"), "GET", "/")
        assert "certificate verify failed" in (unknown.why_not() or "")
