"""Tool: something agents may call, on a queue and with workers of its own."""

from dataclasses import replace
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from controller.api.conditions import ConditionType
from controller.api.fields import (
    ALLOWED_DESCRIPTION,
    DELETION_DESCRIPTION,
    DRAIN_DESCRIPTION,
    POD_TEMPLATE_DESCRIPTION,
    REPLICAS_DESCRIPTION,
    STACK_REF_DESCRIPTION,
    AllowedNamespaces,
    DeletionPolicy,
    ExecutionSpec,
    HttpUrl,
    Image,
    ObjectName,
    PodTemplate,
    PythonModule,
    Ref,
    RetryPolicy,
    ScalingSpec,
    ToolName,
)
from controller.api.names import Kind
from controller.api.resource import (
    AGE,
    READY,
    REASON,
    Column,
    Resource,
    condition_column,
    name_rule,
)
from controller.api.schema import Fields, Form, FreeForm, Integer, Keyed, exactly_one
from controller.api.workload_status import DiscoveredTool, WorkloadStatus

Argument = Annotated[str, Field(max_length=4096)]
ConfigMapKey = Annotated[
    str,
    Field(max_length=253),
    Form("^[-._a-zA-Z0-9]+$", "a key of a ConfigMap: letters, digits, '-', '_' and '.'"),
]
OperationId = Annotated[
    str, Field(max_length=128), Form("^[!-~]+$", "an operationId: ASCII without spaces")
]


SchemaDigest = Annotated[
    str,
    Field(max_length=71),
    Form("^sha256:[0-9a-f]{64}$", "a digest as in status.schemaDigest: sha256: and 64 digits"),
]


class SideEffects(StrEnum):
    """What a second call with the same key may do."""

    NONE = "None"
    IDEMPOTENT = "Idempotent"
    AT_MOST_ONCE = "AtMostOnce"


class McpWorkload(Fields):
    """An MCP server that is run for the tool."""

    image: Image = Field(description="Image of the MCP server; it speaks streamable HTTP.")
    command: tuple[Argument, ...] = Field(
        (),
        max_length=64,
        description="Command that starts it; the image's own when absent. Embedded mode runs this "
        "command and no image.",
    )
    port: Integer = Field(8000, ge=1, le=65535, description="Port it listens on.")


class Mcp(Fields):
    """Tools of an MCP server."""

    rules = (exactly_one("url", "workload"),)

    url: HttpUrl | None = Field(
        None, description="Address of a server that runs already, with its path (…/mcp)."
    )
    workload: McpWorkload | None = Field(
        None, description="A server that is run beside the tool's workers."
    )
    tools: Annotated[tuple[ToolName, ...], Keyed()] = Field(
        (), max_length=256, description="Only these of the server's tools; all when empty."
    )


class DocumentRef(Fields):
    """One key of a ConfigMap in the namespace of the object."""

    name: ObjectName = Field(description="Name of a ConfigMap in the same namespace.")
    key: ConfigMapKey = Field("openapi.yaml", description="Key whose value is the document.")


class OpenApi(Fields):
    """The description of an HTTP API."""

    rules = (exactly_one("url", "configMapRef"),)

    url: HttpUrl | None = Field(
        None, description="Address of the OpenAPI document; it is read again now and then."
    )
    config_map_ref: DocumentRef | None = Field(
        None, description="A ConfigMap that holds the document."
    )


class Http(Fields):
    """Operations of an HTTP API."""

    openapi: OpenApi = Field(
        description="The OpenAPI document that describes the API: 3.0 or 3.1, JSON or YAML."
    )
    operations: Annotated[tuple[OperationId, ...], Keyed()] = Field(
        (), max_length=256, description="Only these operationIds; all when empty."
    )
    base_url: HttpUrl | None = Field(
        None,
        description="Address of the API, to which the paths of the document are added; when "
        "absent what the document says, or the place where the document is. Workers may connect "
        "to what is named here and to the document's address alone, see docs/network.md.",
    )


class ToolSpec(Fields):
    """What a user may ask of a tool."""

    rules = (exactly_one("python", "mcp", "http"),)

    stack_ref: Ref = Field(description=STACK_REF_DESCRIPTION)
    python: PythonModule | None = Field(
        None, description="A Python function; its signature and docstring become the schema."
    )
    mcp: Mcp | None = Field(None, description="Tools of an MCP server.")
    http: Http | None = Field(None, description="Operations of an HTTP API.")
    side_effects: SideEffects = Field(
        SideEffects.IDEMPOTENT,
        description="What a repeated call may do. None: nothing, it only reads. Idempotent: the "
        "same once more, by its key. AtMostOnce: it must never be repeated; a call whose end is "
        "unknown fails.",
    )
    input_schema: FreeForm = Field(
        default_factory=dict,
        description="JSON Schema of the arguments of a Python function; discovered when absent.",
    )
    schema_digest: SchemaDigest | None = Field(
        None,
        description="Accepts the functions with this digest, as status.schemaDigest tells it, and "
        "no others. When absent, those that were accepted last, and at first those that are found "
        "first for what python, mcp, http and inputSchema say.",
    )
    replicas: Integer | None = Field(None, ge=0, le=1000, description=REPLICAS_DESCRIPTION)
    scaling: ScalingSpec = Field(
        ScalingSpec(), description="How many workers there are while replicas is unset."
    )
    execution: ExecutionSpec = Field(ExecutionSpec(), description="How one call is run.")
    retry_policy: RetryPolicy = Field(RetryPolicy(), description="How often a call is tried.")
    deletion_policy: DeletionPolicy = Field(DeletionPolicy.DRAIN, description=DELETION_DESCRIPTION)
    drain_seconds: Integer = Field(600, ge=0, le=604800, description=DRAIN_DESCRIPTION)
    allowed_namespaces: AllowedNamespaces = Field(
        AllowedNamespaces(), description=ALLOWED_DESCRIPTION
    )
    pod_template: PodTemplate = Field(default_factory=dict, description=POD_TEMPLATE_DESCRIPTION)


class AcceptedSchema(Fields):
    """The functions that a drift is told against."""

    digest: str = Field("", max_length=128, description="Digest of these functions.")
    source: str = Field(
        "", max_length=128, description="Digest of the fields of the spec that they come from."
    )
    functions: tuple[DiscoveredTool, ...] = Field(
        (),
        max_length=256,
        description="Each of them; description and schema only where they are others by now.",
    )


class ToolStatus(WorkloadStatus):
    """What is known of a tool."""

    type: str | None = Field(
        None, max_length=64, description="Which of python, mcp and http is set: Python, MCP, HTTP."
    )
    tool_count: Integer = Field(0, ge=0, description="How many functions it offers.")
    schema_digest: str | None = Field(
        None,
        max_length=128,
        description="Digest of all functions; spec.schemaDigest accepts them by it.",
    )
    accepted_schema: AcceptedSchema | None = Field(
        None, description="The functions that were accepted; SchemaDrifted tells what differs."
    )


DRIFT = replace(condition_column("Drift", ConditionType.SCHEMA_DRIFTED, "reason"), priority=1)


class Tool(Resource):
    """Something agents may call."""

    rules = (name_rule(Kind.TOOL),)
    kind: ClassVar[Kind] = Kind.TOOL
    about: ClassVar[str] = (
        "A tool that agents may call: a Python function, an MCP server or an HTTP API. It has a "
        "queue and workers of its own, so it scales apart from the agents."
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Type", ".status.type", "What the tool is."),
        READY,
        REASON,
        Column("Replicas", ".status.replicas", "Workers that exist.", "integer"),
        Column(
            "Backlog",
            ".status.backlog",
            "Calls that wait or run, a minute old.",
            "integer",
        ),
        Column("Tools", ".status.toolCount", "Functions it offers.", "integer"),
        AGE,
        DRIFT,
    )
    is_scalable: ClassVar[bool] = True

    spec: ToolSpec
    status: ToolStatus = ToolStatus()
