"""The small children every workload has, and the pod around it."""

import posixpath
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

from controller.api.names import ANNOTATION_REVISION, Component
from controller.api.resource import Resource
from controller.desired.merge import merged
from controller.desired.metadata import metadata
from controller.desired.render import manifest
from controller.model import ASSERTION, SERVER_TOKEN, Child, Manifest
from runtime.contract.auth_config import SERVER_AUDIENCE
from runtime.contract.txn_token import ASSERTION_AUDIENCE

AUDIENCE: Final = "k8gentai"
"""For whom the token that proves a workload's identity is good: the trust plane, nobody else."""
QUEUE_TOKEN: Final = MappingProxyType({"token": AUDIENCE})
"""What stands in the folder of a workload's identity, each file with the audience of its token."""
GRANTED_TOKENS: Final = MappingProxyType({**QUEUE_TOKEN, ASSERTION: ASSERTION_AUDIENCE})
"""The same of one that asks for transaction tokens, since not everybody is let in."""
ALL_TOKENS: Final = MappingProxyType({**GRANTED_TOKENS, SERVER_TOKEN: SERVER_AUDIENCE})
"""The same of one that asks a server, too, which wants to know who asks."""
HEALTH_PORT: Final = 8081


def service_account(name: str, owner: Resource, component: Component) -> Child:
    """The identity of a workload; no token is mounted but the one its pod asks for."""
    return Child(manifest("service_account.yaml.j2", metadata=metadata(name, owner, component)))


def config_map(name: str, owner: Resource, component: Component, data: Mapping[str, str]) -> Child:
    """What a workload is configured with: text by file name."""
    return Child(
        manifest("config_map.yaml.j2", metadata=metadata(name, owner, component), data=dict(data))
    )


def folder(file: str) -> str:
    """The folder a file is in."""
    return posixpath.dirname(file)


def with_pod_template(workload: Manifest, pod_template: Mapping[str, Any]) -> dict[str, Any]:
    """`workload` with the user's `podTemplate` merged last into its pod.

    The labels its selector goes by stay: without them Kubernetes refuses the workload.
    """
    spec = workload["spec"]
    template = merged(spec["template"], pod_template)
    labels = {**template["metadata"].get("labels", {}), **spec["template"]["metadata"]["labels"]}
    template = {**template, "metadata": {**template["metadata"], "labels": labels}}
    return {**workload, "spec": {**spec, "template": template}}


def with_revision(workload: Manifest, revision: str) -> Child:
    """`workload` with its pods marked by `revision`, so that a change of it rolls out."""
    spec = workload["spec"]
    pod = spec["template"]["metadata"]
    annotations = {**pod.get("annotations", {}), ANNOTATION_REVISION: revision}
    template = {**spec["template"], "metadata": {**pod, "annotations": annotations}}
    return Child({**workload, "spec": {**spec, "template": template}})


def image_of(children: Iterable[Child], container: str) -> str:
    """The image that the container of that name runs, "" if there is none among `children`."""
    for child in children:
        template = child.manifest.get("spec", {}).get("template", {})
        for one in template.get("spec", {}).get("containers", ()):
            if one["name"] == container:
                return str(one.get("image", ""))
    return ""
