"""The operator in a cluster: settings, clients, ports, kopf.

There is one replica, replaced by stopping it first (`strategy: Recreate`), so nobody has to be
elected; and since every step is safe to repeat, even two at once would come to the same end.
"""

import asyncio
import contextlib
import logging
import signal
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import kopf
import uvloop
from prometheus_client import start_http_server

from controller.clients.jetstream import JetStream
from controller.clients.kubernetes import KubernetesCluster, NoCluster, connected
from controller.clients.nkeys import (
    account_seed,
    public_key,
    public_xkey,
    user_seed,
    xkey_seed,
)
from controller.clients.servers import HttpServers
from controller.clients.signing_keys import signing_key
from controller.clients.token_file import read_proof
from controller.desired.signing_keys import desired_keys
from controller.desired.trust import SIGNING_KEYS
from controller.errors import ReconcileError
from controller.handlers import handlers
from controller.handlers import settings as kopf_settings
from controller.logs import log_as_json
from controller.model import ClusterSite, Key, Progress, TrustKeys
from controller.reconcile import World, reconcile, reconcile_trust
from controller.reconcile.signing_keys import keep_signing_keys, reconcile_signing_keys
from controller.settings import Settings
from controller.wake import Wakes

log = logging.getLogger("controller")

TRUST_SECRET: Final = "k8gentai-trust-keys"  # noqa: S105 - its name
ACCOUNT_SEED: Final = "account.seed"
USER_SEED: Final = "user.seed"
XKEY_SEED: Final = "xkey.seed"
AGAIN_SECONDS: Final = 2.0
BAD_CONFIGURATION: Final = 78


def main() -> int:
    """Run the operator; gives its exit code."""
    try:
        settings = Settings.of()
    except ValueError as error:
        sys.stderr.write(f"error: {error}\n")
        return BAD_CONFIGURATION
    log_as_json(settings.log_level)
    if settings.metrics_port:
        start_http_server(settings.metrics_port, settings.host)
    try:
        uvloop.run(operate(settings))
    except NoCluster as error:
        log.error("cannot start: %s", error)  # noqa: TRY400 - a sentence
        return BAD_CONFIGURATION
    return 0


async def operate(settings: Settings) -> None:
    """Reconcile whatever there is, until asked to stop."""
    stopping = asyncio.Event()
    _stop_by_signal(stopping)
    operating = asyncio.create_task(_operate(settings, stopping))
    asked = asyncio.create_task(stopping.wait())
    await asyncio.wait((operating, asked), return_when=asyncio.FIRST_COMPLETED)
    log.info("stopping")
    asked.cancel()
    operating.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await operating


def _stop_by_signal(stopping: asyncio.Event) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)


async def _operate(settings: Settings, stopping: asyncio.Event) -> None:
    async with (
        connected() as cluster,
        JetStream(settings.operator, settings.token_file).running() as streams,
        HttpServers.running(settings.server_token_file) as servers,
    ):
        await _until(cluster.knows_our_kinds)
        site = await _until(lambda: cluster_site(settings, cluster))
        world = World(
            cluster=cluster,
            streams=streams,
            servers=servers,
            site=site,
            version=settings.version,
        )
        # Before it is told of its service: the trust plane has to find the keys that it names.
        keys = SecretKeys(cluster, settings.operator.namespace)
        await _until(lambda: reconcile_signing_keys(keys, signing_key, time.time()))
        # The trust plane is not ready before it has something to read, Stacks or not.
        await _until(lambda: reconcile_trust(world))

        async def step(key: Key, now: datetime) -> Progress:
            return await reconcile(key, world, now)

        log.info("operating", extra={"version": world.version, "namespace": site.namespace})
        async with _keeping(keys):
            await _run_kopf(Wakes(step, resync=settings.resync_seconds), settings, stopping)


@contextlib.asynccontextmanager
async def _keeping(keys: "SecretKeys") -> AsyncIterator[None]:
    keeping = asyncio.create_task(keep_signing_keys(keys, signing_key), name="signing keys")
    try:
        yield
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


@dataclass(frozen=True, slots=True)
class SecretKeys:
    """The keys in the trust plane's Secret, beside its seeds."""

    cluster: KubernetesCluster
    namespace: str

    async def read(self) -> str | None:
        """What is there."""
        return await self.cluster.read_secret(self.namespace, TRUST_SECRET, SIGNING_KEYS)

    async def write(self, text: str) -> None:
        """Replace it."""
        await self.cluster.write_secret(self.namespace, TRUST_SECRET, SIGNING_KEYS, text)


async def cluster_site(settings: Settings, cluster: KubernetesCluster) -> ClusterSite:
    """Where everything is in this cluster; the trust plane's keys are made if there are none.

    From then on `cluster` has its key for digests of Secrets.

    Raises:
        ClusterUnavailable: Kubernetes does not answer.
        OSError, NoProof: there is no token of the operator.
    """
    seeds = await cluster.secret(
        settings.operator.namespace,
        TRUST_SECRET,
        {
            ACCOUNT_SEED: account_seed,
            USER_SEED: user_seed,
            XKEY_SEED: xkey_seed,
            SIGNING_KEYS: _new_signing_keys,
        },
    )
    # Other digests would roll every server out that is given a Secret.
    cluster.digest_by(seeds[ACCOUNT_SEED])
    proof = await read_proof(settings.token_file)
    keys = TrustKeys(
        public_key(seeds[ACCOUNT_SEED]),
        public_key(seeds[USER_SEED]),
        public_xkey(seeds[XKEY_SEED]),
    )
    # Whoever has issued our own token issues everybody's.
    return settings.site(keys, proof.issuer)


def _new_signing_keys() -> str:
    """With the seeds: what is added to a Secret later takes a minute or more to reach a pod."""
    return desired_keys(None, signing_key, time.time()).encode().decode()


async def _run_kopf(wakes: Wakes, settings: Settings, stopping: asyncio.Event) -> None:
    host, port = settings.host, settings.health_port
    existing = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=handlers(wakes),
        settings=kopf_settings(),
        clusterwide=True,
        standalone=True,
        liveness_endpoint=f"http://{host}:{port}/live" if port else None,
    )
    # kopf has taken the signals; it would wait five seconds for every task of this process, even
    # for a connection's reader. Cancelled, it does not.
    _stop_by_signal(stopping)
    await kopf.run_tasks(tasks, ignored=existing)


async def _until[T](attempt: Callable[[], Awaitable[T]]) -> T:
    """What `attempt` gives, as soon as it gives anything."""
    while True:
        try:
            return await attempt()
        except (ReconcileError, OSError, ValueError) as error:
            log.warning("not yet", extra={"error": str(error)})
        await asyncio.sleep(AGAIN_SECONDS)


if __name__ == "__main__":
    sys.exit(main())
