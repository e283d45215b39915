"""Whose a NATS is: it answers for one Stack and no more."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final

from controller.api.names import Kind
from controller.api.resource import Metadata
from controller.model import NATS_PORT, Claim, Key, Site
from runtime.contract.trust_config import UserIssuer

PORT: Final = re.compile(r":\d+$")


def claim_of(metadata: Metadata, url: str, site: Site, users: UserIssuer | None = None) -> Claim:
    """The claim of the Stack with this metadata to the NATS at `url`, for these users."""
    key = Key(Kind.STACK, metadata.namespace, metadata.name)
    return Claim(
        key=key,
        url=url,
        created=metadata.creation_timestamp or datetime.max.replace(tzinfo=UTC),
        is_managed=url == site.queue_url(key.object_name),
        is_leaving=metadata.is_deleting,
        users=users,
    )


def holders(claims: Iterable[Claim]) -> dict[Key, Claim]:
    """Who has a server that another Stack claims too, by the Stack that has to look elsewhere.

    Also one that is refused itself counts: whoever runs must not have to stop because a third
    Stack, older than both, went.
    """
    first: dict[str, Claim] = {}
    found: dict[Key, Claim] = {}
    for claim in sorted(claims, key=lambda one: one.rank):
        wanted = servers(claim.url)
        before = [first[server] for server in wanted if server in first]
        if before:
            found[claim.key] = min(before, key=lambda one: one.rank)
        for server in wanted:
            first.setdefault(server, claim)
    return found


def servers(url: str) -> frozenset[str]:
    """host:port of every address; with TLS or without it is the same server."""
    return frozenset(_server(address) for address in url.split(","))


def _server(address: str) -> str:
    server = address.partition("://")[2].lower()
    return server if PORT.search(server) else f"{server}:{NATS_PORT}"
