"""A Stack whose API two servers serve, on one PostgreSQL, with the agents that clients ask."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from e2e.asking import Asking
from e2e.database import build_database, database
from e2e.kubectl import Body, Namespace, kubectl
from e2e.manifests import agent, model

CLIENTS = "config/samples/clients"
STACK = "default"
SERVER = "app.kubernetes.io/component=server"
# At once, so that a server that has gone finds half of them under way.
CONCURRENCY = {"concurrency": 32}


@dataclass(frozen=True, slots=True)
class TwoServers:
    """The Stack `default`.

    Shape:
        Beside the agents of config/samples/clients it has `slow`, whose answer takes a second,
        and `words`, which says its answer piece by piece.
    """

    namespace: Namespace
    asking: Asking
    password: str

    def pods(self) -> list[str]:
        """The pods of the servers that are not on their way out."""
        found = self.namespace.every("pods", SERVER)
        staying = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return [f"pod/{pod['metadata']['name']}" for pod in staying]

    def kill_one(self) -> None:
        """Let one server end as if its machine had."""
        gone, *_ = self.pods()
        self.namespace.kubectl("delete", gone, "--grace-period=0", "--force", "--wait=false")

    def wait_for_both(self) -> None:
        """Wait until there are two again."""
        self.namespace.kubectl("rollout", "status", f"deployment/server-{STACK}", "--timeout=120s")


@contextmanager
def two_servers(home: Namespace, folder: Path) -> Iterator[TwoServers]:
    """The Stack in `home`, reached by its Service."""
    build_database(folder)
    password, stack = secrets.token_hex(8), {"name": STACK}
    home.apply(
        *database(password),
        *samples(),
        agent("slow", stack, says="Answer.", modelRef={"name": "slow"}, execution=CONCURRENCY),
        agent("words", stack, says="Answer.", modelRef={"name": "words"}, execution=CONCURRENCY),
    )
    ready = ("stack/default", "agent/slow", "agent/words", "agent/math", "agent/librarian")
    home.wait_ready(*ready, seconds=240)
    with home.reached(f"stack-{STACK}", 8321) as address:
        yield TwoServers(home, Asking(f"http://{address}"), password)


def samples() -> list[Body]:
    """The objects that the sample clients ask, on a Stack of two servers."""
    made: list[Any] = list(yaml.safe_load_all(kubectl("kustomize", CLIENTS)))
    (stack,) = (one["spec"] for one in made if one["kind"] == "Stack")
    stack["server"] = {"replicas": 2}
    stack["storage"] = {"postgres": {"urlSecretRef": {"name": "db", "key": "url"}}}
    stack["models"] += [model("slow", "slow-1000"), model("words", "slow-100")]
    return made
