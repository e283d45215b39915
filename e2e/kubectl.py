"""The cluster under test, as kubectl shows it."""

import contextlib
import json
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

type Body = dict[str, Any]

LOOK_AGAIN_SECONDS = 0.2


class KubectlFailed(Exception):
    """kubectl could not do what it was told; the message is its own."""


def run(*words: str, given: str = "") -> subprocess.CompletedProcess[str]:
    """What came of a kubectl command."""
    command = ["kubectl", *words]
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False)


def kubectl(*words: str, given: str = "") -> str:
    """What kubectl prints.

    Raises:
        KubectlFailed: it exits with an error.
    """
    done = run(*words, given=given)
    if done.returncode:
        raise KubectlFailed(f"kubectl {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout


def until[T](look: Callable[[], T | None], what: str, seconds: float = 60) -> T:
    """The first thing that `look` finds.

    Raises:
        AssertionError: it found nothing in time; the message says what was waited for.
    """
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(LOOK_AGAIN_SECONDS)
    raise AssertionError(f"not within {seconds:g} s: {what}")


@dataclass(frozen=True, slots=True)
class Namespace:
    """One namespace and what is in it; `what` is always `kind/name`."""

    name: str

    def kubectl(self, *words: str, given: str = "") -> str:
        """What kubectl prints of this namespace."""
        return kubectl("--namespace", self.name, *words, given=given)

    def apply(self, *bodies: Body) -> str:
        """Make the objects so."""
        everything = {"apiVersion": "v1", "kind": "List", "items": list(bodies)}
        return self.kubectl("apply", "-f", "-", given=json.dumps(everything))

    def apply_folder(self, folder: str) -> None:
        """Make so what a folder with a kustomization says."""
        self.kubectl("apply", "-k", folder)

    def patch(self, what: str, spec: Body) -> None:
        """Change a part of a spec."""
        self.kubectl("patch", what, "--type=merge", "-p", json.dumps({"spec": spec}))

    def get(self, what: str) -> Body:
        """An object as it is."""
        found: Body = json.loads(self.kubectl("get", what, "-o=json"))
        return found

    def find(self, what: str) -> Body | None:
        """An object as it is; None if there is none."""
        found = self.kubectl("get", what, "--ignore-not-found", "-o=json")
        return json.loads(found) if found else None

    def every(self, kinds: str, labels: str = "") -> list[Body]:
        """All objects of some kinds, or those with these labels."""
        found = json.loads(self.kubectl("get", kinds, "-o=json", f"--selector={labels}"))
        items: list[Body] = found["items"]
        return items

    def delete(self, *what: str, seconds: int = 60) -> None:
        """Take objects away, and wait until they are gone."""
        self.kubectl("delete", *what, f"--timeout={seconds}s")

    def wait_ready(self, *what: str, seconds: int = 90) -> None:
        """Wait as a user does."""
        self.kubectl("wait", "--for=condition=Ready", f"--timeout={seconds}s", *what)

    def condition(self, what: str, kind: str) -> Body | None:
        """A condition of the newest generation; None while there is none."""
        found = self.find(what) or {"metadata": {"generation": 0}}
        for one in found.get("status", {}).get("conditions", []):
            is_new = one["observedGeneration"] == found["metadata"]["generation"]
            if one["type"] == kind and is_new:
                return dict(one)
        return None

    def wait_reason(self, what: str, kind: str, reason: str, *, seconds: float = 60) -> Body:
        """The condition, once it has this reason."""
        seen: list[Body] = []

        def fitting() -> Body | None:
            found = self.condition(what, kind)
            if found is not None:
                seen[:] = [found]
            return found if found is not None and found["reason"] == reason else None

        try:
            return until(fitting, f"{what} has {kind} for {reason}", seconds)
        except AssertionError as error:
            raise AssertionError(f"{error}; last seen: {seen}") from None

    def events(self, what: str) -> list[tuple[str, str, str]]:
        """Type, reason and message of the Events about an object."""
        kind, _, name = what.partition("/")
        about = f"--field-selector=involvedObject.name={name}"
        found: list[Body] = json.loads(self.kubectl("get", "events", "-o=json", about))["items"]
        return [
            (one["type"], one["reason"], one["message"])
            for one in found
            if one["involvedObject"]["kind"].lower() == kind
        ]

    def python(self, what: str, script: str, *arguments: str) -> str:
        """What a Python script prints that runs in the first container of a pod."""
        return self.kubectl("exec", what, "--", "python", "-c", script, *arguments)

    @contextlib.contextmanager
    def reached(self, service: str, port: int) -> Iterator[str]:
        """`host:port` of a Service from this machine: directly where the network is the same,
        else forwarded by kubectl to one of its pods.
        """
        address = self.get(f"service/{service}")["spec"]["clusterIP"]
        if _answers(address, port):
            yield f"{address}:{port}"
            return
        command = ["kubectl", "-n", self.name, "port-forward", f"service/{service}", f":{port}"]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as forwarding:
            try:
                assert forwarding.stdout is not None
                local = forwarding.stdout.readline().split(" -> ")[0].rpartition(":")[2]
                yield f"127.0.0.1:{local}"
            finally:
                forwarding.terminate()


def _answers(host: str, port: int) -> bool:
    """Whether anything listens; a cluster that is elsewhere does not even refuse."""
    try:
        with socket.create_connection((host, port), timeout=2):
            return True
    except OSError:
        return False
