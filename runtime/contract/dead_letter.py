"""Dead letters: work that no worker will see again, kept with the reason in the stream DEAD.

A work-queue stream drops a message the moment a worker terminates it, so the worker's last words
carry the message itself: the queue keeps them in the `reason` of its advisory.
"""

import base64
import binascii
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from runtime.contract.subjects import Stream
from runtime.contract.value import Value

LAST_WORDS_BYTES = 768 * 1024
MAX_HEADER_LENGTH = 2000
_PREFIX = "K8gentai-Dead-"


class LastWords(Value):
    """What a worker says when it terminates a message.

    Shape:
        reason   a sentence: `malformed: …`, `gave up after 5 attempts: …`.
        subject  of the message.
        body     the message, deflated, in base64; null if it is too large to be told.

    Source:
        nats-server 2.15: `+TERM <reason>` is kept word for word in `MSG_TERMINATED`, up to the
        largest payload.
    """

    reason: str
    subject: str | None = None
    body: str | None = None

    @classmethod
    def about(cls, reason: str, subject: str, data: bytes) -> Self:
        """The last words about the message `data`."""
        body = base64.b64encode(zlib.compress(data)).decode()
        fits = len(body) <= LAST_WORDS_BYTES
        return cls(reason=reason, subject=subject, body=body if fits else None)

    @classmethod
    def heard(cls, text: str) -> Self:
        """What an advisory tells; any other text than last words is a reason without a message."""
        try:
            return cls.decode(text)
        except ValueError:
            return cls(reason=text)

    def spoken(self) -> str:
        """These words as the reason of a termination."""
        return self.encode().decode()

    @property
    def data(self) -> bytes | None:
        """The message, if it was told and is whole."""
        try:
            return zlib.decompress(base64.b64decode(self.body)) if self.body else None
        except (binascii.Error, zlib.error):
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetter:
    """One dead message and why nobody will work on it.

    Shape:
        stream, sequence   where it was: `TASKS` or `CALLS` of the Stack, and its place there.
        subject            it was published to; null if the queue has dropped it untold.
        work               id of the task or call; null if the message could not be read.
        reason             why it was given up; `error` is the last thing that went wrong.
        data               the message; empty if it was dropped untold.

    Units:
        `deliveries` counts from 1.
    """

    stream: Stream
    sequence: int
    reason: str
    deliveries: int
    subject: str | None = None
    work: str | None = None
    error: str | None = None
    data: bytes = b""

    @property
    def msg_id(self) -> str:
        """The id under which DEAD keeps it once, however often it is published."""
        return f"{self.stream}-{self.sequence}"

    def headers(self) -> dict[str, str]:
        """Everything but `data`, one header a field, in ASCII; what is null is left out."""
        fields = {
            "Stream": str(self.stream),
            "Sequence": str(self.sequence),
            "Deliveries": str(self.deliveries),
            "Reason": self.reason,
            "Subject": self.subject,
            "Work": self.work,
            "Error": self.error,
        }
        return {_PREFIX + name: _escaped(text) for name, text in fields.items() if text is not None}

    @classmethod
    def read(cls, headers: Mapping[str, str], data: bytes) -> Self:
        """The dead letter that was published with these headers.

        Raises:
            ValueError: it is none; the message names the header.
        """

        def text(name: str) -> str | None:
            found = headers.get(_PREFIX + name)
            return None if found is None else str(json.loads(f'"{found}"'))

        def needed(name: str) -> str:
            if (found := text(name)) is None:
                raise ValueError(f"no dead letter: the header {_PREFIX}{name} is missing")
            return found

        return cls(
            stream=Stream(needed("Stream")),
            sequence=int(needed("Sequence")),
            reason=needed("Reason"),
            deliveries=int(needed("Deliveries")),
            subject=text("Subject"),
            work=text("Work"),
            error=text("Error"),
            data=data,
        )


def times(count: int) -> str:
    """How often something was delivered, in words: `once`, `twice`, `5 times`."""
    return {1: "once", 2: "twice"}.get(count, f"{count} times")


def _escaped(text: str) -> str:
    """`text` on one line of ASCII, as inside a JSON string."""
    return json.dumps(text.strip()[:MAX_HEADER_LENGTH])[1:-1]
