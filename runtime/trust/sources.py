"""Where the trust plane reads what it is told: a file, or a ConfigMap through the Kubernetes API.

A mounted ConfigMap lags by a minute or more, and a new Stack should not wait for that.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Protocol

import httpx

from runtime.contract.trust_config import TrustConfig
from runtime.identity.https import fetch_object

POD_ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Unreadable(Exception):
    """The configuration cannot be read at the moment, or is not of its shape."""


class Source(Protocol):
    """What a `TrustConfig` is read from, again and again."""

    async def read(self) -> TrustConfig:
        """The configuration as it is now.

        Raises:
            Unreadable: it is not there, or not of its shape.
        """
        ...


class FileSource:
    """`trust.json` in a file that is replaced as a whole."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> TrustConfig:
        """The configuration as it is now.

        Raises:
            Unreadable: the file is not there, or not of its shape.
        """
        try:
            return TrustConfig.decode(await asyncio.to_thread(self._path.read_bytes))
        except (OSError, ValueError) as error:
            raise Unreadable(f"{self._path} cannot be read: {error}") from error


class ConfigMapSource:
    """One key of a ConfigMap, by the Kubernetes API and with the token of the pod.

    Shape:
        api      address of the API server.
        account  folder with `ca.crt` and `token` of the pod's ServiceAccount, which needs nothing
                 but `get` of this one ConfigMap.
    """

    def __init__(
        self, namespace: str, name: str, key: str, *, api: str, account: Path = POD_ACCOUNT
    ) -> None:
        self._url = f"{api}/api/v1/namespaces/{namespace}/configmaps/{name}"
        self._key = key
        self._account = account

    async def read(self) -> TrustConfig:
        """The configuration as it is now.

        Raises:
            Unreadable: the API does not answer, has no such ConfigMap, or it is not of its shape.
        """
        try:
            config_map: dict[str, Any] = await fetch_object(
                self._url, str(self._account / "ca.crt"), str(self._account / "token")
            )
            return TrustConfig.decode(config_map["data"][self._key])
        except (httpx.HTTPError, OSError, KeyError, TypeError, ValueError) as error:
            why = f"{type(error).__name__}: {error}"
            raise Unreadable(f"{self._url} cannot be read: {why}") from error


def api_server(environment: Mapping[str, str] | None = None) -> str:
    """The address of the API server, as every pod is told it.

    Raises:
        KeyError: this process does not run in a pod.
    """
    env = os.environ if environment is None else environment
    host, port = env["KUBERNETES_SERVICE_HOST"], env["KUBERNETES_SERVICE_PORT"]
    return f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
