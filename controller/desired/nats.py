"""nats.conf of a Stack: who may reach what between the accounts of its NATS server."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from controller.desired.render import text
from runtime.contract.keys import WORKLOAD_ENTRIES
from runtime.contract.subjects import (
    LIST_CONNECTIONS,
    Account,
    Bucket,
    StackSubjects,
    Stream,
    close_connection,
)
from runtime.contract.value import ObjectName

CLIENT_PORT: Final = 4222
ROUTE_PORT: Final = 6222
MONITOR_PORT: Final = 8222
MAX_PAYLOAD_BYTES: Final = 1048576
LAME_DUCK_SECONDS: Final = 30
"""How long a server that goes takes to send its clients elsewhere; a pod needs a grace above it."""
POD_NAME: Final = "POD_NAME"
"""The environment variable that names a server of a StatefulSet."""

_PULLED: Final = (Stream.TASKS, Stream.CALLS)
_SHARED: Final = (
    (Bucket.RUNS, ">"),
    (Bucket.EFFECTS, ">"),
    (Bucket.CHECKPOINTS, ">"),
    (Bucket.CATALOGUE, "functions.>"),
)


class Border(StrEnum):
    """How a subject crosses from one account to another."""

    SERVICE = "service"
    STREAM = "stream"


@dataclass(frozen=True, slots=True)
class Export:
    """A subject of one account, `WORK` or `SYS`, that one other account may use.

    Shape:
        streamed   one request has many answers (a pull), or at most one.
    """

    subject: str
    account: Account
    border: Border = Border.SERVICE
    streamed: bool = False
    owner: Account = Account.WORK


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Several NATS servers that are one; `routes` are the addresses of all of them."""

    name: str
    routes: tuple[str, ...]
    port: int = ROUTE_PORT


@dataclass(frozen=True, slots=True, kw_only=True)
class NatsServer:
    """What nats.conf says beside the accounts.

    Shape:
        issuer         public nkey of the account key that signs whom the trust plane admits.
        trust_user     public nkey of the trust plane's own user, the only one configured.
        xkey           public xkey of the trust plane: what it is asked is sealed for it.
        name           of the server, or None for the one in the environment variable `POD_NAME`.
        host           address to listen at, or None for every address.
        sync_interval  `always`, or a duration such as `2m`, after which writes reach the disk.
        port           for clients; -1 takes a free one.
        monitor_port   for probes and metrics; 0 for none.
    """

    stack: ObjectName
    issuer: str
    trust_user: str
    xkey: str
    store_dir: str
    name: str | None = None
    host: str | None = None
    port: int = CLIENT_PORT
    monitor_port: int = MONITOR_PORT
    sync_interval: str = "always"
    cluster: Cluster | None = None


def nats_conf(server: NatsServer) -> str:
    """nats.conf of one NATS server of a Stack.

    Shape:
        The accounts are those of `runtime.contract.subjects.Account`. `WORK` has the streams and
        exports just what workers and the trust plane need, to them alone: the border is what keeps
        a reply subject from reaching a stream, since nothing checks it. Everybody but the trust
        plane is let in by the auth callout; there is no password.

    Raises:
        ValueError: a value holds what cannot be quoted.

    Source:
        NATS documentation: accounts, auth callout, JetStream, clustering; nats-server 2.15.1.
    """
    subjects = StackSubjects(server.stack)
    exports, system_exports = work_exports(subjects), _system_exports()
    return text(
        "nats.conf.j2",
        server=server,
        pod_name=POD_NAME,
        max_payload=MAX_PAYLOAD_BYTES,
        lame_duck_seconds=LAME_DUCK_SECONDS,
        exports=exports,
        agents_imports=[one for one in exports if one.account is Account.AGENTS],
        auth_imports=[one for one in exports if one.account is Account.AUTH] + system_exports,
        system_exports=system_exports,
    )


def work_exports(subjects: StackSubjects) -> tuple[Export, ...]:
    """Everything of a Stack that crosses the border of the account `WORK`."""
    return (
        *(Export(subjects.pull(one), Account.AGENTS, streamed=True) for one in _PULLED),
        *(Export(subjects.acks(one), Account.AGENTS) for one in _PULLED),
        Export(subjects.every("events"), Account.AGENTS),
        Export(subjects.every("calls"), Account.AGENTS),
        Export(subjects.every("asks"), Account.AGENTS),
        *(Export(subjects.record(*keys), Account.AGENTS) for keys in _SHARED),
        *(Export(subjects.direct_get(*keys), Account.AGENTS) for keys in _SHARED),
        Export(subjects.every("cancel"), Account.AGENTS, Border.STREAM),
        Export(subjects.every("wake"), Account.AGENTS, Border.STREAM),
        Export(subjects.direct_get(Bucket.POLICY, WORKLOAD_ENTRIES), Account.AGENTS),
        Export(subjects.direct_get(Bucket.POLICY), Account.AUTH),
        Export(subjects.last_of(Bucket.POLICY), Account.AUTH),
    )


def _system_exports() -> list[Export]:
    """What the trust plane may ask of the servers themselves."""
    return [
        Export(LIST_CONNECTIONS, Account.AUTH, streamed=True, owner=Account.SYS),
        Export(close_connection("*"), Account.AUTH, owner=Account.SYS),
    ]
