"""What JetStream answers to a publish, and what its refusals mean.

Source:
    nats-server, `server/errors.json`.
"""

import orjson

from runtime.transport.port import PayloadTooLarge, Published, QueueFull, TransportError

WRONG_LAST_SEQUENCE = 10071
FULL = frozenset({10023, 10047, 10077})  # insufficient resources, storage resources, store failed
TOO_LARGE = frozenset({10054})


class Refused(TransportError):
    """JetStream refused; `code` is its error number."""

    def __init__(self, code: int, description: str) -> None:
        super().__init__(f"JetStream refused: {description} ({code})")
        self.code = code


def published(reply: bytes) -> Published:
    """The queue's word that it keeps a message.

    Raises:
        QueueFull, PayloadTooLarge, Refused: the queue does not keep it.
    """
    answer = orjson.loads(reply)
    if (error := answer.get("error")) is None:
        return Published(answer["seq"], duplicate=answer.get("duplicate", False))
    code, description = error.get("err_code", 0), error.get("description", "")
    if code in FULL:
        raise QueueFull(f"the queue is full: {description} ({code})")
    if code in TOO_LARGE:
        raise PayloadTooLarge(f"the message is larger than the stream takes ({code})")
    raise Refused(code, description)
