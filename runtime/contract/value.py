"""What every value on the wire and in `agent.json` has in common."""

from typing import Self, override

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

SCHEMA_VERSION = 1


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
