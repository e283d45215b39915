"""Two users of one server, which knows them by the tokens of their issuer."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import yaml

from runtime.amf.flavour import server_module
from runtime.contract.auth_config import ServerAuth
from runtime.contract.trust_config import Issuer
from runtime.tests.amf.clients import agent
from runtime.tests.amf.server import Server, running_server, server_config
from runtime.tests.issuer import AUDIENCE, UserIssuer
from runtime.tests.nats import OPERATOR

default_policy = server_module("core.access_control.access_control").default_policy
TOGETHER: dict[str, list[str]] = {"groups": ["all"], "roles": ["all"], "teams": ["all"]}


@dataclass
class Users:
    """The clients of Ann and Bob, and an agent that both may ask."""

    ann: httpx.AsyncClient
    bob: httpx.AsyncClient
    model: str
    server: Server
    issuer: UserIssuer

    @property
    def anns_token(self) -> str:
        return self.issuer.token("ann", **TOGETHER)

    @property
    def bobs_token(self) -> str:
        return self.issuer.token("bob", **TOGETHER)

    async def until_known(self, model: str) -> None:
        """Wait until their server knows an Agent."""
        async with asyncio.timeout(30):
            while model not in (await self.ann.get("/models")).text:
                await asyncio.sleep(0.05)


@contextlib.asynccontextmanager
async def two_users(server: Server, folder: Path) -> AsyncIterator[Users]:
    """Ann and Bob at a server of their own, of the Stack of `server`; both are of one group."""
    with UserIssuer() as issuer:
        path = folder / "run.yaml"
        path.write_text(yaml.safe_dump(guarded_config(server, issuer)))
        async with (
            running_server(server.nats, folder, run_config=path) as guarded,
            agent(server) as (model, _),
            client(guarded, issuer.token("ann", **TOGETHER)) as ann,
            client(guarded, issuer.token("bob", **TOGETHER)) as bob,
        ):
            users = Users(ann, bob, model, guarded, issuer)
            await users.until_known(model)
            yield users


def guarded_config(server: Server, issuer: UserIssuer) -> dict[str, object]:
    """The run config of a server that lets nobody in but users of this issuer, and workloads.

    Bob may not use agents whose names begin with `secret`; else it has the policy of a server that
    has none in its config.
    """
    auth = ServerAuth(
        users=Issuer(issuer=issuer.url),
        audience=AUDIENCE,
        workloads=(server.nats.issuer.trusted(),),
        operator=OPERATOR,
    )
    config = server_config()
    provider = config["providers"]["responses"][0]
    provider["config"]["auth"] = auth.model_dump(mode="json", by_alias=True, exclude_none=True)
    forbidden = {
        "principal": issuer.principal("bob"),
        "actions": ["read"],
        "resource": "regex:model::agents/secret",
    }
    rules = [rule.model_dump(mode="json", exclude_none=True) for rule in default_policy()]
    config["server"]["auth"] = {"access_policy": [{"forbid": forbidden}, *rules]}
    return config


def client(server: Server, token: str) -> httpx.AsyncClient:
    """A client that brings this token, or none at all if it is empty."""
    bearer = {"Authorization": f"Bearer {token}"} if token else {}
    # The server closes what nobody uses for five seconds, and may do so in the very moment.
    limits = httpx.Limits(keepalive_expiry=2)
    url = f"{server.url}/v1"
    return httpx.AsyncClient(base_url=url, timeout=30, headers=bearer, limits=limits)
