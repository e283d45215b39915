"""What the operator is told by its environment in a cluster, read once and passed down."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Self

from controller.model import ClusterSite, TrustKeys
from runtime.contract.trust_config import Issuer
from runtime.contract.value import ObjectName

IMAGE_PREFIX = "localhost/k8gentai"
IMAGE_TAG = "dev"
RESYNC_SECONDS = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one operator.

    Shape:
        namespace, service_account   of the operator itself; the trust plane is in the same one.
        image_prefix, image_tag      `<prefix>/<program>:<tag>` is the image of a program of ours.
        version                      of this distribution.

    Units:
        `resync_seconds` after which every object is looked at, woken or not.
    """

    namespace: str
    service_account: str
    image_prefix: str
    image_tag: str
    resync_seconds: float
    version: str

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings in `environment`.

        Raises:
            ValueError: one makes no sense; the message names it.
        """
        resync = environment.get("K8GENTAI_RESYNC_SECONDS", str(RESYNC_SECONDS))
        try:
            seconds = float(resync)
        except ValueError as error:
            message = f"K8GENTAI_RESYNC_SECONDS is {resync!r}; it has to be a number"
            raise ValueError(message) from error
        return cls(
            namespace=environment.get("K8GENTAI_NAMESPACE", "k8gentai-system"),
            service_account=environment.get("K8GENTAI_SERVICE_ACCOUNT", "k8gentai-operator"),
            image_prefix=environment.get("K8GENTAI_IMAGE_PREFIX", IMAGE_PREFIX),
            image_tag=environment.get("K8GENTAI_IMAGE_TAG", IMAGE_TAG),
            resync_seconds=seconds,
            version=version("k8gentai"),
        )

    def site(self, trust_keys: TrustKeys, issuers: tuple[Issuer, ...]) -> ClusterSite:
        """Where everything is in this cluster."""
        return ClusterSite(
            namespace=self.namespace,
            operator=ObjectName(namespace=self.namespace, name=self.service_account),
            trust_keys=trust_keys,
            issuers=issuers,
            image_prefix=self.image_prefix,
            image_tag=self.image_tag,
        )
