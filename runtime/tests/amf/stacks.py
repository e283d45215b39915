"""Run configs of servers as the operator writes them, for the queue of a test."""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, override

from controller.api.stack import Stack
from controller.desired.server import run_config
from controller.model import SERVER_PORT, ClusterSite, Listen
from controller.tests.fakes import SITE
from runtime.amf.flavour import IS_OGX
from runtime.contract.agent_config import Queue
from runtime.contract.value import ObjectName


@dataclass(frozen=True, slots=True, kw_only=True)
class Here(ClusterSite):
    """This machine, with a queue that runs already and a folder for data."""

    queue: Queue
    folder: Path

    @override
    def queue_url(self, stack: ObjectName) -> str:
        return self.queue.url

    @override
    def server_listen(self, stack: ObjectName) -> Listen:
        return Listen("127.0.0.1", SERVER_PORT)  # the real one is told by the environment

    @override
    def token_file(self, service_account: ObjectName) -> str:
        return self.queue.token_file or ""

    @override
    def data_dir(self, workload: ObjectName) -> str:
        return str(self.folder)


def write_run_config(queue: Queue, folder: Path, **spec: Any) -> Path:
    """The run config of the Stack of `queue` with this spec, in a file in `folder`.

    The flavour is that of this environment.
    """
    metadata = {"namespace": queue.stack.namespace, "name": queue.stack.name}
    if IS_OGX:
        spec["server"] = spec.get("server", {}) | {"flavour": "OGX"}
    stack = Stack.model_validate({"metadata": metadata, "spec": spec})
    known = {field.name: getattr(SITE, field.name) for field in fields(SITE)}
    path = folder / "run.yaml"
    path.write_text(run_config(stack, Here(**known, queue=queue, folder=folder)))
    return path
