"""What every value on the wire and in `agent.json` has in common."""

from abc import abstractmethod
from typing import Annotated, Self, override

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_serializer
from pydantic.alias_generators import to_camel

SCHEMA_VERSION = 1
CLIENT_CALLS_VERSION = 2
"""The schema of what has functions of a client in it; readers of an older one refuse it."""


class Value(BaseModel):
    """A frozen value with camelCase names in JSON; readers ignore what they do not know.

    Shape:
        `encode()` gives compact JSON that leaves out what is null; `decode()` takes it back.
    """

    model_config = ConfigDict(
        frozen=True, extra="ignore", alias_generator=to_camel, populate_by_name=True
    )

    def encode(self) -> bytes:
        """This value as compact JSON."""
        return self.__pydantic_serializer__.to_json(self, by_alias=True, exclude_none=True)

    @classmethod
    def decode(cls, data: bytes | str) -> Self:
        """The value that `encode` wrote.

        Raises:
            ValueError: the data is no JSON or not of this shape; the message names the field.
        """
        return cls.model_validate_json(data)


class ObjectName(Value):
    """The namespace and name of one of our Kubernetes objects."""

    namespace: str
    name: str

    @override
    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


class Versioned(Value):
    """A message that says by which version of the schema it was written.

    Raises:
        ValueError: on decoding, when the version is newer than this program knows.
    """

    schema_version: Annotated[int, Field(ge=1, le=SCHEMA_VERSION, alias="schema")] = SCHEMA_VERSION


class Growing(Versioned):
    """A message of the oldest schema that has room for its content.

    Readers ignore what they do not know, and one from before clients had functions would run
    without them, or lose outputs when it writes a record again. So what has some is of a schema
    that such a reader refuses, and what has none is written as ever.

    Shape:
        schema_version  says nothing in memory: it is looked at when a message is read, and found
                        anew when one is written.
    """

    schema_version: Annotated[
        int,
        Field(ge=1, le=CLIENT_CALLS_VERSION, alias="schema"),
        AfterValidator(lambda _: SCHEMA_VERSION),
    ] = SCHEMA_VERSION

    @property
    @abstractmethod
    def calls_client(self) -> bool:
        """Whether functions of a client are in it."""

    @field_serializer("schema_version")
    def _oldest(self, _read: int) -> int:
        return CLIENT_CALLS_VERSION if self.calls_client else SCHEMA_VERSION
