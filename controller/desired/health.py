"""How workloads are, from what Kubernetes says of them and of their pods."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final, Self

from controller.api.conditions import ReadyReason
from controller.api.names import ANNOTATION_REVISION, LABEL_COMPONENT
from controller.model import Container, Health, Manifest, Pod

BACKING_OFF: Final = "CrashLoopBackOff"
CANNOT_START: Final = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
"""Reasons for which a container waits and that somebody has to do something about."""

BAD_CONFIGURATION: Final = 78
"""Exit code of a process of ours that cannot start because of what the user gave (`EX_CONFIG`)."""

MANY_RESTARTS: Final = 2
"""A container that is not ready after so many restarts is in a loop, backing off or not."""

WORST_FIRST: Final = (
    ReadyReason.CRASH_LOOP,
    ReadyReason.DEPENDENCY_NOT_READY,
    ReadyReason.PROGRESSING,
    ReadyReason.SCALED_TO_ZERO,
    ReadyReason.READY,
)


def worst(*parts: Health) -> Health:
    """What a user has to hear of several workloads; the first one among equals."""
    return min(parts, key=lambda part: WORST_FIRST.index(part.reason))


def workload_health(workload: Manifest | None, pods: Iterable[Pod], *, noun: str) -> Health:
    """How one Deployment or StatefulSet is.

    Args:
        workload: as observed, with its status; None while there is none.
        pods: of the same owner, of whichever of its workloads.
        noun: what one pod of it is called: "worker", "server".
    """
    if workload is None:
        return Health(ReadyReason.PROGRESSING, f"there is no {noun} yet", unknown=True)
    counts = _Counts.of(workload, noun)
    revision = (
        workload["spec"]["template"]["metadata"].get("annotations", {}).get(ANNOTATION_REVISION, "")
    )
    component = workload["metadata"]["labels"][LABEL_COMPONENT]
    own = [
        pod
        for pod in pods
        if (pod.component, pod.revision) == (component, revision) and not pod.deleting
    ]
    health = _trouble(own, counts) or counts.health
    is_stuck = bool(own) and not counts.ready and all(_is_stuck(pod) for pod in own)
    return replace(health, is_stuck=is_stuck)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Counts:
    noun: str
    wanted: int
    existing: int
    updated: int
    ready: int
    is_current: bool

    @classmethod
    def of(cls, workload: Manifest, noun: str) -> Self:
        status = workload.get("status", {})
        return cls(
            noun=noun,
            wanted=workload["spec"].get("replicas", 1),
            existing=status.get("replicas", 0),
            updated=status.get("updatedReplicas", 0),
            ready=status.get("readyReplicas", 0),
            is_current=status.get("observedGeneration", 0)
            >= workload["metadata"].get("generation", 0),
        )

    @property
    def health(self) -> Health:
        reason, message = self._statement()
        return Health(reason, message, replicas=self.existing, ready=self.ready)

    def _statement(self) -> tuple[ReadyReason, str]:
        noun, wanted = self.noun, self.wanted
        if not self.is_current:
            return ReadyReason.PROGRESSING, f"the {noun}s are being brought up to date"
        if wanted == 0 and self.existing:
            return ReadyReason.PROGRESSING, f"{self.existing} {_of(noun, self.existing)} to stop"
        if wanted == 0:
            return ReadyReason.SCALED_TO_ZERO, f"no {noun} runs, none is wanted; work is kept"
        if self.updated < wanted or self.existing > self.updated:
            done = min(self.updated, wanted)
            return ReadyReason.PROGRESSING, f"{done} of {wanted} {_of(noun, wanted)} up to date"
        if self.ready < wanted:
            return ReadyReason.PROGRESSING, f"{self.ready} of {wanted} {_of(noun, wanted)} ready"
        return ReadyReason.READY, f"{wanted} of {wanted} {_of(noun, wanted)} ready"


def _of(noun: str, count: int) -> str:
    return noun if count == 1 else f"{noun}s"


def _trouble(pods: Iterable[Pod], counts: _Counts) -> Health | None:
    """The worst of what the pods of the wanted revision say, if one of them is in trouble."""
    found = sorted(
        (health for pod in pods for health in _complaints(pod, counts)),
        key=lambda health: (WORST_FIRST.index(health.reason), not health.stalled),
    )
    return found[0] if found else None


def _complaints(pod: Pod, counts: _Counts) -> Iterator[Health]:
    serving = f"; {counts.ready} ready meanwhile" if counts.ready else ""

    def health(reason: ReadyReason, message: str, told: str, *, stalled: bool = False) -> Health:
        return Health(
            reason,
            f"{message}{serving}",
            f"{told}{serving}",
            replicas=counts.existing,
            ready=counts.ready,
            stalled=stalled,
        )

    if pod.unscheduled:
        message = f"no node takes {pod.name}: {pod.unscheduled}"
        yield health(ReadyReason.PROGRESSING, message, f"no node takes one of its {counts.noun}s")
    for container in pod.containers:
        name, waiting = container.name, container.waiting
        if _is_crashing(container):
            crash, is_bad = ReadyReason.CRASH_LOOP, container.exit_code == BAD_CONFIGURATION
            told = f"{name} stopped ({crash})"
            yield health(crash, _last_words(container, pod), told, stalled=is_bad)
        elif waiting in CANNOT_START:
            message = f"{name} cannot start: {container.message or waiting}"
            told = f"{name} cannot start ({waiting})"
            yield health(ReadyReason.DEPENDENCY_NOT_READY, message, told)
        elif container.restarts and not container.ready:
            message = f"{_last_words(container, pod)}; it is started again"
            yield health(ReadyReason.PROGRESSING, message, f"{name} is started again")


def _is_crashing(container: Container) -> bool:
    if container.ready:
        return False
    is_looping = container.waiting == BACKING_OFF or container.restarts >= MANY_RESTARTS
    return is_looping or container.exit_code == BAD_CONFIGURATION


def _is_stuck(pod: Pod) -> bool:
    """Whether a container of it waits to be tried again, or for somebody to act.

    One that runs may become ready, however often it ended before: restarts are never forgotten.
    """
    return any(
        container.waiting == BACKING_OFF
        or container.waiting in CANNOT_START
        or (bool(container.waiting) and container.exit_code == BAD_CONFIGURATION)
        for container in pod.containers
        if not container.ready
    )


def _last_words(container: Container, pod: Pod) -> str:
    if container.last_words:
        return f"{container.name} stopped: {container.last_words.strip()}"
    restarts = _of("restart", container.restarts)
    code = "" if container.exit_code is None else f" with exit code {container.exit_code}"
    return (
        f"{container.name} stopped{code} after {container.restarts} {restarts}; "
        f"its log says why: kubectl logs {pod.name} -c {container.name} --previous"
    )
