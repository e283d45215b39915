"""Stack: the server clients ask, with its models, its store and its queue."""

import re
from enum import StrEnum
from typing import Annotated, ClassVar, Final

from pydantic import Field

from controller.api.fields import (
    ALLOWED_DESCRIPTION,
    AllowedNamespaces,
    HttpUrl,
    ImageOrNone,
    ModelName,
    Quantity,
    SecretKeyRef,
)
from controller.api.names import Kind
from controller.api.resource import AGE, READY, REASON, Column, Resource, Status, name_rule
from controller.api.schema import (
    IMPLIED,
    NULL_IS_NOTHING,
    Fields,
    Form,
    Integer,
    Keyed,
    Rule,
    exactly_one,
)
from controller.api.workload_status import ACCESS_DESCRIPTION, Access

_NATS_SERVER: Final = r"(nats|tls)://[-.:A-Za-z0-9\[\]]+"

Quantities = Annotated[dict[str, Quantity], NULL_IS_NOTHING]
ProviderType = Annotated[
    str,
    Field(max_length=128),
    Form("^(remote|inline)::[a-z0-9][-_a-z0-9]*$", "a provider type, for example 'remote::vllm'"),
]
NatsUrl = Annotated[
    str,
    Field(max_length=2048),
    Form(
        f"^{_NATS_SERVER}(,{_NATS_SERVER})*$",
        "addresses without credentials that begin with nats:// or tls://",
    ),
]
SyncInterval = Annotated[
    str,
    Field(max_length=16),
    Form("^(always|[1-9][0-9]{0,5}(ms|s|m))$", "'always' or an interval such as '2m'"),
]


class Flavour(StrEnum):
    """Which server a Stack runs."""

    LLAMA_STACK = "LlamaStack"
    OGX = "OGX"


class Resources(Fields):
    """What a container asks for and may use."""

    requests: Quantities = Field(
        default_factory=dict, max_length=16, description="What is reserved, for example cpu: 500m."
    )
    limits: Quantities = Field(
        default_factory=dict, max_length=16, description="What is never exceeded."
    )


class Server(Fields):
    """The API server of the Stack."""

    replicas: Integer = Field(
        1, ge=0, le=100, description="Servers; more than one needs storage.postgres."
    )
    workers: Integer = Field(1, ge=1, le=64, description="Processes within each server.")
    heartbeat_seconds: Integer = Field(
        15,
        ge=1,
        le=3600,
        description="How long a stream may be silent before it gives a sign of life.",
    )
    flavour: Flavour = Field(
        Flavour.LLAMA_STACK,
        description=(
            "The server: LlamaStack (0.7), or its successor OGX (1.5), in another image and with "
            "the same API. OGX takes over what LlamaStack has stored, for good."
        ),
    )
    image: ImageOrNone = Field(
        "", description="Image of the server; the operator's own choice when empty."
    )
    resources: Resources = Field(
        Resources(), description="What the server's container asks for and may use."
    )


class Embedding(Fields):
    """What is known of a model that makes vectors of texts."""

    dimensions: Integer = Field(ge=1, le=65536, description="Numbers in each of its vectors.")


class Model(Fields):
    """A model the Stack offers to clients and to agents."""

    name: ModelName = Field(description="Name by which clients and spec.modelRef choose it.")
    provider: ProviderType = Field(
        description="Provider type of the server, for example remote::vllm or remote::ollama."
    )
    model: str = Field(
        min_length=1, max_length=253, description="Name of the model at its provider."
    )
    base_url: HttpUrl | None = Field(
        None, description="Address of the provider's API, with its path (…/v1)."
    )
    api_key_secret_ref: SecretKeyRef | None = Field(
        None,
        description="Where the provider's key is kept. Only the server reads it; no agent does.",
    )
    embedding: Embedding | None = Field(
        None, description="Makes vectors of texts, and no answers. Absent: a language model."
    )


class Sqlite(Fields):
    """A file on a volume of the one server."""

    size: Quantity = Field("1Gi", description="Size of the volume.")


class Postgres(Fields):
    """A PostgreSQL database, shared by all servers of the Stack and by nothing else."""

    url_secret_ref: SecretKeyRef = Field(
        description="Where the database's address is kept: "
        "postgresql://user:password@host:port/database, with ?sslmode=… as libpq has it. "
        "It is read when a server starts. Give each Stack a database of its own."
    )
    ca_secret_ref: SecretKeyRef | None = Field(
        None,
        description="Where the certificate (PEM) of the authority is kept that vouches for the "
        "database; for sslmode=verify-ca and verify-full.",
    )


class Storage(Fields):
    """Where the server keeps conversations, files, prompts and vector stores.

    The runs of agents are not among them: those are in the queue.
    """

    rules = (exactly_one("sqlite", "postgres"),)

    sqlite: Sqlite | None = Field(None, description="A file on a volume; for one server.")
    postgres: Postgres | None = Field(
        None, description="A PostgreSQL database; for any number of servers."
    )


class ManagedMessaging(Fields):
    """A NATS cluster the operator runs."""

    rules = (
        Rule(
            cel="!has(self.replicas) || self.replicas in [1, 3, 5]",
            holds=lambda managed: managed.replicas in (1, 3, 5),
            message="replicas must be 1, 3 or 5, so that a majority can decide; take the next one",
            field="replicas",
        ),
    )

    replicas: Integer = Field(
        3,
        ge=1,
        le=5,
        description="NATS servers: 1, 3 or 5. Streams have as many copies, at most 3.",
    )
    storage: Quantity = Field("2Gi", description="Size of the volume of each NATS server.")
    sync_interval: SyncInterval = Field(
        "always",
        description="When NATS writes through to the disk: always, or every interval such as 2m. "
        "Anything but always can lose acknowledged work when all servers lose power at once.",
    )


class ExternalMessaging(Fields):
    """A NATS somebody else runs, with JetStream, the two accounts and the auth callout set up."""

    url: NatsUrl = Field(description="Addresses, nats:// or tls://, separated by commas.")


class Messaging(Fields):
    """The queue between the server and the workers."""

    rules = (exactly_one("managed", "external"),)

    managed: ManagedMessaging | None = Field(None, description="A NATS cluster of the operator's.")
    external: ExternalMessaging | None = Field(None, description="A NATS that exists already.")


LOOPBACK: Final = r"^http://(127[.]0[.]0[.]1|localhost)(:[0-9]+)?(/|$)"


class Auth(Fields):
    """Whose tokens the server accepts."""

    rules = (
        Rule(
            cel=f"self.issuer.startsWith('https://') || self.issuer.matches('{LOOPBACK}')",
            holds=lambda auth: (
                auth.issuer.startswith("https://") or re.match(LOOPBACK, auth.issuer) is not None
            ),
            message="issuer must begin with https://, since whoever is between could let anybody "
            "in; http:// is taken of 127.0.0.1 and localhost alone",
            field="issuer",
        ),
    )

    issuer: HttpUrl = Field(
        description="OpenID Connect issuer, for example https://keycloak/realms/agents: what its "
        "tokens have as `iss`, letter for letter, and where the server asks for its keys."
    )
    audience: str = Field(
        "k8gentai",
        min_length=1,
        max_length=253,
        description="What the audience of an access token must contain.",
    )
    ca_bundle: str | None = Field(
        None,
        min_length=1,
        max_length=65536,
        description="Certificates (PEM) of the authorities that vouch for the issuer; absent: "
        "those that are known everywhere.",
    )


class Retention(Fields):
    """How long the queue keeps things."""

    task_seconds: Integer = Field(
        86400,
        ge=1,
        le=31536000,
        description="Longest time an accepted task may wait, and how long its record is kept. "
        "Beside that, a run may wait for people for as long, all its calls together; what it asks "
        "for later is denied, and its agent told.",
    )
    event_seconds: Integer = Field(
        3600,
        ge=1,
        le=31536000,
        description="How long the events of a task can be streamed again after its end.",
    )
    dead_letter_seconds: Integer = Field(
        604800, ge=1, le=31536000, description="How long dead letters can be read and replayed."
    )


class StackSpec(Fields):
    """What a user may ask of a stack."""

    rules = (
        Rule(
            cel="!has(self.server) || !has(self.server.replicas) || self.server.replicas <= 1"
            " || (has(self.storage) && has(self.storage.postgres))",
            holds=lambda spec: spec.server.replicas <= 1 or spec.storage.postgres is not None,
            message="server.replicas must be 1 with sqlite; set storage.postgres for more",
            field="server.replicas",
        ),
    )

    server: Server = Field(Server(), description="The API server.")
    models: Annotated[tuple[Model, ...], Keyed(("name",))] = Field(
        (),
        max_length=64,
        description="Models it offers; the first language model is the agents' default.",
    )
    storage: Storage = Field(
        Storage(sqlite=Sqlite()),
        json_schema_extra={IMPLIED: "sqlite of 1Gi"},
        description="Where the server keeps its data; exactly one of sqlite and postgres. "
        "A change from one to the other begins with nothing: no data is moved, and sqlite's volume "
        "goes with it.",
    )
    messaging: Messaging = Field(
        Messaging(managed=ManagedMessaging()),
        json_schema_extra={IMPLIED: "managed with its defaults"},
        description="The queue; exactly one of managed and external.",
    )
    auth: Auth | None = Field(
        None,
        description="Whose users are let in, by their access tokens. Absent: everybody is let in, "
        "and what anybody does is everybody's.",
    )
    retention: Retention = Field(Retention(), description="How long the queue keeps things.")
    allowed_namespaces: AllowedNamespaces = Field(
        AllowedNamespaces(), description=ALLOWED_DESCRIPTION
    )

    @property
    def language_models(self) -> tuple[Model, ...]:
        """Those that answer: an Agent can have no other."""
        return tuple(model for model in self.models if model.embedding is None)

    @property
    def is_one_process(self) -> bool:
        """Whether the server is never more than one process at a time."""
        return self.server.replicas <= 1 and self.server.workers == 1

    @property
    def vectors_by(self) -> Model | None:
        """The model that vector stores use; None if the server has no vector stores.

        Their index is in the memory of the process, so there must be just one.
        """
        embedding = (model for model in self.models if model.embedding is not None)
        return next(embedding, None) if self.is_one_process else None


class Versions(Fields):
    """Versions at work."""

    operator: str | None = Field(None, max_length=64, description="Version of the operator.")
    server: str | None = Field(None, max_length=64, description="Version the server reports.")


class ServedModel(Fields):
    """A model as the server lists it."""

    name: str = Field(max_length=253, description="Name in the Stack's spec.models.")
    identifier: str = Field(max_length=512, description="Name in GET /v1/models.")


class ProviderHealth(Fields):
    """A provider of the server and how it is."""

    api: str = Field(max_length=64, description="API it serves, for example inference.")
    id: str = Field(max_length=128, description="Its id in the server.")
    type: str = Field(max_length=128, description="Its provider type.")
    health: str = Field("", max_length=64, description="What the server says of it, OK or Error.")
    message: str = Field("", max_length=4096, description="The server's own words on it.")


class StackStatus(Status):
    """What is known of a stack."""

    url: str | None = Field(
        None, max_length=2048, description="Address of the server in the cluster."
    )
    version: Versions = Field(Versions(), description="Versions at work.")
    replicas: Integer = Field(0, ge=0, description="Servers that exist.")
    available_replicas: Integer = Field(0, ge=0, description="Servers that answer.")
    access: Access | None = Field(None, description=ACCESS_DESCRIPTION)
    issuer: str | None = Field(
        None, max_length=2048, description="Whose users are let in; none if everybody is."
    )
    spiffe_id: str | None = Field(
        None, alias="spiffeID", max_length=2048, description="Identity of the server."
    )
    models: tuple[ServedModel, ...] = Field(
        (), max_length=1024, description="Models the server lists."
    )
    providers: tuple[ProviderHealth, ...] = Field(
        (), max_length=256, description="Providers of the server and how they are."
    )
    healthy_providers: str | None = Field(
        None, max_length=16, description="Healthy providers out of all, for the column: 5/5."
    )
    revision: str | None = Field(
        None, max_length=128, description="Digest of what the server is configured with."
    )


class Stack(Resource):
    """The server clients ask, with its models, its store and its queue."""

    rules = (name_rule(Kind.STACK),)
    kind: ClassVar[Kind] = Kind.STACK
    about: ClassVar[str] = (
        "A Llama Stack server with the queue behind it. Clients ask its agents and models through "
        "one REST API; Agents and Tools join it by their stackRef."
    )
    columns: ClassVar[tuple[Column, ...]] = (
        READY,
        REASON,
        Column("Version", ".status.version.server", "Version of the server."),
        Column("Providers", ".status.healthyProviders", "Healthy providers out of all."),
        Column("Available", ".status.availableReplicas", "Servers that answer.", "integer"),
        Column("URL", ".status.url", "Address of the server."),
        AGE,
    )

    spec: StackSpec
    status: StackStatus = StackStatus()
