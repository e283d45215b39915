"""Embedded mode: the second composition root, which knows everyone."""

import asyncio
import contextlib
import fcntl
import logging
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Final

from controller.api.names import LABEL_OWNER_KIND, Kind
from controller.api.stack import Flavour
from controller.clients.jetstream import JetStream
from controller.clients.servers import HttpServers
from controller.clients.signing_keys import signing_key
from controller.desired.agent import IMAGE_BY_FRAMEWORK
from controller.desired.server import IMAGE_BY_FLAVOUR
from controller.local.aside import FolderKeys, stand_in_model, trust_keys, trust_plane
from controller.local.ask import NoAnswer, a_sum, ask
from controller.local.cluster import LocalCluster
from controller.local.environments import Environments
from controller.local.issuer import LocalIssuer
from controller.local.keeping import Keeping
from controller.local.manifests import BadManifest, Manifests, read_manifests
from controller.local.screen import Screen
from controller.local.site import (
    EmbeddedSite,
    ModelEndpoint,
    Ports,
    free_port,
    is_free,
    server_port,
)
from controller.local.stopping import TURNS, tell_unfinished
from controller.logs import JsonLines
from controller.model import Child, Image, Key, Manifest, Progress
from controller.reconcile.agent import reconcile_agent
from controller.reconcile.identity_policy import reconcile_identity_policy
from controller.reconcile.signing_keys import keep_signing_keys, reconcile_signing_keys
from controller.reconcile.stack import reconcile_stack
from controller.reconcile.tool import reconcile_tool
from controller.reconcile.world import World
from controller.wake import Wakes

log = logging.getLogger(__name__)

AUDIENCE: Final = "k8gentai"
READY_SECONDS: Final = 180.0
STARTING_SECONDS: Final = 60.0  # in which nothing has to be ready quickly
ANNOTATION_EXAMPLE: Final = "k8gentai.dev/example"  # what an Agent may well be asked
NEUTRAL: Final = "What can you do for me?"
RESYNC_SECONDS: Final = 10.0  # what was changed by hand is repaired
LOOK_SECONDS: Final = 1.0  # between two looks at the folder, for what was edited
VERSION: Final = "embedded"
RECONCILE: Final = {
    Kind.STACK: reconcile_stack,
    Kind.AGENT: reconcile_agent,
    Kind.TOOL: reconcile_tool,
    Kind.IDENTITY_POLICY: reconcile_identity_policy,
}


class Failed(Exception):
    """It did not work out; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Options:
    """What `up` is to do.

    Shape:
        port      of the first Stack's server; 0 for any that is free.
        question  None: run until stopped; else ask it, show the answer and stop ("" is a sum).
        model     the user's own endpoint in place of the stand-in, or None.
        state     folder that outlives the run, or None for one that goes with it.
    """

    folder: Path
    port: int
    question: str | None = None
    model: ModelEndpoint | None = None
    state: Path | None = None


async def up(options: Options) -> None:
    """Run the manifests of a folder on this machine until asked to stop.

    Raises:
        BadManifest: the folder cannot be used.
        Failed: something did not get ready, or gave no answer.
    """
    manifests = read_manifests(options.folder)
    if options.port and not is_free(options.port):
        raise Failed(f"port {options.port} is in use; choose another one with --port (make: PORT=)")
    screen = Screen()
    with contextlib.ExitStack() as stack:
        root = options.state or Path(
            stack.enter_context(tempfile.TemporaryDirectory(prefix="k8gentai-"))
        )
        stack.enter_context(held(root))
        _log_to(root / "logs")
        async with _Platform(options, manifests, screen, root.resolve()).running() as platform:
            await platform.until_ready()
            if options.question is None:
                await platform.until_stopped()
            else:
                await platform.answer(options.question)
    screen.say("everything is stopped")


class _Platform:
    """What runs, and the hands that keep it running."""

    def __init__(self, options: Options, manifests: Manifests, screen: Screen, root: Path) -> None:
        self._options = options
        self._manifests = manifests
        self._screen = screen
        self._stop = asyncio.Event()
        self._issuer = LocalIssuer(AUDIENCE)
        self._model_port = free_port()
        stacks = [key.object_name for key in manifests.objects if key.kind is Kind.STACK]
        self._site = EmbeddedSite(
            root=root,
            issuers=(self._issuer.trusted(),),
            trust_keys=trust_keys(root / "trust-keys"),
            model=options.model or ModelEndpoint(f"http://127.0.0.1:{self._model_port}/v1"),
            ports=Ports({server_port(name): options.port or free_port() for name in stacks[:1]}),
        )
        self._environments = Environments(screen.say)
        self._cluster = LocalCluster(
            self._site,
            self._environments,
            self._issuer,
            on_change=self._changed,
            on_report=self._report,
        )
        self._wakes = Wakes(self._reconcile, resync=RESYNC_SECONDS)
        self._keeping = Keeping(self._wakes, self._gone)
        self._world: World | None = None
        self._began = time.monotonic()
        self._said_where = self._said_whom = False

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator["_Platform"]:
        """Everything started; whatever happens, nothing of it is left afterwards."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop.set)
        operator = self._site.operator
        self._cluster.write_token(operator)
        token_file = Path(self._site.token_file(operator))
        async with (
            JetStream(operator, token_file).running() as streams,
            HttpServers.running(Path(self._site.server_token_file(operator))) as servers,
        ):
            self._world = World(
                cluster=self._cluster,
                streams=streams,
                servers=servers,
                site=self._site,
                version=VERSION,
            )
            making = [asyncio.create_task(self._environments.python(i)) for i in self._images()]
            keys = FolderKeys(Path(self._site.seeds_dir))
            await reconcile_signing_keys(keys, signing_key, time.time())
            keeping = [
                asyncio.create_task(keep_signing_keys(keys, signing_key)),
                asyncio.create_task(self._cluster.renew_tokens()),
                asyncio.create_task(self._follow_folder()),
            ]
            try:
                await self._start()
                yield self
            finally:
                self._screen.say("stopping")
                for task in (*keeping, *making):
                    task.cancel()
                await asyncio.gather(*keeping, *making, return_exceptions=True)
                await self._keeping.stop()
                await self._stop_in_turns(self._world)

    async def until_ready(self) -> None:
        """Wait until every object is Ready; meanwhile say how to use what is.

        Raises:
            Failed: one is not, in time; the message is its own word on why.
        """
        end = time.monotonic() + READY_SECONDS
        while not self._stop.is_set():
            waiting = [key for key in self._manifests.objects if not self._screen.is_ready(key)]
            stalled = [key for key in waiting if self._screen.is_stalled(key)]
            if self._options.question is None:
                self._introduce()
            elif stalled or time.monotonic() > end:
                raise Failed(self._screen.why_not((stalled or waiting)[0]))
            if not waiting:
                return
            self._screen.tell_lasting(starting=time.monotonic() - self._began < STARTING_SECONDS)
            await asyncio.sleep(0.05)

    async def until_stopped(self) -> None:
        """Say when something is wrong for long, and wait for Ctrl-C."""
        if self._stop.is_set():
            return  # it was asked to stop before it was ready
        stack = next((key for key in self._manifests.objects if key.kind is Kind.STACK), None)
        at = f" {self._site.server_url(stack.object_name)}" if stack else ""
        self._screen.say(f"ready{at}")
        while not self._stop.is_set():
            self._screen.tell_lasting(starting=False)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), LOOK_SECONDS)

    def _introduce(self) -> None:
        """Say where the first Stack is once it can be reached, then whom of it to ask."""
        objects = self._manifests.objects
        stack = next((key for key in objects if key.kind is Kind.STACK), None)
        if not self._said_where and stack is not None and self._screen.is_ready(stack):
            self._said_where = True
            self._screen.say(f"serving {self._site.server_url(stack.object_name)}")
            self._screen.say(f"dead letters: make dead STATE={self._site.root}")
            self._screen.say(f"what went on in detail: {self._site.root / 'logs'}, first up.log")
            self._screen.say("Ctrl-C stops everything")
        if self._said_where and not self._said_whom:
            agents = (key for key in objects if key.kind is Kind.AGENT)
            agent = next((key for key in agents if self._screen.is_ready(key)), None)
            if agent is not None:
                self._said_whom = True
                annotations = objects[agent]["metadata"].get("annotations") or {}
                question = annotations.get(ANNOTATION_EXAMPLE, NEUTRAL)
                spec = objects[self._stack_of(agent)].get("spec") or {}
                has_auth = spec.get("auth") is not None
                self._screen.show_curl(self._url(agent), agent.name, question, has_auth=has_auth)

    async def answer(self, question: str) -> None:
        """Ask the first agent and show what it says.

        Raises:
            Failed: there is no agent, or it gave no answer.
        """
        agent = next((key for key in self._manifests.objects if key.kind is Kind.AGENT), None)
        if self._stop.is_set():
            raise Failed("stopped before there was an answer")
        if agent is None:
            raise Failed("there is no Agent to ask; add one, or leave out --ask")
        asked, expected = (question, None) if question else a_sum()
        self._screen.say(f"asking {agent.name}: {asked}")
        try:
            text = await ask(self._url(agent), agent.name, asked, self._screen.piece)
        except NoAnswer as error:
            raise Failed(f"{agent.name} gave no answer: {error}") from error
        self._screen.piece("\n")
        if expected is not None and expected not in text:
            raise Failed(f"the answer is wrong, {expected} would be right")

    async def _start(self) -> None:
        if not any(key.kind is Kind.STACK for key in self._manifests.objects):
            self._screen.say(
                f"there is no Stack in {self._options.folder}, so nobody can be asked; add one, as "
                "in config/samples/quickstart/stack.yaml"
            )
        self._keeping.take(self._cluster.take(self._manifests))
        await self._cluster.apply(Child(trust_plane(self._site)), force=True)
        if self._options.model is None:
            self._screen.say("the model is a stand-in, no language model (see MODEL_BASE_URL)")
            stand_in = stand_in_model(self._site, self._model_port)
            await self._cluster.apply(Child(stand_in), force=True)

    async def _stop_in_turns(self, world: World) -> None:
        agents = [key for key in self._manifests.objects if key.kind is Kind.AGENT]
        telling = asyncio.create_task(tell_unfinished(world, agents, self._screen.say))
        try:
            for turn in TURNS:
                await self._cluster.stop(turn)
                telling.cancel()  # the workers, which are what takes long, are the first to go
        finally:
            telling.cancel()
            await asyncio.gather(telling, return_exceptions=True)

    def _images(self) -> list[Image]:
        """What will be needed, so that nothing waits for the other's environment."""
        frameworks = {
            body["spec"].get("framework")
            for key, body in self._manifests.objects.items()
            if key.kind is Kind.AGENT
        }
        flavours = {
            body["spec"].get("server", {}).get("flavour", Flavour.LLAMA_STACK)
            for key, body in self._manifests.objects.items()
            if key.kind is Kind.STACK
        }
        workers = [image for name, image in IMAGE_BY_FRAMEWORK.items() if name in frameworks]
        servers = [image for name, image in IMAGE_BY_FLAVOUR.items() if name in flavours]
        return [*servers, Image.RUNTIME, *workers]

    async def _reconcile(self, key: Key, now: datetime) -> Progress:
        if self._world is None:
            raise Failed("nothing is running yet")
        return await RECONCILE[key.kind](key, self._world, now)

    def _changed(self, workload: Manifest) -> None:
        """A process came or went: its owner looks; the trust plane's is everybody's affair."""
        labels = workload["metadata"].get("labels", {})
        self._wakes.wake_owner(labels)
        if LABEL_OWNER_KIND not in labels:
            for key in self._manifests.objects:
                self._wakes.wake(key)

    def _gone(self, key: Key) -> None:
        self._cluster.forget(key)
        self._screen.gone(key)

    def _report(self, key: Key, body: Manifest) -> None:
        self._screen.report(key, body["status"])
        self._wakes.seen(key, body)

    async def _follow_folder(self) -> None:
        """What is edited takes effect; what cannot be used is told and changes nothing."""
        told = ""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            try:
                found = await asyncio.to_thread(read_manifests, self._options.folder)
            except BadManifest as error:
                if str(error) != told:
                    self._screen.say(f"what runs stays as it is: {error}")
                told = str(error)
                continue
            if told:
                self._screen.say(f"{self._options.folder} can be used again")
            told = ""
            if found.digest != self._manifests.digest:
                self._manifests = found
                self._keeping.take(self._cluster.take(found))

    def _url(self, agent: Key) -> str:
        return self._site.server_url(self._stack_of(agent).object_name)

    def _stack_of(self, agent: Key) -> Key:
        ref = self._manifests.objects[agent]["spec"]["stackRef"]
        return Key(Kind.STACK, ref.get("namespace", agent.namespace), ref["name"])


@contextlib.contextmanager
def held(state: Path) -> Iterator[None]:
    """Keep a state folder for ourselves: two queues on one store would destroy it.

    Raises:
        Failed: somebody else holds it.
    """
    state.mkdir(parents=True, exist_ok=True)
    with (state / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Failed(
                f"{state} is in use by another `up`; stop that one, or choose another folder with "
                "--state (make: STATE=)"
            ) from error
        yield


def _log_to(folder: Path) -> None:
    """What this process itself has to say beside the screen."""
    folder.mkdir(parents=True, exist_ok=True)
    file = logging.FileHandler(folder / "up.log")
    file.setFormatter(JsonLines())
    logging.basicConfig(handlers=[file], level=logging.INFO, force=True)
