"""One JSON object over HTTPS, as the bearer of a token in a file."""

import json
import ssl
from pathlib import Path
from typing import Any, Final

import httpx

FETCH_SECONDS: Final = 3.0
ACCEPTED: Final = "application/json, application/jwk-set+json"
"""Kubernetes publishes its keys as the second and as nothing else (RFC 7517, section 8.5.1)."""


async def fetch_object(
    url: str, ca_file: str | None, token_file: str | None, *, ca: str | None = None
) -> dict[str, Any]:
    """The JSON object at `url`; both files are read at each use, since both are renewed.

    Shape:
        ca  certificates (PEM) of who vouches for the address, in place of those in `ca_file`.

    Raises:
        httpx.HTTPError: nobody answers in time, or not with 200.
        OSError: a file cannot be read.
        ValueError: the answer is no JSON object.
    """
    verify = _trusting(ca_file, ca)
    headers = _headers(token_file)
    async with httpx.AsyncClient(verify=verify, timeout=FETCH_SECONDS, trust_env=False) as client:
        response = await client.get(url, headers=headers)
    response.raise_for_status()
    answer = json.loads(response.content)
    if not isinstance(answer, dict):
        raise ValueError(f"{url} answered no JSON object")  # noqa: TRY004 - a bad answer, no bad argument
    return answer


def _trusting(ca_file: str | None, ca: str | None) -> ssl.SSLContext:
    if ca is not None:
        return ssl.create_default_context(cadata=ca)
    return ssl.create_default_context(cafile=ca_file) if ca_file else httpx.create_ssl_context()


def _headers(token_file: str | None) -> dict[str, str]:
    headers = {"Accept": ACCEPTED}
    if token_file is not None:
        headers["Authorization"] = f"Bearer {Path(token_file).read_text().strip()}"
    return headers
