"""What the operator is told by its environment, read once."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from ipaddress import ip_network
from pathlib import Path
from typing import Final, Self

from controller.model import (
    SERVER_TOKEN,
    TOKEN_DIR,
    TRUST_DOMAIN,
    ClusterSite,
    Network,
    Spire,
    TrustKeys,
)
from runtime.contract.spiffe import trust_domain_id
from runtime.contract.trust_config import Issuer
from runtime.contract.value import ObjectName

TOKEN_FILE: Final = f"{TOKEN_DIR}/token"
POD_ACCOUNT: Final = "/var/run/secrets/kubernetes.io/serviceaccount"
JWKS_URL: Final = "https://kubernetes.default.svc/openid/v1/jwks"
"""Where the API server publishes the keys it signs ServiceAccount tokens with."""

TRUST_DOMAIN_FORM: Final = re.compile(r"[a-z0-9]([-._a-z0-9]{0,253}[a-z0-9])?")
"""SPIFFE ID, section 2.1."""
SPIRE_CA_FILE: Final = "/etc/k8gentai/spire/ca.crt"
"""Where the trust plane finds the key `ca.crt` of the ConfigMap k8gentai-spire."""

RESYNC_SECONDS: Final = 60.0
LEVELS: Final = ("DEBUG", "INFO", "WARNING", "ERROR")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings of one operator.

    Shape:
        operator      its own ServiceAccount; the installation is in the same namespace.
        token_file    its proof of identity towards the queues, `server_token_file` towards servers.
        image_prefix, image_tag   `<prefix>/<program>:<tag>` is the image of each program.
        health_port   0 serves no health; `metrics_port` 0 serves no metrics.
        jwks_url      of whoever issues the workloads' tokens, as the trust plane reaches it.
        network       for NetworkPolicies; None if there are to be none.
        trust_domain  of SVIDs, and in which transaction tokens are good.
        spire         the SPIRE that policies may name; None where there is none.
        version       of this distribution.

    Units:
        `resync_seconds` after which every object is looked at, woken or not.
    """

    operator: ObjectName
    token_file: Path
    server_token_file: Path
    image_prefix: str
    image_tag: str
    host: str
    health_port: int
    metrics_port: int
    jwks_url: str
    network: Network | None
    trust_domain: str
    spire: Spire | None
    resync_seconds: float
    version: str
    log_level: str

    @classmethod
    def of(cls, environment: Mapping[str, str] = os.environ) -> Self:
        """The settings in `environment`.

        Raises:
            ValueError: one is missing or makes no sense; the message names it.
        """
        return cls(
            operator=ObjectName(
                namespace=_required(environment, "K8GENTAI_NAMESPACE"),
                name=_required(environment, "K8GENTAI_SERVICE_ACCOUNT"),
            ),
            token_file=Path(environment.get("K8GENTAI_TOKEN_FILE", TOKEN_FILE)),
            server_token_file=Path(
                environment.get("K8GENTAI_SERVER_TOKEN_FILE", f"{TOKEN_DIR}/{SERVER_TOKEN}")
            ),
            image_prefix=_required(environment, "K8GENTAI_IMAGE_PREFIX"),
            image_tag=_required(environment, "K8GENTAI_IMAGE_TAG"),
            host=environment.get("K8GENTAI_HOST", "0.0.0.0"),  # noqa: S104 - a pod's own address
            health_port=_port(environment, "K8GENTAI_HEALTH_PORT", "8081"),
            metrics_port=_port(environment, "K8GENTAI_METRICS_PORT", "8080"),
            jwks_url=environment.get("K8GENTAI_JWKS_URL", JWKS_URL),
            network=_network(environment),
            trust_domain=_trust_domain(environment),
            spire=_spire(environment),
            resync_seconds=_seconds(environment, "K8GENTAI_RESYNC_SECONDS", RESYNC_SECONDS),
            version=version("k8gentai"),
            log_level=_level(environment),
        )

    def site(self, trust_keys: TrustKeys, issuer: str) -> ClusterSite:
        """Where everything is in this cluster; `issuer` is the `iss` of the workloads' tokens."""
        return ClusterSite(
            namespace=self.operator.namespace,
            operator=self.operator,
            trust_keys=trust_keys,
            issuers=(
                Issuer(
                    issuer=issuer,
                    jwks_url=self.jwks_url,
                    ca_file=f"{POD_ACCOUNT}/ca.crt",
                    token_file=f"{POD_ACCOUNT}/token",
                ),
                *((_issuer_of_svids(self.spire),) if self.spire else ()),
            ),
            spire=self.spire,
            image_prefix=self.image_prefix,
            image_tag=self.image_tag,
            network=self.network,
            trust_domain=self.trust_domain,
        )


def _issuer_of_svids(spire: Spire) -> Issuer:
    """What the trust plane is told of a SPIRE."""
    return Issuer(
        issuer=trust_domain_id(spire.trust_domain),
        jwks_url=spire.jwks_url,
        ca_file=spire.ca_file,
    )


def _spire(environment: Mapping[str, str]) -> Spire | None:
    url = environment.get("K8GENTAI_SPIRE_JWKS_URL")
    if not url:
        return None
    if not url.startswith("https://"):
        raise ValueError(f"K8GENTAI_SPIRE_JWKS_URL is {url!r}; it has to begin with https://")
    return Spire(
        trust_domain=_trust_domain(environment),
        jwks_url=url,
        ca_file=environment.get("K8GENTAI_SPIRE_CA_FILE", SPIRE_CA_FILE) or None,
        class_name=environment.get("K8GENTAI_SPIRE_CLASS") or None,
    )


def _required(environment: Mapping[str, str], name: str) -> str:
    value = environment.get(name)
    if not value:
        raise ValueError(f"{name} is not set; config/base sets it in a cluster")
    return value


def _port(environment: Mapping[str, str], name: str, default: str) -> int:
    value = environment.get(name, default)
    if not value.isdigit():
        raise ValueError(f"{name} is {value!r}; it has to be a number")
    return int(value)


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    value = environment.get(name, str(default))
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not seconds > 0:
        raise ValueError(f"{name} is {value!r}; it has to be a number of seconds above 0")
    return seconds


def _network(environment: Mapping[str, str]) -> Network | None:
    wanted = environment.get("K8GENTAI_NETWORK_POLICIES", "true")
    if wanted not in ("true", "false"):
        raise ValueError(f"K8GENTAI_NETWORK_POLICIES is {wanted!r}; it has to be true or false")
    ranges = environment.get("K8GENTAI_CLUSTER_CIDRS", "")
    try:
        inside = tuple(str(ip_network(one.strip())) for one in ranges.split(",") if one.strip())
    except ValueError as error:
        raise ValueError(
            f"K8GENTAI_CLUSTER_CIDRS is {ranges!r}; it has to be ranges of addresses such as "
            f"10.244.0.0/16, separated by commas: {error}"
        ) from error
    return Network(inside) if wanted == "true" else None


def _trust_domain(environment: Mapping[str, str]) -> str:
    value = environment.get("K8GENTAI_TRUST_DOMAIN") or TRUST_DOMAIN
    if not TRUST_DOMAIN_FORM.fullmatch(value):
        raise ValueError(
            f"K8GENTAI_TRUST_DOMAIN is {value!r}; it has to be a name such as {TRUST_DOMAIN}"
        )
    return value


def _level(environment: Mapping[str, str]) -> str:
    level = environment.get("K8GENTAI_LOG_LEVEL", "INFO")
    if level not in LEVELS:
        raise ValueError(f"K8GENTAI_LOG_LEVEL is {level!r}; it has to be one of {LEVELS}")
    return level
