"""The status of kinds that run workers: Agent and Tool."""

from enum import StrEnum

from pydantic import Field

from controller.api.resource import Status
from controller.api.schema import Fields, FreeForm, Integer


class Access(StrEnum):
    """Who is let in."""

    OPEN = "Open"
    AUTHENTICATED = "Authenticated"
    POLICY = "Policy"


def access(*, has_auth: bool) -> Access:
    """Who is let in to a Stack, with or without `auth`, and to what belongs to it."""
    return Access.AUTHENTICATED if has_auth else Access.OPEN


ACCESS_DESCRIPTION = (
    "Who is let in. Open: everybody, the Stack has no auth. Authenticated: every user the Stack's "
    "issuer vouches for. Policy: whom an IdentityPolicy names."
)


class DiscoveredTool(Fields):
    """One function a tool offers, as its worker or server describes it."""

    name: str = Field(max_length=128, description="Name under which a model calls it.")
    description: str = Field(
        "", max_length=4096, description="What it does, in its author's words."
    )
    input_schema: FreeForm = Field(
        default_factory=dict, description="JSON Schema of its arguments."
    )
    schema_digest: str = Field("", max_length=128, description="Digest of description and schema.")


class WorkloadStatus(Status):
    """What is known of workers and their queue."""

    replicas: Integer = Field(0, ge=0, description="Workers that exist.")
    ready_replicas: Integer = Field(
        0, ge=0, description="Workers that have pulled from their queue with a live identity."
    )
    selector: str | None = Field(
        None, max_length=1024, description="Labels of the workers' pods, for the scale subresource."
    )
    backlog: Integer = Field(0, ge=0, description="Pieces of work that wait or run, a minute old.")
    spiffe_id: str | None = Field(
        None, alias="spiffeID", max_length=2048, description="Identity of the workers."
    )
    access: Access | None = Field(None, description=ACCESS_DESCRIPTION)
    tools: tuple[DiscoveredTool, ...] = Field(
        (), max_length=256, description="Functions that can be called, as discovered."
    )
    revision: str | None = Field(
        None, max_length=128, description="Digest of what the workers are configured with."
    )
