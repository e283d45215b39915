"""Parts of a spec that more than one kind uses: references, pods, scaling, execution, removal."""

from enum import StrEnum
from typing import Annotated, Final

from pydantic import BeforeValidator, Field, WithJsonSchema

from controller.api.resource import NAME_LENGTH, NAME_PATTERN
from controller.api.schema import (
    NULL_IS_NOTHING,
    Fields,
    Form,
    FreeForm,
    Integer,
    Rule,
    at_most_one,
)

_IDENTIFIER = "[A-Za-z_][A-Za-z0-9_]*"
_DOTTED = rf"{_IDENTIFIER}([.]{_IDENTIFIER})*"
_NUMBER = r"([0-9]+([.][0-9]*)?|[.][0-9]+)"

_IMAGE = "[A-Za-z0-9][-._/:@A-Za-z0-9]*"
_IMAGE_WORDS = "an image reference, for example 'registry.example/team/agent:1.0'"
QUANTITY_PATTERN: Final = f"^{_NUMBER}([KMGTPE]i|[numkMGTPE]|[eE][-+]?{_NUMBER})?$"

ShortName = Annotated[
    str,
    Field(max_length=NAME_LENGTH),
    Form(NAME_PATTERN, "lower-case letters, digits and '-', beginning with a letter"),
]
Namespace = Annotated[
    str,
    Field(max_length=63),
    Form("^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", "a namespace: lower-case letters, digits and '-'"),
]
ObjectName = Annotated[
    str,
    Field(max_length=253),
    Form(
        "^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$",
        "a Kubernetes name: lower-case letters, digits, '-' and '.'",
    ),
]
SecretKey = Annotated[
    str,
    Field(max_length=253),
    Form("^[-._a-zA-Z0-9]+$", "a key of a Secret: letters, digits, '-', '_' and '.'"),
]
ModelName = Annotated[
    str,
    Field(max_length=63),
    Form(
        "^[A-Za-z0-9]([-._:A-Za-z0-9]*[A-Za-z0-9])?$",
        "letters, digits, '-', '_', '.' and ':', beginning and ending with a letter or digit",
    ),
]
Entrypoint = Annotated[
    str,
    Field(max_length=253),
    Form(f"^{_DOTTED}:{_DOTTED}$", "'module:name', for example 'math_agent:graph'"),
]
Image = Annotated[
    str,
    Field(max_length=512),
    Form(f"^{_IMAGE}$", _IMAGE_WORDS),
]
ImageOrNone = Annotated[
    str, Field(max_length=512), Form(f"^({_IMAGE})?$", f"empty or {_IMAGE_WORDS}")
]
HttpUrl = Annotated[
    str,
    Field(max_length=2048),
    Form(r"^https?://[A-Za-z0-9\[][!-~]*$", "an address that begins with http:// or https://"),
]
ToolName = Annotated[
    str,
    Field(max_length=128),
    Form("^[-._A-Za-z0-9]+$", "letters, digits, '_', '.' and '-'"),
]


def _number_as_text(value: object) -> object:
    return str(value) if type(value) is int else value


Quantity = Annotated[
    str,
    Field(max_length=32),
    Form(QUANTITY_PATTERN, "a quantity, for example '500m' or '2Gi'"),
    BeforeValidator(_number_as_text),
    WithJsonSchema(
        {
            "anyOf": [{"type": "integer"}, {"type": "string"}],
            "pattern": QUANTITY_PATTERN,
            "maxLength": 32,
            "minimum": 0,
            "x-kubernetes-int-or-string": True,
        }
    ),
]
"""A number or a string, as Kubernetes' own quantities; a string here."""


class Ref(Fields):
    """One of our objects, by name."""

    name: ShortName = Field(description="Name of the object.")
    namespace: Namespace | None = Field(
        None,
        description="Namespace of the object; the own namespace when absent. "
        "An object elsewhere must permit it by its allowedNamespaces.",
    )


class ModelRef(Fields):
    """One model of the Stack."""

    name: ModelName = Field(description="Name of an entry of the Stack's spec.models.")


class ConfigMapRef(Fields):
    """A ConfigMap in the namespace of the object."""

    name: ObjectName = Field(description="Name of a ConfigMap in the same namespace.")


class SecretKeyRef(Fields):
    """One key of a Secret in the namespace of the object."""

    name: ObjectName = Field(description="Name of a Secret in the same namespace.")
    key: SecretKey = Field(description="Key within the Secret whose value is used.")


class PythonModule(Fields):
    """Python code: an attribute of a module, and where the module comes from."""

    rules = (at_most_one("configMapRef", "image"),)

    entrypoint: Entrypoint = Field(
        description="'module:name' as Python imports it, for example 'math_agent:graph'."
    )
    config_map_ref: ConfigMapRef | None = Field(
        None,
        description="A ConfigMap whose keys are the module's files (math_agent.py), put on the "
        "import path. Without it and without image, the worker's own image must have the module.",
    )
    image: Image | None = Field(
        None, description="An image that holds the module, built FROM the runtime image."
    )


class ScalingEngine(StrEnum):
    """Who sets the number of workers."""

    BUILTIN = "Builtin"
    KEDA = "KEDA"


class ScalingSpec(Fields):
    """How many workers there are while `replicas` is unset."""

    rules = (
        Rule(
            cel="!has(self.minReplicas) || !has(self.maxReplicas)"
            " || self.minReplicas <= self.maxReplicas",
            holds=lambda scaling: scaling.min_replicas <= scaling.max_replicas,
            message="minReplicas must not be above maxReplicas; lower it or raise maxReplicas",
            field="minReplicas",
        ),
    )

    min_replicas: Integer = Field(
        0,
        ge=0,
        le=1000,
        description="Workers kept while nothing waits; this version does not scale, so it has "
        "exactly these, and one for 0.",
    )
    max_replicas: Integer = Field(
        10,
        ge=1,
        le=1000,
        description="Workers at most, whatever waits; in this version it only limits how much is "
        "handed out at once, together with execution.concurrency.",
    )
    target_backlog_per_replica: Integer = Field(
        4,
        ge=1,
        le=10000,
        description="Waiting and running work that one worker should have; not in this version.",
    )
    target_age_seconds: Integer = Field(
        5,
        ge=1,
        le=86400,
        description="Work should not wait longer than this, more workers if so; "
        "not in this version.",
    )
    idle_seconds: Integer = Field(
        60,
        ge=0,
        le=86400,
        description="Time without work after which workers are taken away; not in this version.",
    )
    engine: ScalingEngine = Field(
        ScalingEngine.BUILTIN,
        description="Builtin: the operator scales. KEDA, which this version refuses: KEDA does, "
        "by a ScaledObject.",
    )


class ExecutionSpec(Fields):
    """How one piece of work is run."""

    timeout_seconds: Integer = Field(
        600, ge=1, le=604800, description="Work that takes longer ends as Failed/TimedOut."
    )
    ack_wait_seconds: Integer = Field(
        10,
        ge=1,
        le=3600,
        description="Silence of a worker after which its work is given to another one. "
        "A living worker is never silent for more than a third of it.",
    )
    concurrency: Integer = Field(
        4,
        ge=1,
        le=256,
        description="Pieces of work one worker runs at the same time; one of an Agent runs as "
        "many tasks of clients, and beside them as many that other agents have asked for.",
    )
    max_input_bytes: Integer = Field(
        524288,
        ge=1,
        le=786432,
        description="Longest accepted input in bytes; a longer one is refused with 413 before "
        "anything is queued. At most 768 KiB, so that it fits into a NATS message of 1 MiB.",
    )


class OnCrash(StrEnum):
    """What follows when a worker died in the middle of a piece of work."""

    RESUME = "Resume"
    RESTART = "Restart"
    FAIL = "Fail"


class RetryPolicy(Fields):
    """How often work is tried."""

    max_attempts: Integer = Field(
        5,
        ge=1,
        le=100,
        description="Started attempts, the first included, before the work is dead-lettered. "
        "1 means: fail visibly, never run again.",
    )
    on_crash: OnCrash = Field(
        OnCrash.RESUME,
        description="After a crash: Resume from the last checkpoint, Restart from the input, "
        "or Fail. How far back that is depends on the framework; a Tool does not read it.",
    )


class DeletionPolicy(StrEnum):
    """What happens to queued and running work when the object is deleted."""

    DRAIN = "Drain"
    CANCEL = "Cancel"


class NamespacesFrom(StrEnum):
    """Whose references are permitted."""

    SAME = "Same"
    ALL = "All"
    SELECTOR = "Selector"


class SelectorOperator(StrEnum):
    """How a label is compared."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


LabelValue = Annotated[str, Field(max_length=63)]


class LabelRequirement(Fields):
    """One expression of a label selector."""

    rules = (
        Rule(
            cel="(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            holds=lambda want: (
                (want.operator in (SelectorOperator.IN, SelectorOperator.NOT_IN))
                == bool(want.values)
            ),
            message="values must be given with the operators In and NotIn, and with no other",
            field="values",
        ),
    )

    key: str = Field(min_length=1, max_length=316, description="Key of the label.")
    operator: SelectorOperator = Field(
        description="In or NotIn the values; Exists or DoesNotExist whatever the value."
    )
    values: tuple[LabelValue, ...] = Field(
        (), max_length=64, description="Values for In and NotIn."
    )


class LabelSelector(Fields):
    """Labels an object must have; all requirements together."""

    match_labels: Annotated[dict[str, LabelValue], NULL_IS_NOTHING] = Field(
        default_factory=dict, max_length=64, description="Labels with exactly these values."
    )
    match_expressions: tuple[LabelRequirement, ...] = Field(
        (), max_length=64, description="Requirements on labels; all must hold."
    )


class AllowedNamespaces(Fields):
    """From which namespaces this object may be referred to."""

    rules = (
        Rule(
            cel="(has(self.from) && self.from == 'Selector') == has(self.selector)",
            holds=lambda allowed: (
                (allowed.from_ is NamespacesFrom.SELECTOR) == (allowed.selector is not None)
            ),
            message="selector must be given when from is Selector, and only then",
            field="selector",
        ),
    )

    from_: NamespacesFrom = Field(
        NamespacesFrom.SAME,
        alias="from",
        description="Same: this namespace only. All: every namespace. Selector: namespaces whose "
        "labels match the selector.",
    )
    selector: LabelSelector | None = Field(
        None, description="Labels of the permitted namespaces, with from: Selector."
    )


PodTemplate = FreeForm
"""A PodTemplateSpec in part, merged last into what is generated."""

POD_TEMPLATE_DESCRIPTION: Final = (
    "Part of a PodTemplateSpec (metadata, spec), merged last over the generated one: the user has "
    "the last word. Containers are merged by name; the worker's is called 'worker'."
)
REPLICAS_DESCRIPTION: Final = (
    "Set: so many workers, by you or a HorizontalPodAutoscaler. Unset: scaling decides."
)
DRAIN_DESCRIPTION: Final = (
    "After a deletion with Drain, the longest wait for work to end; then the rest is cancelled."
)
DELETION_DESCRIPTION: Final = (
    "When the object is deleted: Drain lets queued and running work end, Cancel ends it at once."
)
ALLOWED_DESCRIPTION: Final = "Namespaces whose objects may refer to this one."
STACK_REF_DESCRIPTION: Final = "The Stack whose server, models and queue are used."
