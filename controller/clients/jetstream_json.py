"""The queue's parts in the words of JetStream's API: our values ↔ its JSON. Pure.

Source:
    NATS documentation, "JetStream wire API Reference"; ADR-8 (key-value), ADR-43 (message time to
    live); read against nats-server 2.15.1.
"""

import base64
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from controller.api.names import GROUP
from controller.model import Backlog, Bucket, Consumer, Discard, Retention, Stored, Stream

type Json = dict[str, Any]

OWNER: Final = f"{GROUP}/owner"
_MICROSECOND: Final = timedelta(microseconds=1)
_NANOSECONDS: Final = 1000


def nanoseconds(span: timedelta) -> int:
    """A time span as JetStream writes it."""
    return span // _MICROSECOND * _NANOSECONDS


def span(nanoseconds: int) -> timedelta:
    """A time span as JetStream writes it, read; below a microsecond nothing is left."""
    return timedelta(microseconds=nanoseconds // _NANOSECONDS)


def bucket_stream(bucket: str) -> str:
    """The stream that holds a key-value bucket."""
    return f"KV_{bucket}"


def bucket_prefix(bucket: str) -> str:
    """What comes before a key in the subject its value is published to."""
    return f"$KV.{bucket}."


def stream_config(stream: Stream) -> Json:
    """What STREAM.CREATE and STREAM.UPDATE take for `stream`."""
    return {
        "name": stream.name,
        "metadata": {OWNER: stream.owner},
        "subjects": list(stream.subjects),
        "retention": stream.retention.value,
        "discard": stream.discard.value,
        "discard_new_per_subject": stream.discard_new_per_subject,
        "storage": "file",
        "max_msgs": -1,
        "max_msg_size": -1,
        "max_consumers": -1,
        "max_bytes": _limit(stream.max_bytes),
        "max_msgs_per_subject": _limit(stream.max_messages_per_subject),
        "max_age": nanoseconds(stream.max_age),
        "duplicate_window": nanoseconds(stream.duplicate_window),
        "num_replicas": stream.replicas,
    }


def read_stream(config: Mapping[str, Any]) -> Stream:
    """The stream that STREAM.INFO tells of."""
    return Stream(
        name=config["name"],
        owner=_owner(config),
        subjects=tuple(sorted(config.get("subjects") or ())),
        retention=_retention(config["retention"]),
        discard=Discard(config["discard"]),
        max_bytes=_no_limit_is_zero(config["max_bytes"]),
        max_age=span(config["max_age"]),
        max_messages_per_subject=_no_limit_is_zero(config["max_msgs_per_subject"]),
        discard_new_per_subject=config.get("discard_new_per_subject", False),
        duplicate_window=span(config["duplicate_window"]),
        replicas=config["num_replicas"],
    )


def bucket_config(bucket: Bucket) -> Json:
    """What STREAM.CREATE and STREAM.UPDATE take for `bucket`.

    Roll-ups stay off: with them, one header on a write to a key of one's own clears the bucket.
    Messages may have a time to live, so that the mark of a deleted key does not stay for ever.
    """
    return {
        "name": bucket_stream(bucket.name),
        "metadata": {OWNER: bucket.owner},
        "subjects": [f"{bucket_prefix(bucket.name)}>"],
        "retention": Retention.LIMITS.value,
        "discard": Discard.NEW.value,
        "storage": "file",
        "max_msgs": -1,
        "max_msg_size": -1,
        "max_consumers": -1,
        "max_bytes": _limit(bucket.max_bytes),
        "max_msgs_per_subject": 1,
        "max_age": nanoseconds(bucket.ttl),
        "num_replicas": bucket.replicas,
        "allow_direct": True,
        "deny_delete": True,
        "allow_rollup_hdrs": False,
        "allow_msg_ttl": True,
    }


def read_bucket(config: Mapping[str, Any]) -> Bucket:
    """The bucket in whose stream STREAM.INFO tells of."""
    return Bucket(
        name=config["name"].removeprefix(bucket_stream("")),
        owner=_owner(config),
        ttl=span(config["max_age"]),
        max_bytes=_no_limit_is_zero(config["max_bytes"]),
        replicas=config["num_replicas"],
    )


def consumer_config(consumer: Consumer) -> Json:
    """What CONSUMER.CREATE takes for `consumer`."""
    return {
        "durable_name": consumer.durable,
        "name": consumer.durable,
        "metadata": {OWNER: consumer.owner},
        "filter_subject": consumer.filter_subject,
        "ack_policy": "explicit",
        "deliver_policy": "all",
        "replay_policy": "instant",
        "ack_wait": nanoseconds(consumer.ack_wait),
        "max_deliver": consumer.max_deliver,
        "max_ack_pending": consumer.max_ack_pending,
    }


def read_consumer(info: Mapping[str, Any]) -> Consumer:
    """The consumer that CONSUMER.INFO tells of; what filters by several subjects has none."""
    config = info["config"]
    return Consumer(
        stream=info["stream_name"],
        durable=info["name"],
        filter_subject=config.get("filter_subject", ""),
        owner=_owner(config),
        ack_wait=span(config.get("ack_wait", 0)),
        max_deliver=config.get("max_deliver", 0),
        max_ack_pending=config.get("max_ack_pending", 0),
    )


def read_backlog(info: Mapping[str, Any]) -> Backlog:
    """What CONSUMER.INFO tells of the work before a consumer."""
    return Backlog(waiting=info["num_pending"], in_flight=info["num_ack_pending"])


def read_stored(message: Mapping[str, Any]) -> Stored:
    """The message that STREAM.MSG.GET tells of.

    Source:
        NATS ADR-4 (headers): a line with the version, then one `Name: value` each.
    """
    lines = base64.b64decode(message.get("hdrs", "")).decode(errors="replace").split("\r\n")[1:]
    pairs = (line.partition(":") for line in lines if line)
    return Stored(
        sequence=message["seq"],
        subject=message["subject"],
        headers={name: value.strip() for name, _, value in pairs},
        data=base64.b64decode(message.get("data", "")),
        time=datetime.fromisoformat(message["time"]),
    )


def _limit(most: int) -> int:
    return most or -1


def _no_limit_is_zero(most: int) -> int:
    return max(0, most)


def _owner(config: Mapping[str, Any]) -> str:
    owner: str = (config.get("metadata") or {}).get(OWNER, "")
    return owner


def _retention(word: str) -> Retention:
    # `interest` is none of ours; whatever is not a work queue keeps by limits as far as we care.
    return Retention.WORK_QUEUE if word == Retention.WORK_QUEUE else Retention.LIMITS
