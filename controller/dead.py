"""`k8gentai dead`: what became of work that no worker will see again.

The stream DEAD is read as the operator, the one identity that may: on this machine with the token
in the folder of a running `k8gentai up`, in a cluster within the operator's own pod. So nobody gets
a new right, no token leaves its place, and who may look is who may `exec` there.
"""

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from controller.clients.jetstream import JetStream
from controller.desired.trust import TRUST_FILE, TRUST_NAME
from controller.letters import Letter, listed, shown
from controller.local.site import NAMESPACE, config_dir, token_file
from controller.model import Stored
from controller.ports import Cluster
from controller.settings import Settings
from runtime.contract.subjects import StackSubjects, Stream
from runtime.contract.trust_config import TrustConfig, TrustedStack
from runtime.contract.value import ObjectName

IN_A_CLUSTER: Final = (
    f"kubectl exec -n {NAMESPACE} deploy/k8gentai-operator -- python -m controller.cli dead list"
)

type Say = Callable[[str], None]


class NoLetter(Exception):
    """There is nothing to show; the message says what to name instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadOptions:
    """What `dead` is to do.

    Shape:
        letter  the one to show, or None to list the newest, at most `most`.
        stack   None if there is just one.
        state   the folder of a running `k8gentai up`, or None in the operator's pod.
    """

    letter: int | None
    stack: ObjectName | None
    state: Path | None
    most: int


@dataclass(frozen=True, slots=True)
class Installation:
    """Where the queues are, and the proof of whoever may look into them."""

    config: TrustConfig
    token_file: Path


async def dead(options: DeadOptions, say: Say, tell: Say) -> None:
    """Tell what was asked for, line by line; `say` gets what is to be said beside it.

    Raises:
        NoLetter: there is no such Stack or letter, or nothing to ask.
        ReconcileError: the queue or the cluster did not answer.
    """
    installation = await _installation(options.state)
    stack = _stack(installation.config, options.stack)
    subjects = StackSubjects(stack.stack)
    stream = subjects.stream(Stream.DEAD)
    streams = JetStream(installation.config.operator, installation.token_file)
    async with streams.running():
        if options.letter is not None:
            stored = await streams.stored_at(stack.url, stream, options.letter)
            _tell_one(stored, options.letter, subjects, tell)
        else:
            await _tell_all(streams.stored(stack.url, stream), options.most, subjects, say, tell)


def _tell_one(stored: Stored | None, letter: int, subjects: StackSubjects, tell: Say) -> None:
    if stored is None:
        raise NoLetter(
            f"{subjects.stack} has no dead letter {letter}; `k8gentai dead list` shows which there "
            "are, and spec.retention.deadLetterSeconds of the Stack says how long"
        )
    try:
        found = Letter.of(stored, subjects)
    except ValueError as error:
        raise NoLetter(f"{letter} cannot be read: {error}") from error
    for line in shown(found):
        tell(line)


async def _tell_all(
    found: AsyncIterator[Stored], most: int, subjects: StackSubjects, say: Say, tell: Say
) -> None:
    letters: list[Letter] = []
    is_empty = True
    async for stored in found:
        if len(letters) == most:
            say(f"there are older ones than these {most}; --limit shows more")
            break
        is_empty = False
        try:
            # Without its message, or thousands of large ones would be held at once.
            letters.append(Letter.of(replace(stored, data=b""), subjects))
        except ValueError as error:
            say(f"{stored.sequence} cannot be read: {error}")
    if is_empty:
        say(f"{subjects.stack} has no dead letters")
    for line in listed(letters) if letters else ():
        tell(line)


def _stack(config: TrustConfig, wanted: ObjectName | None) -> TrustedStack:
    """The Stack that is meant.

    Raises:
        NoLetter: it is not there, or one has to be named.
    """
    found = [one for one in config.stacks if wanted in {None, one.stack}]
    if len(found) == 1:
        return found[0]
    there = ", ".join(str(one.stack) for one in config.stacks) or "none"
    problem = f"there is no Stack {wanted}" if wanted else "no Stack is named"
    raise NoLetter(f"{problem}: --stack takes one of those there are: {there}")


async def _installation(state: Path | None) -> Installation:
    if state is not None:
        return await asyncio.to_thread(on_this_machine, state)
    settings = in_the_pod(os.environ)
    from controller.clients.kubernetes import connected  # noqa: PLC0415 - `up` need not wait for it

    async with connected() as cluster:
        return await in_a_cluster(settings, cluster)


def on_this_machine(state: Path) -> Installation:
    """The platform whose folder is `state`.

    Raises:
        NoLetter: it is no such folder.
    """
    file = config_dir(state, ObjectName(namespace=NAMESPACE, name=TRUST_NAME)) / TRUST_FILE
    try:
        config = TrustConfig.decode(file.read_text())
    except (OSError, ValueError) as error:
        raise NoLetter(
            f"nothing runs with the state folder {state}: `k8gentai up` says on its screen which "
            "folder is its own (--state; make: STATE=), while it runs"
        ) from error
    return Installation(config, token_file(state, config.operator))


def in_the_pod(environment: Mapping[str, str]) -> Settings:
    """What the operator's pod says of itself.

    Raises:
        NoLetter: this is no such pod.
    """
    try:
        return Settings.of(environment)
    except ValueError as error:
        raise NoLetter(
            "there is nothing to ask here: name the folder of a running `k8gentai up` with "
            f"--state; in a cluster, run `{IN_A_CLUSTER}`"
        ) from error


async def in_a_cluster(settings: Settings, cluster: Cluster) -> Installation:
    """The installation whose operator this is.

    Raises:
        NoLetter: it has not been set up yet.
        ClusterUnavailable: Kubernetes does not answer.
    """
    data = await cluster.config_map(settings.operator.namespace, TRUST_NAME) or {}
    if TRUST_FILE not in data:
        raise NoLetter(f"the ConfigMap {TRUST_NAME} is not there yet; see the operator's log")
    return Installation(TrustConfig.decode(data[TRUST_FILE]), settings.token_file)
