"""The tokens that embedded mode writes in place of a kubelet."""

import asyncio
from pathlib import Path

import jwt
import pytest

from controller.local import cluster
from controller.local.cluster import LocalCluster
from controller.local.environments import Environments
from controller.local.issuer import LocalIssuer
from controller.local.site import EmbeddedSite, ModelEndpoint
from controller.model import Child, TrustKeys
from runtime.contract.value import ObjectName

MATH = ObjectName(namespace="team", name="agent-math")


def ignore(*_: object) -> None:
    """Nobody looks at what comes of it."""


async def test_every_token_is_written_anew_before_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the operator too: without it, it could not reach the queue any more."""
    monkeypatch.setattr(cluster, "TOKEN_SECONDS", 2.0)
    issuer = LocalIssuer("k8gentai")
    site = EmbeddedSite(
        root=tmp_path,
        issuers=(issuer.trusted(),),
        trust_keys=TrustKeys("a", "u", "x"),
        model=ModelEndpoint("http://127.0.0.1:1/v1"),
    )
    local = LocalCluster(site, Environments(ignore), issuer, on_change=ignore, on_report=ignore)
    local.write_token(site.operator)
    body = {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"namespace": MATH.namespace, "name": MATH.name},
    }
    await local.apply(Child(body), force=True)

    def tokens() -> list[str]:
        accounts = (site.operator, MATH)
        files = [
            file(one) for one in accounts for file in (site.token_file, site.server_token_file)
        ]
        return [Path(file).read_text() for file in files]

    first = tokens()
    renewing = asyncio.create_task(local.renew_tokens())
    async with asyncio.timeout(5):
        while set(tokens()) & set(first):
            await asyncio.sleep(0.05)
    renewing.cancel()
    claims = [jwt.decode(token, options={"verify_signature": False}) for token in tokens()]
    told = [(one["sub"].removeprefix("system:serviceaccount:"), *one["aud"]) for one in claims]
    assert told == [
        (account, audience)
        for account in ("k8gentai-system:k8gentai-operator", "team:agent-math")
        for audience in ("k8gentai", "k8gentai-server")
    ]
