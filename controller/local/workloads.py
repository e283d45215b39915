"""A rendered Deployment or StatefulSet as local processes: scaled, rolled out, taken away."""

import asyncio
import itertools
import logging
import math
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from controller.api.names import ANNOTATION_REVISION, LABEL_COMPONENT
from controller.local.environments import ROOT, Environments, NoEnvironment
from controller.local.processes import Command, LocalPod, LocalProcess, backoff
from controller.local.programs import (
    WORKER,
    CannotRun,
    Program,
    SecretValue,
    drain_seconds,
    import_path,
    overrides,
    programs,
)
from controller.local.site import free_port
from controller.model import Image, Manifest, Pod

log = logging.getLogger(__name__)

BIN_BY_IMAGE: Final = {Image.NATS: Path(sys.executable).parent}


class Workload:
    """What keeps the processes of one manifest as the manifest says."""

    def __init__(
        self,
        root: Path,
        environments: Environments,
        secret: SecretValue,
        on_change: Callable[[], None],
    ) -> None:
        self._root = root
        self._environments = environments
        self._secret = secret
        self._on_change = on_change
        self._manifest: Manifest = {}
        self._generation = 0
        self._refused = ""
        self._pods: list[LocalPod] = []
        self._numbers = itertools.count()
        self._changed = asyncio.Event()
        self._converging = asyncio.create_task(self._converge_for_ever())

    def apply(self, manifest: Manifest) -> None:
        """Be as `manifest` says from now on."""
        self._manifest = manifest
        self._generation += 1
        self._changed.set()

    @property
    def pods(self) -> tuple[Pod, ...]:
        """What there is."""
        pods = tuple(pod.seen for pod in self._pods)
        return (*pods, self._refusal) if self._refused else pods

    @property
    def manifest(self) -> Manifest:
        """The manifest with the status a cluster would show."""
        replicas = [pod for pod in self._pods if not pod.stopping]
        status = {
            "observedGeneration": self._generation,
            "replicas": len(replicas),
            "updatedReplicas": sum(pod.revision == self._revision for pod in replicas),
            "readyReplicas": sum(pod.is_ready for pod in replicas),
        }
        metadata = {**self._manifest["metadata"], "generation": self._generation}
        return {**self._manifest, "metadata": metadata, "status": status}

    async def stop(self, most_seconds: float = math.inf) -> None:
        """End all of it; what has not ended in its grace, or in so many seconds, is killed."""
        self._converging.cancel()
        await asyncio.gather(self._converging, return_exceptions=True)
        await asyncio.gather(*(pod.stop(most_seconds) for pod in self._pods))
        self._pods.clear()

    @property
    def _refusal(self) -> Pod:
        """The pod that could not even be begun."""
        return LocalPod(
            name=self._manifest["metadata"]["name"],
            component=self.component,
            revision=self._revision,
            refused=self._refused,
        ).seen

    @property
    def component(self) -> str:
        """What it does."""
        return str(self._template["metadata"]["labels"].get(LABEL_COMPONENT, ""))

    @property
    def _template(self) -> Mapping[str, Any]:
        template: Mapping[str, Any] = self._manifest["spec"]["template"]
        return template

    @property
    def _revision(self) -> str:
        return str(self._template["metadata"].get("annotations", {}).get(ANNOTATION_REVISION, ""))

    @property
    def _old_goes_first(self) -> bool:
        strategy = self._manifest["spec"].get("strategy", {}).get("type")
        return bool(self._manifest["kind"] == "StatefulSet" or strategy == "Recreate")

    async def _converge_for_ever(self) -> None:
        failures = 0
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._converge()
            except OSError as error:
                name = self._manifest["metadata"]["name"]
                log.warning("cannot converge", extra={"workload": name, "error": str(error)})
                self._refused = f"{name} cannot be started: {error}"
                self._changed.set()  # nothing else would make us try again
            else:
                failures, self._refused = 0, ""
            self._on_change()
            if self._refused:
                await asyncio.sleep(backoff(failures))
                failures += 1

    async def _converge(self) -> None:
        wanted = int(self._manifest["spec"].get("replicas", 1))
        old = [pod for pod in self._pods if pod.revision != self._revision]
        if self._old_goes_first:
            await self._stop(old)
        new = [pod for pod in self._pods if pod.revision == self._revision]
        await self._stop(new[wanted:])
        for _ in range(wanted - len(new)):
            self._pods.append(await self._start())
        new = [pod for pod in self._pods if pod.revision == self._revision]
        if len([pod for pod in new if pod.is_ready]) >= wanted:
            await self._stop(old)

    async def _stop(self, pods: list[LocalPod]) -> None:
        await asyncio.gather(*(pod.stop() for pod in pods))
        self._pods = [pod for pod in self._pods if pod not in pods]

    async def _start(self) -> LocalPod:
        metadata = self._manifest["metadata"]
        name = f"{metadata['name']}-{next(self._numbers)}"
        pod = LocalPod(
            name=name,
            component=self.component,
            revision=self._revision,
        )
        folder = self._root / "pods" / metadata["namespace"] / name
        await asyncio.to_thread(folder.mkdir, parents=True, exist_ok=True)
        try:
            wanted = programs(self._template, name, self._secret, free_port)
            commands = [await self._command(program, folder) for program in wanted]
        except (CannotRun, NoEnvironment) as error:
            pod.refused = str(error)
            return pod
        pod.processes = [
            LocalProcess(program, command, self._changed.set)
            for program, command in zip(wanted, commands, strict=True)
        ]
        return pod

    async def _command(self, program: Program, folder: Path) -> Command:
        logs = self._root / "logs"
        await asyncio.to_thread(logs.mkdir, parents=True, exist_ok=True)
        termination_log = folder / f"{program.name}.termination"
        own = {}
        if program.image is not None:
            drain = {"K8GENTAI_DRAIN_SECONDS": str(drain_seconds(program.image))}
            is_users = program.name == WORKER
            path = import_path(str(ROOT), os.environ) if is_users else str(ROOT)
            own = overrides(str(termination_log), path) | drain
        return Command(
            argv=await self._argv(program),
            environment={**os.environ, **own, **program.environment},
            folder=folder,
            log_file=logs / f"{folder.name}.{program.name}.log",
            termination_log=termination_log,
        )

    async def _argv(self, program: Program) -> tuple[str, ...]:
        first, *rest = program.command
        if program.image is None:
            return program.command
        if program.image in BIN_BY_IMAGE:
            return (str(BIN_BY_IMAGE[program.image] / first), *rest)
        return (await self._environments.python(program.image), *rest)
