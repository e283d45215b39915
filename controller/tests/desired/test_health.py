from typing import Any

import pytest

from controller.api.conditions import ReadyReason
from controller.api.names import ANNOTATION_REVISION, LABEL_COMPONENT
from controller.desired.health import workload_health, worst
from controller.model import Container, Health, Manifest, Pod


def workload(
    wanted: int = 1, existing: int = 1, updated: int = 1, ready: int = 1, observed: int = 1
) -> Manifest:
    template = {"metadata": {"annotations": {ANNOTATION_REVISION: "r2"}}}
    return {
        "metadata": {"generation": 1, "labels": {LABEL_COMPONENT: "worker"}},
        "spec": {"replicas": wanted, "template": template},
        "status": {
            "observedGeneration": observed,
            "replicas": existing,
            "updatedReplicas": updated,
            "readyReplicas": ready,
        },
    }


def pod(*containers: Container, revision: str = "r2", **facts: Any) -> Pod:
    return Pod(name="math-1", component="worker", revision=revision, containers=containers, **facts)


COUNTS = [
    ((1, 1, 1, 1), ReadyReason.READY, "1 of 1 worker ready"),
    ((3, 3, 3, 3), ReadyReason.READY, "3 of 3 workers ready"),
    ((3, 3, 3, 1), ReadyReason.PROGRESSING, "1 of 3 workers ready"),
    ((3, 3, 1, 3), ReadyReason.PROGRESSING, "1 of 3 workers up to date"),
    ((1, 2, 1, 1), ReadyReason.PROGRESSING, "1 of 1 worker up to date"),
    ((1, 0, 0, 0), ReadyReason.PROGRESSING, "0 of 1 worker up to date"),
    ((0, 0, 0, 0), ReadyReason.SCALED_TO_ZERO, "no worker runs, none is wanted; work is kept"),
    ((0, 2, 2, 2), ReadyReason.PROGRESSING, "2 workers to stop"),
    ((0, 1, 1, 1), ReadyReason.PROGRESSING, "1 worker to stop"),
]


@pytest.mark.parametrize(("counts", "reason", "message"), COUNTS)
def test_what_the_counts_say(
    counts: tuple[int, int, int, int], reason: ReadyReason, message: str
) -> None:
    health = workload_health(workload(*counts), (), noun="worker")

    assert (health.reason, health.message, health.told) == (reason, message, None)
    assert (health.replicas, health.ready) == (counts[1], counts[3])


def test_an_edit_kubernetes_has_not_seen_yet_is_not_ready() -> None:
    health = workload_health(workload(observed=0), (), noun="worker")

    assert health.reason is ReadyReason.PROGRESSING


def test_without_a_workload_nobody_can_tell() -> None:
    health = workload_health(None, (), noun="worker")

    assert (health.unknown, health.message) == (True, "there is no worker yet")


LOOPING = Container(name="worker", ready=False, restarts=3, waiting="CrashLoopBackOff")
TROUBLE = [
    pytest.param(
        pod(
            Container(
                name="worker",
                ready=False,
                restarts=1,
                exit_code=78,
                last_words="spec.source.module.entrypoint: no module named 'maths'; check it\n",
            )
        ),
        ReadyReason.CRASH_LOOP,
        "worker stopped: spec.source.module.entrypoint: no module named 'maths'; check it",
        "worker stopped (CrashLoop)",
        True,
        id="what the user gave cannot start: at once, in the program's own words",
    ),
    pytest.param(
        pod(LOOPING),
        ReadyReason.CRASH_LOOP,
        "worker stopped after 3 restarts; its log says why: "
        "kubectl logs math-1 -c worker --previous",
        "worker stopped (CrashLoop)",
        False,
        id="a loop without last words",
    ),
    pytest.param(
        pod(Container(name="worker", ready=False, restarts=2, exit_code=137)),
        ReadyReason.CRASH_LOOP,
        "worker stopped with exit code 137 after 2 restarts; its log says why: "
        "kubectl logs math-1 -c worker --previous",
        "worker stopped (CrashLoop)",
        False,
        id="again and again",
    ),
    pytest.param(
        pod(
            Container(
                name="worker",
                ready=False,
                waiting="ImagePullBackOff",
                message='Back-off pulling image "x"',
            )
        ),
        ReadyReason.DEPENDENCY_NOT_READY,
        'worker cannot start: Back-off pulling image "x"',
        "worker cannot start (ImagePullBackOff)",
        False,
        id="no image",
    ),
    pytest.param(
        pod(Container(name="worker", ready=False, waiting="CreateContainerConfigError")),
        ReadyReason.DEPENDENCY_NOT_READY,
        "worker cannot start: CreateContainerConfigError",
        "worker cannot start (CreateContainerConfigError)",
        False,
        id="a reason without a sentence",
    ),
    pytest.param(
        pod(Container(name="worker", ready=False, restarts=1, exit_code=137)),
        ReadyReason.PROGRESSING,
        "worker stopped with exit code 137 after 1 restart; its log says why: "
        "kubectl logs math-1 -c worker --previous; it is started again",
        "worker is started again",
        False,
        id="once",
    ),
    pytest.param(
        pod(unscheduled="0/1 nodes are available: insufficient cpu."),
        ReadyReason.PROGRESSING,
        "no node takes math-1: 0/1 nodes are available: insufficient cpu.",
        "no node takes one of its workers",
        False,
        id="no node",
    ),
]


@pytest.mark.parametrize(("seen", "reason", "message", "told", "stalled"), TROUBLE)
def test_what_a_pod_in_trouble_says_and_what_clients_are_told(
    seen: Pod, reason: ReadyReason, message: str, told: str, *, stalled: bool
) -> None:
    health = workload_health(workload(ready=0), (seen,), noun="worker")

    assert (health.reason, health.message, health.stalled) == (reason, message, stalled)
    assert health.told == told


def test_old_workers_that_still_serve_are_mentioned() -> None:
    seen = workload(wanted=1, existing=2, updated=1, ready=1)

    health = workload_health(seen, (pod(LOOPING),), noun="worker")

    assert health.reason is ReadyReason.CRASH_LOOP
    assert health.message.endswith("; 1 ready meanwhile")
    assert health.told == "worker stopped (CrashLoop); 1 ready meanwhile"


IGNORED = [
    pytest.param(pod(LOOPING, revision="r1"), id="of an older revision"),
    pytest.param(pod(LOOPING, deleting=True), id="on its way out"),
    pytest.param(
        Pod(name="x", component="server", revision="r2", containers=(LOOPING,)),
        id="of another workload",
    ),
    pytest.param(
        pod(Container(name="worker", ready=False, restarts=1, exit_code=137)), id="crashed once"
    ),
    pytest.param(
        pod(Container(name="worker", ready=True, restarts=9, exit_code=1)), id="well again"
    ),
]


@pytest.mark.parametrize("seen", IGNORED)
def test_what_says_nothing_about_the_wanted_revision(seen: Pod) -> None:
    health = workload_health(workload(ready=0), (seen,), noun="worker")

    assert health.reason is ReadyReason.PROGRESSING


def test_the_worst_speaks_and_among_equals_the_first() -> None:
    good = Health(ReadyReason.READY, "good")
    slow, slower = (Health(ReadyReason.PROGRESSING, message) for message in ("slow", "slower"))
    broken = Health(ReadyReason.CRASH_LOOP, "broken")

    assert worst(good, slow, slower) is slow
    assert worst(slow, broken, good) is broken
